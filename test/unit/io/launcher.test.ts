/** The shell that starts programs for us; as another user it is seen in test/net/router.test.ts. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { systemClock } from '../../../src/io/clock.ts';
import { type ProgramEnd, startLauncher } from '../../../src/io/launcher.ts';
import { isAlive, markOf } from '../../../src/io/processes.ts';
import { GateError } from '../../../src/kit/errors.ts';
import { FakeClock } from '../../helpers/fake-clock.ts';
import { processesIn } from '../../helpers/processes-in.ts';
import { until } from '../../helpers/until.ts';

const NEVER = new AbortController().signal;
const settings = { user: undefined, directory: tmpdir(), searchPath: process.env['PATH'] ?? '', clock: systemClock };
const shell = (script: string) => ['/bin/sh', '-c', script];
const told = ({ how, lastWords }: ProgramEnd) => (lastWords === '' ? how : `${how}: ${lastWords}`);

interface Pids {
  readonly starter: number;
  readonly program: number;
}

/** Of its own for each test, so that what works there is known to belong to it; nothing does afterwards. */
function ownDirectory(context: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'garligate-launcher-'));
  context.after(() => {
    for (const pid of processesIn(directory)) process.kill(pid, 'SIGKILL');
    rmSync(directory, { recursive: true });
  });
  return directory;
}

test('programs run one after the other, and the end of each is told with its last words', async () => {
  const launcher = await startLauncher(settings);
  try {
    for (const [words, end] of [
      [shell('exit 0'), /^it ended with code 0$/],
      [shell('echo first; printf "\\033[31mlast" >&2; exit 3'), /^it ended with code 3: last$/],
      [shell('kill -KILL $$'), /^it ended by signal 9/],
      [['/bin/sh', '-c', 'echo "$1"; exit 1', 'sh', 'a $word; `with` "quotes"'], /: a \$word; `with` "quotes"$/],
      [['/no/such/program'], /^it ended with code 12[67]: .*\/no\/such\/program/],
    ] as const) {
      const run = await launcher.run(words, NEVER);
      assert.match(told(await run.ended), end);
    }
  } finally {
    await launcher.close();
  }
});

test('of a line that does not end only the end is kept', async () => {
  const launcher = await startLauncher(settings);
  try {
    // More than one read takes in, so that the beginning is there before the end.
    const run = await launcher.run(shell('printf first; head -c 1000000 /dev/zero | tr "\\0" x; echo; exit 1'), NEVER);
    assert.match(told(await run.ended), /^it ended with code 1: x{200}$/);
  } finally {
    await launcher.close();
  }
});

test('a program that speaks before it is known that it runs is heard all the same', async () => {
  const launcher = await startLauncher(settings);
  for (let round = 0; round < 40; round += 1) {
    const run = await launcher.run(['/bin/sh', '-c', 'printf "half a line"; exec sh -c "exit 4"'], NEVER);
    assert.deepEqual(await run.ended, { how: 'it ended with code 4', lastWords: 'half a line' });
  }
  await launcher.close();
});

test('a program hears the signals that are sent to it', async () => {
  const launcher = await startLauncher(settings);
  const run = await launcher.run(shell('trap "exit 7" TERM; while :; do sleep 0.05; done'), NEVER);
  run.signal('TERM');
  assert.match(told(await run.ended), /^it ended (with code 7|by signal 15)/);
  await launcher.close();
});

test('what still runs ends with the launcher', async () => {
  const launcher = await startLauncher(settings);
  const { mark } = await launcher.run(['/bin/sleep', '60'], NEVER);
  assert.deepEqual(await markOf(mark.pid), mark);
  await launcher.close();
  await until('it has ended', async () => !(await isAlive(mark)), 5_000);
  await launcher.close();
});

for (const [who, isStopped] of [
  ['the shell that starts programs', (pid: number, { starter }: Pids) => pid === starter],
  ['the shell that tells of the end', (pid: number, { starter, program }: Pids) => pid !== starter && pid !== program],
  ['both shells and the program', () => true],
] as const) {
  test(`a launcher is closed, with all that it has started, when somebody has stopped ${who}`, async (context) => {
    const directory = ownDirectory(context);
    const clock = new FakeClock();
    const launcher = await startLauncher({ ...settings, directory, clock });
    const { mark, ended } = await launcher.run(['/bin/sleep', '60'], NEVER);
    const pids = { starter: launcher.pid, program: mark.pid };
    const stopped = processesIn(directory).filter((pid) => isStopped(pid, pids));
    assert.ok(stopped.length > 0);
    for (const pid of stopped) process.kill(pid, 'SIGSTOP');
    const closed = launcher.close();
    // Time passes until it helps itself, and then stands still.
    await clock.advance(200);
    await inTime('it is closed', closed);
    assert.deepEqual(await closed, []);
    await inTime('the end of the run is told', ended);
    await until('nothing of it is left', () => processesIn(directory).length === 0);
  });
}

test('the end of a run is told, once, also when somebody has killed the shell that tells of it, and another one begins', async (context) => {
  const directory = ownDirectory(context);
  const clock = new FakeClock();
  const launcher = await startLauncher({ ...settings, directory, clock });
  const run = await launcher.run(['/bin/sleep', '60'], NEVER);
  const ends: string[] = [];
  void run.ended.then((end) => ends.push(told(end)));
  await clock.advance(60_000);
  assert.deepEqual(ends, []);
  for (const pid of processesIn(directory)) if (pid !== launcher.pid) process.kill(pid, 'SIGKILL');
  await until('it has ended', () => processesIn(directory).length === 1);
  await until('its end is told', async () => {
    await clock.advance(1_000);
    return ends.length > 0;
  });
  assert.deepEqual(ends, ['it ended with the shell that would have told how']);
  const next = await launcher.run(shell('exit 6'), NEVER);
  assert.match(told(await next.ended), /^it ended with code 6/);
  assert.deepEqual(await launcher.close(), []);
  assert.equal(clock.pending, 0);
});

test('a run is given up when nobody wants it any more, also by a shell that does not answer', async (context) => {
  const directory = ownDirectory(context);
  const clock = new FakeClock();
  const launcher = await startLauncher({ ...settings, directory, clock });
  await assert.rejects(launcher.run(['/bin/true'], AbortSignal.abort()), { kind: 'cancelled' });
  process.kill(launcher.pid, 'SIGSTOP');
  const unwanted = new AbortController();
  const begun = launcher.run(['/bin/sleep', '60'], unwanted.signal);
  const why = new GateError('shutdown', 'shutdown', 'the end');
  unwanted.abort(why);
  await assert.rejects(begun, why);
  const closed = launcher.close();
  await clock.advance(200);
  assert.deepEqual(await closed, []);
  await until('nothing of it is left', () => processesIn(directory).length === 0);
  assert.equal(clock.pending, 0);
});

test('a launcher that somebody kills takes its program with it, and says so', async () => {
  const launcher = await startLauncher(settings);
  const run = await launcher.run(['/bin/sleep', '60'], NEVER);
  const { mark } = run;
  process.kill(launcher.pid, 'SIGKILL');
  assert.match(told(await run.ended), /restart garligate/);
  await until('it has ended', async () => !(await isAlive(mark)), 5_000);
  await assert.rejects(
    launcher.run(['/bin/true'], NEVER),
    (error) => error instanceof GateError && error.code === 'launcher.gone',
  );
  await launcher.close();
});

test('a program that is only about to begin when the launcher is killed never does', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'garligate-launcher-'));
  const at = (name: string) => join(directory, name);
  const setpriv = execFileSync('/bin/sh', ['-c', 'command -v setpriv'], { encoding: 'utf8' }).trim();
  // Takes its time where it binds the program itself, and not the shell that will do that.
  const slow = `case "$*" in *--pdeathsig*--pdeathsig*) ;; *sleeper*)
    echo $$ > ${at('about')}; while [ -e ${at('hold')} ]; do sleep 0.02; done;; esac
  exec ${setpriv} "$@"`;
  writeFileSync(at('setpriv'), `#!/bin/sh\n${slow}\n`, { mode: 0o755 });
  writeFileSync(at('hold'), '');
  const launcher = await startLauncher({ ...settings, searchPath: `${directory}:${settings.searchPath}` });
  const begun = launcher.run(['/bin/sh', '-c', `echo ran > ${at('ran')}; exec sleep 60`, 'sleeper'], NEVER);
  const refused = assert.rejects(begun, (error) => error instanceof GateError && error.code === 'launcher.gone');
  const about = () => (existsSync(at('about')) ? Number(readFileSync(at('about'), 'utf8')) : 0);
  await until('it is about to begin', () => about() > 0);
  const mark = await markOf(about());
  assert.ok(mark !== undefined);
  process.kill(launcher.pid, 'SIGKILL');
  await refused;
  rmSync(at('hold'));
  await until('it has ended', async () => !(await isAlive(mark)), 5_000);
  assert.equal(existsSync(at('ran')), false);
  await launcher.close();
  rmSync(directory, { recursive: true });
});

test('a program that begins when nobody waits for it any more is ended, and not taken for the next one', async () => {
  const clock = new FakeClock();
  const launcher = await startLauncher({ ...settings, clock });
  const [given, wanted] = ['61.061061', '61.16116'];
  process.kill(launcher.pid, 'SIGSTOP');
  const late = assert.rejects(launcher.run(['/bin/sleep', given], NEVER), { code: 'launcher.late' });
  await clock.advance(10_000);
  await late;
  const next = launcher.run(['/bin/sleep', wanted], NEVER);
  process.kill(launcher.pid, 'SIGCONT');
  const run = await next;
  await until('it is the wanted one', () => wordsOf(String(run.mark.pid)).join(' ') === `/bin/sleep ${wanted}`, 5_000);
  await until('the other one has ended', () => running().every((words) => !words.includes(given)), 5_000);
  run.signal('TERM');
  assert.match(told(await run.ended), /^it ended by signal 15/);
  await launcher.close();
  assert.equal(clock.pending, 0);
});

test('a shell that is stuck is told of sixteen programs, and of no more', async () => {
  const clock = new FakeClock();
  const launcher = await startLauncher({ ...settings, clock });
  process.kill(launcher.pid, 'SIGSTOP');
  for (let run = 0; run < 16; run += 1) {
    const late = assert.rejects(launcher.run(['/bin/true'], NEVER), { code: 'launcher.late' });
    await clock.advance(10_000);
    await late;
  }
  await assert.rejects(launcher.run(['/bin/true'], NEVER), { code: 'launcher.runs' });
  process.kill(launcher.pid, 'SIGCONT');
  let ended = '';
  await until('it is well again', async () => {
    const run = await launcher.run(['/bin/sh', '-c', 'exit 5'], NEVER).catch(() => undefined);
    if (run !== undefined) ended = (await run.ended).how;
    return ended !== '';
  });
  assert.equal(ended, 'it ended with code 5');
  await launcher.close();
});

function wordsOf(pid: string): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1').split('\0').slice(0, -1);
  } catch {
    return [];
  }
}

function running(): ReadonlyArray<readonly string[]> {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(wordsOf);
}

test('a word that would be taken for two is refused', async () => {
  const launcher = await startLauncher(settings);
  for (const word of ['', 'two\nwords'])
    await assert.rejects(launcher.run(['/bin/echo', word], NEVER), { kind: 'bug' });
  await launcher.close();
});

/** @throws Error naming `what` when that is not over in time */
async function inTime(what: string, work: Promise<unknown>): Promise<void> {
  let isOver = false;
  void work.finally(() => {
    isOver = true;
  });
  await until(what, () => isOver);
}

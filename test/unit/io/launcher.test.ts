/** The shell that starts programs for us; as another user it is seen in test/net/router.test.ts. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { systemClock } from '../../../src/io/clock.ts';
import { type ProgramEnd, startLauncher } from '../../../src/io/launcher.ts';
import { isAlive, markOf } from '../../../src/io/processes.ts';
import { GateError } from '../../../src/kit/errors.ts';
import { FakeClock } from '../../helpers/fake-clock.ts';
import { until } from '../../helpers/until.ts';

const settings = { user: undefined, directory: tmpdir(), searchPath: process.env['PATH'] ?? '', clock: systemClock };
const shell = (script: string) => ['/bin/sh', '-c', script];
const told = ({ how, lastWords }: ProgramEnd) => (lastWords === '' ? how : `${how}: ${lastWords}`);

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
      const run = await launcher.run(words);
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
    const run = await launcher.run(shell('printf first; head -c 1000000 /dev/zero | tr "\\0" x; echo; exit 1'));
    assert.match(told(await run.ended), /^it ended with code 1: x{200}$/);
  } finally {
    await launcher.close();
  }
});

test('a program that speaks before it is known that it runs is heard all the same', async () => {
  const launcher = await startLauncher(settings);
  for (let round = 0; round < 40; round += 1) {
    const run = await launcher.run(['/bin/sh', '-c', 'printf "half a line"; exec sh -c "exit 4"']);
    assert.deepEqual(await run.ended, { how: 'it ended with code 4', lastWords: 'half a line' });
  }
  await launcher.close();
});

test('a program hears the signals that are sent to it', async () => {
  const launcher = await startLauncher(settings);
  const run = await launcher.run(shell('trap "exit 7" TERM; while :; do sleep 0.05; done'));
  run.signal('TERM');
  assert.match(told(await run.ended), /^it ended (with code 7|by signal 15)/);
  await launcher.close();
});

test('what still runs ends with the launcher', async () => {
  const launcher = await startLauncher(settings);
  const { mark } = await launcher.run(['/bin/sleep', '60']);
  assert.deepEqual(await markOf(mark.pid), mark);
  await launcher.close();
  await until('it has ended', async () => !(await isAlive(mark)), 5_000);
  await launcher.close();
});

test('a launcher that somebody kills takes its program with it, and says so', async () => {
  const launcher = await startLauncher(settings);
  const run = await launcher.run(['/bin/sleep', '60']);
  const { mark } = run;
  process.kill(launcher.pid, 'SIGKILL');
  assert.match(told(await run.ended), /restart garligate/);
  await until('it has ended', async () => !(await isAlive(mark)), 5_000);
  await assert.rejects(
    launcher.run(['/bin/true']),
    (error) => error instanceof GateError && error.code === 'launcher.gone',
  );
  await launcher.close();
});

test('a program that is only about to begin when the launcher is killed never does', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'garligate-launcher-'));
  const at = (name: string) => join(directory, name);
  const setpriv = execFileSync('/bin/sh', ['-c', 'command -v setpriv'], { encoding: 'utf8' }).trim();
  // Takes its time where it binds the program itself, which is the one that gets TERM and has been given its mark.
  const slow = `case "$*" in *"--pdeathsig TERM -- /bin/sh -c "*sleeper*)
    echo $$ > ${at('about')}; while [ -e ${at('hold')} ]; do sleep 0.02; done;; esac
  exec ${setpriv} "$@"`;
  writeFileSync(at('setpriv'), `#!/bin/sh\n${slow}\n`, { mode: 0o755 });
  writeFileSync(at('hold'), '');
  const launcher = await startLauncher({ ...settings, searchPath: `${directory}:${settings.searchPath}` });
  const begun = launcher.run(['/bin/sh', '-c', `echo ran > ${at('ran')}; exec sleep 60`, 'sleeper']);
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
  const late = assert.rejects(launcher.run(['/bin/sleep', given]), { code: 'launcher.late' });
  await clock.advance(10_000);
  await late;
  const next = launcher.run(['/bin/sleep', wanted]);
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
    const late = assert.rejects(launcher.run(['/bin/true']), { code: 'launcher.late' });
    await clock.advance(10_000);
    await late;
  }
  await assert.rejects(launcher.run(['/bin/true']), { code: 'launcher.runs' });
  process.kill(launcher.pid, 'SIGCONT');
  let ended = '';
  await until('it is well again', async () => {
    const run = await launcher.run(['/bin/sh', '-c', 'exit 5']).catch(() => undefined);
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
  for (const word of ['', 'two\nwords']) await assert.rejects(launcher.run(['/bin/echo', word]), { kind: 'bug' });
  await launcher.close();
});

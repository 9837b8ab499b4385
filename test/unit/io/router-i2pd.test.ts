/** An i2pd of our own that ends, or does not, with a stub in its place; the real one is seen in test/net/router.test.ts. */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { configSchema } from '../../../src/config/schema.ts';
import { systemClock } from '../../../src/io/clock.ts';
import { createRouter, usualSearchPath } from '../../../src/io/router.ts';
import { ManagedRouter } from '../../../src/io/router-i2pd.ts';
import { silentLogger } from '../../../src/kit/log.ts';
import { processesIn } from '../../helpers/processes-in.ts';
import { until } from '../../helpers/until.ts';

const MARK = 'somebody-asked-for-this.i2p';
const PATIENCE_MS = 20_000;
/** In Perl, which every Debian has, and which the user that the router is may run wherever our Node lies. */
const LISTEN = `
use IO::Socket::INET;
my ($port) = map { /^--sam[.]port=(\\d+)$/ } @ARGV;
my $bridge = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port, Listen => 1) or die "no port";
$bridge->accept;
`;

const NEVER = new AbortController().signal;

interface Place {
  readonly directory: string;
  readonly searchPath: string;
}

/** Where this program is the i2pd; nothing of it is left after the test. */
function makePlace(context: TestContext, script: string): Place {
  const place = mkdtempSync(join(tmpdir(), 'garligate-router-'));
  const directory = join(place, 'router');
  context.after(() => {
    for (const pid of processesIn(directory)) process.kill(pid, 'SIGKILL');
    rmSync(place, { recursive: true });
  });
  chmodSync(place, 0o755);
  mkdirSync(join(place, 'bin'));
  writeFileSync(join(place, 'bin/i2pd'), `#!/usr/bin/perl\n${script}`);
  chmodSync(join(place, 'bin/i2pd'), 0o755);
  return { directory, searchPath: `${join(place, 'bin')}:${usualSearchPath()}` };
}

function parts({ searchPath }: Place) {
  return {
    gatewayUser: undefined,
    searchPath,
    extraArguments: [],
    clock: systemClock,
    log: silentLogger,
    random: () => 0.5,
  };
}

function managed(place: Place): ManagedRouter {
  return new ManagedRouter({ ...parts(place), directory: place.directory, udp: { kind: 'off' } });
}

/** @returns why there is no router after the first run, as `status` says it */
async function whyItEnded(context: TestContext, script: string): Promise<string> {
  const router = managed(makePlace(context, script));
  try {
    await router.start(NEVER);
    // A stub that listens is left waiting for us, so that it has been seen to listen before it ends.
    const opening = router.bridge.open(AbortSignal.timeout(PATIENCE_MS)).then(
      (stream) => stream.destroy(),
      () => {},
    );
    let why = '';
    const hasEnded = () => {
      const state = router.state();
      if (state.kind === 'none') why = state.why;
      return why !== '';
    };
    await until('it has ended', hasEnded, PATIENCE_MS);
    await router.stop();
    await opening;
    return why;
  } finally {
    await router.stop();
  }
}

/** Fails where it does not, instead of waiting without end. */
async function assertStops(router: { stop(): Promise<void> }, directory: string): Promise<void> {
  let isStopped = false;
  void router.stop().then(() => {
    isStopped = true;
  });
  await until('it is stopped', () => isStopped);
  await until('nothing of it is left', () => processesIn(directory).length === 0);
  assert.equal(existsSync(`${directory}.pid`), false);
}

/** Of the process, out of what proc(5) tells in field 4 of stat. */
function parentOf(pid: number): number {
  return Number(
    readFileSync(`/proc/${pid}/stat`, 'latin1')
      .replace(/^.*\) /, '')
      .split(' ')[1],
  );
}

function pidOf(router: ManagedRouter): number {
  const state = router.state();
  return state.kind === 'managed' ? state.pid : assert.fail(JSON.stringify(state));
}

test('what an i2pd says that ends before its bridge listens is told: it is why there is no router', async (context) => {
  assert.match(await whyItEnded(context, `print "${MARK}\\n"; exit 3;`), new RegExp(`it ended with code 3: ${MARK}$`));
});

test('what an i2pd says that ends after its bridge has listened is told to nobody', async (context) => {
  assert.match(await whyItEnded(context, `${LISTEN} print "${MARK}\\n"; exit 3;`), /it ended with code 3$/);
});

test('it is started again when it ended with the shell that tells of that', async (context) => {
  const place = makePlace(context, 'sleep 60;');
  const router = managed(place);
  await router.start(NEVER);
  const first = pidOf(router);
  process.kill(parentOf(first), 'SIGKILL');
  await until('its end is seen', () => router.state().kind === 'none', PATIENCE_MS);
  await until('another one runs', () => router.state().kind === 'managed', PATIENCE_MS);
  assert.notEqual(pidOf(router), first);
  await assertStops(router, place.directory);
});

for (const [who, isStopped] of [
  ['it', (pid: number, router: number) => pid === router],
  ['the shell that tells of its end', (pid: number, router: number) => pid === parentOf(router)],
  ['the shell that starts it', (pid: number, router: number) => pid === parentOf(parentOf(router))],
  ['it and both shells', () => true],
] as const) {
  test(`an i2pd of our own is stopped with all that belongs to it while somebody has stopped ${who}`, async (context) => {
    const place = makePlace(context, 'sleep 60;');
    const router = managed(place);
    await router.start(NEVER);
    const stopped = processesIn(place.directory).filter((pid) => isStopped(pid, pidOf(router)));
    assert.ok(stopped.length > 0);
    for (const pid of stopped) process.kill(pid, 'SIGSTOP');
    await assertStops(router, place.directory);
  });
}

test('a start that no shell answers is given up when the gateway ends', async (context) => {
  const place = makePlace(context, 'sleep 60;');
  const config = configSchema({ keyFile: '/k', routerDirectory: place.directory, controlSocket: '/c' });
  const router = createRouter(config.parse({ router: { sam: 'managed' } }).router, parts(place));
  await router.prepare();
  for (const pid of processesIn(place.directory)) process.kill(pid, 'SIGSTOP');
  const ending = new AbortController();
  const started = router.start(ending.signal);
  const opened = assert.rejects(router.bridge.open(NEVER), { kind: 'shutdown' });
  ending.abort();
  await started;
  await assertStops(router, place.directory);
  await opened;
});

/**
 * Garligate's own i2pd, for real, in a network namespace without any route: the file runs itself a second time in there, so that
 * everything it starts is cut off from every network.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { configSchema } from '../../src/config/schema.ts';
import { systemClock } from '../../src/io/clock.ts';
import { isAlive, markOf } from '../../src/io/processes.ts';
import { createRouter, usualSearchPath } from '../../src/io/router.ts';
import { ManagedRouter } from '../../src/io/router-i2pd.ts';
import { sleep } from '../../src/kit/clock.ts';
import { drive } from '../../src/kit/drive.ts';
import { GateError } from '../../src/kit/errors.ts';
import { silentLogger } from '../../src/kit/log.ts';
import { conversationMachine, hello } from '../../src/wire/sam/conversation.ts';
import { FakeClock } from '../helpers/fake-clock.ts';
import { processesIn } from '../helpers/processes-in.ts';

const INSIDE = 'GARLIGATE_TEST_INSIDE_NAMESPACE';
/** Never asks anybody for routers, and belongs to no public network. */
const OFFLINE = ['--netid=77', '--reseed.threshold=0'];
const NEVER = new AbortController().signal;

if (process.env[INSIDE] === undefined) {
  test('an i2pd of its own in a namespace without a route', { timeout: 120_000 }, () => {
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    const script = 'ip link set lo up && exec "$0" "$@"';
    const command = ['--net', 'sh', '-c', script, process.execPath, ...process.execArgv, import.meta.filename];
    const inside = spawnSync('unshare', command, { env: { ...env, [INSIDE]: '1' }, encoding: 'utf8', timeout: 90_000 });
    assert.equal(inside.status, 0, `${inside.stdout}${inside.stderr}`);
  });
} else if (process.argv[2] !== undefined) {
  await beAGatewayThatIsKilled(process.argv[2], process.argv[3] ?? '');
} else {
  let directory = '';
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'garligate-router-'));
  });
  after(() => rmSync(directory, { recursive: true }));

  test('runs without privileges and opens nothing but a SAM bridge on loopback', async () => {
    const router = managed(join(directory, 'plain'));
    await router.start(NEVER);
    try {
      await greet(router);
      const pid = pidOf(router);
      const status = readFileSync(`/proc/${pid}/status`, 'utf8');
      assert.doesNotMatch(status, /^Uid:.*\b0\b/m);
      assert.match(status, /^Groups:\s*\d*\s*$/m);
      assert.match(status, /^CapEff:\s*0+$/m);
      assert.match(status, /^NoNewPrivs:\s*1$/m);
      assert.equal(statSync(join(directory, 'plain')).mode & 0o777, 0o700);

      // Beside each on loopback the transport to other routers, which must be reachable from outside: NTCP2 and SSU2.
      for (const [option, what] of [
        ['-t', 'TCP'],
        ['-u', 'UDP'],
      ] as const) {
        const listening = spawnSync('ss', ['-Hln', option], { encoding: 'utf8' }).stdout.trim().split('\n');
        const local = listening.map((line) => line.trim().split(/\s+/)[3] ?? '');
        const onLoopback = local.filter((address) => address.startsWith('127.0.0.1:'));
        assert.deepEqual([onLoopback.length, local.length], [1, 2], `${what}: ${local.join(' ')}`);
      }
    } finally {
      await router.stop();
    }
  });

  test('is started again when it dies, and stopping leaves nothing', async () => {
    const router = managed(join(directory, 'restarted'));
    await router.start(NEVER);
    await greet(router);
    const first = pidOf(router);
    process.kill(first, 'SIGKILL');
    await until(() => router.state().kind === 'none');
    await greet(router);
    const state = router.state();
    assert.ok(state.kind === 'managed' && state.pid !== first && state.restarts === 1);
    const mark = await markOf(state.pid);
    await router.stop();
    assert.ok(mark !== undefined && !(await isAlive(mark)));
    assert.equal(existsSync(join(directory, 'restarted.pid')), false);
    await assert.rejects(router.bridge.open(NEVER), (error) => error instanceof GateError && error.kind === 'shutdown');
  });

  test('a run that cannot be recorded is ended, and the state says what to do', async () => {
    const place = join(directory, 'unrecorded');
    // As on a full or read-only disk: the mark cannot be written, nor removed.
    mkdirSync(`${place}.pid`);
    const config = configSchema({ keyFile: '/k', routerDirectory: place, controlSocket: '/c' });
    const settings = config.parse({ router: { sam: 'managed' } }).router;
    const router = createRouter(settings, { ...parts(), extraArguments: OFFLINE });
    await router.start(NEVER);
    await assert.rejects(
      router.bridge.open(NEVER),
      (error) => error instanceof GateError && /record/.test(error.message),
    );
    assert.deepEqual(processesIn(place), []);
    const state = router.state();
    assert.ok(
      state.kind === 'none' && state.why !== '' && /router\.directory/.test(state.advice),
      JSON.stringify(state),
    );
    await router.stop();

    const direct = managed(place);
    await assert.rejects(direct.start(NEVER));
    await direct.stop();
  });

  test('stops at once also between two runs and at the very start', async () => {
    const router = managed(join(directory, 'stopped'), ['--no-such-option']);
    await router.start(NEVER);
    await until(() => router.state().kind === 'none');
    const state = router.state();
    assert.ok(state.kind === 'none' && /it ended/.test(state.why));
    await router.stop();
    const early = managed(join(directory, 'early'));
    await early.start(NEVER);
    const pid = pidOf(early);
    await early.stop();
    assert.equal(await markOf(pid), undefined);
  });

  for (const [how, searchPath] of [
    ['the kernel ends it', usualSearchPath()],
    ['the next start ends it, where setpriv is missing', '/usr/sbin'],
  ] as const) {
    test(`when the gateway is killed, ${how}`, { timeout: 30_000 }, async () => {
      const place = join(directory, `killed-${searchPath.length}`);
      const gateway = spawn(process.execPath, [...process.execArgv, import.meta.filename, place, searchPath], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const mark = await markOf(Number(await firstLine(gateway)));
      assert.ok(mark !== undefined);

      await assert.rejects(
        managed(place).start(NEVER),
        (error) => error instanceof GateError && error.code === 'router.directory-in-use',
      );
      gateway.kill('SIGKILL');
      await new Promise((resolve) => gateway.once('close', resolve));
      if (searchPath === '/usr/sbin') {
        assert.ok(await isAlive(mark));
        const next = managed(place);
        await next.start(NEVER);
        assert.equal(await isAlive(mark), false);
        await greet(next);
        await next.stop();
      }
      await until(async () => !(await isAlive(mark)));
    });
  }

  test('"auto" takes the bridge that is there, and none that only looks like one', async () => {
    const config = configSchema({ keyFile: '/k', routerDirectory: join(directory, 'auto'), controlSocket: '/c' });
    const settings = config.parse({}).router;
    for (const [reply, expected] of [
      ['HELLO REPLY RESULT=OK VERSION=3.1\n', 'external'],
      ['HELLO REPLY RESULT=I2P_ERROR MESSAGE="Authorization failed"\n', 'external'],
      ['HELLO REPLY RESULT=NOVERSION\n', 'managed'],
      ['HTTP/1.0 400 Bad Request\r\n\r\n', 'managed'],
    ] as const) {
      const server = createServer((client) => client.on('error', () => {}).once('data', () => client.end(reply)));
      await new Promise<void>((resolve) => server.listen(7656, '127.0.0.1', resolve));
      const router = createRouter(settings, { ...parts(), extraArguments: OFFLINE });
      await router.start(NEVER);
      assert.equal(router.state().kind, expected, reply);
      await router.stop();
      await new Promise((resolve) => server.close(resolve));
    }
  });

  test('a stop waits for no bridge that does not answer', async () => {
    const config = configSchema({ keyFile: '/k', routerDirectory: join(directory, 'silent'), controlSocket: '/c' });
    const server = createServer((client) => client.on('error', () => {}).resume());
    await new Promise<void>((resolve) => server.listen(7656, '127.0.0.1', resolve));
    const asked = new Promise((resolve) => server.once('connection', resolve));
    const router = createRouter(config.parse({}).router, {
      ...parts(),
      clock: new FakeClock(),
      extraArguments: OFFLINE,
    });
    const started = router.start(NEVER);
    await asked;
    await router.stop();
    await started;
    await new Promise((resolve) => server.close(resolve));
  });

  test('without any i2pd it says so, and finds a bridge that comes later', async () => {
    const config = configSchema({ keyFile: '/k', routerDirectory: join(directory, 'none'), controlSocket: '/c' });
    const router = createRouter(config.parse({}).router, { ...parts(), searchPath: directory, extraArguments: [] });
    await router.start(NEVER);
    const state = router.state();
    assert.ok(state.kind === 'none' && /install i2pd/.test(state.advice), JSON.stringify(state));
    await assert.rejects(
      router.bridge.open(NEVER),
      (error) => error instanceof GateError && error.kind === 'router-down' && /install i2pd/.test(error.message),
    );
    const server = createServer((client) => {
      client.on('error', () => {}).on('data', () => client.write('HELLO REPLY RESULT=OK VERSION=3.1\n'));
    });
    await new Promise<void>((resolve) => server.listen(7656, '127.0.0.1', resolve));
    (await router.bridge.open(NEVER)).destroy();
    assert.equal(router.state().kind, 'external');
    await router.stop();
    server.close();
  });
}

function parts() {
  return {
    clock: systemClock,
    log: silentLogger,
    random: Math.random,
    gatewayUser: undefined,
    searchPath: usualSearchPath(),
  };
}

function managed(directory: string, extraArguments = OFFLINE, searchPath = usualSearchPath()): ManagedRouter {
  return new ManagedRouter({ ...parts(), directory, searchPath, extraArguments, udp: { kind: 'auto' } });
}

function pidOf(router: ManagedRouter): number {
  const state = router.state();
  assert.equal(state.kind, 'managed');
  return state.kind === 'managed' ? state.pid : 0;
}

async function greet(router: ManagedRouter): Promise<void> {
  const socket = await router.bridge.open(AbortSignal.timeout(20_000));
  const onEnd = () => new GateError('router-down', 'test', 'ended');
  const version = await drive(conversationMachine(hello()), socket, { doing: 'greeting', signal: NEVER, onEnd });
  assert.equal(version.major, 3);
  socket.destroy();
}

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + 10_000;
  while (!(await holds())) {
    assert.ok(performance.now() < end, 'it did not come about within ten seconds');
    await sleep(systemClock, 20, NEVER);
  }
}

function firstLine(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    child.stdout?.once('data', (data) => resolve(String(data).trim()));
    child.once('close', (code) => reject(new Error(`it ended with code ${code} before it said anything`)));
  });
}

async function beAGatewayThatIsKilled(directory: string, searchPath: string): Promise<void> {
  const router = managed(directory, OFFLINE, searchPath);
  await router.start(NEVER);
  await greet(router);
  process.stdout.write(`${pidOf(router)}\n`);
  setInterval(() => {}, 1000);
}

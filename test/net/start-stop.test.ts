/**
 * Started and stopped in any order: ended at every moment of a start, killed there and started again, started twice, stopped
 * twice, and started on what a dead run has left behind. Each time by looking at what then stands on the host.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { markOf } from '../../src/io/processes.ts';
import { FakeBridge } from '../helpers/fake-bridge/bridge.ts';
import { FakeNetwork } from '../helpers/fake-bridge/network.ts';
import { until } from '../helpers/until.ts';
import {
  assertNothingLeft,
  hasInterface,
  ip,
  launch,
  makePlace,
  type Place,
  type Running,
  refused,
  routes,
  run,
  START_MS,
  tables,
  UNREACHABLE,
} from './daemon-place.ts';
import { declareScenarios } from './namespace.ts';
import { describeRoutes, open } from './tun-kit.ts';

/** All that docs/operations.md gives a gateway to come down. */
const DOWN_MS = 5_000;
/** For many starts, on a machine that is busy with other things. */
const MANY_STARTS_MS = 150_000;
const NO_ROUTER = '[router]\nsam = "127.0.0.1:1"\n';
const LEAVES_NO_ROUTE = '[vpn]\nkeep_unreachable = false\n';
const OWN_ROUTER = '[router]\nsam = "managed"\ndirectory = "HERE/state/router"\n';

/** How far a start has come, told by what it has made. */
interface Stage {
  readonly name: string;
  reached(place: Place, gateway: Running): boolean;
}

const START: Stage = { name: 'is a process', reached: () => true };
const STANDS: Stage = { name: 'stands', reached: (_, gateway) => gateway.isUp() };
/** In the order of a start, up to a router. */
const STAGES: readonly Stage[] = [
  START,
  { name: 'has a key', reached: ({ key }) => existsSync(key) },
  { name: 'holds its key', reached: ({ key }) => existsSync(`${key}.last-use`) },
  { name: 'has its interface', reached: () => existsSync('/sys/class/net/garli0') },
  { name: 'has its rules', reached: () => tables() !== '' },
  { name: 'has its addresses', reached: () => readFileSync('/proc/self/net/if_inet6', 'latin1').includes('garli0') },
  { name: 'has its control socket', reached: ({ socket }) => existsSync(socket) },
  { name: 'is not root any more', reached: (_, { pid }) => !/^Uid:\t0\t/m.test(procStatus(pid)) },
  STANDS,
];

function procStatus(pid: number): string {
  return readFileSync(`/proc/${pid}/status`, 'latin1');
}

/** Looks with every turn of the event loop, since a start goes through most of its stages within milliseconds. */
async function untilReached({ name, reached }: Stage, place: Place, gateway: Running): Promise<void> {
  const end = performance.now() + START_MS;
  while (!reached(place, gateway)) {
    assert.ok(performance.now() < end && !gateway.hasEnded(), `it never ${name}: ${gateway.said()}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** In this network namespace, as the gateway and all that it starts are. */
function processesHere(): readonly string[] {
  const here = readlinkSync('/proc/self/ns/net');
  return readdirSync('/proc').filter((name) => {
    try {
      return /^\d+$/.test(name) && readlinkSync(`/proc/${name}/ns/net`) === here;
    } catch {
      return false; // It has ended.
    }
  });
}

/** What runs here beside gateways. */
const before = new Set(processesHere());

async function assertNoProcessLeft(): Promise<void> {
  const left = () => processesHere().filter((pid) => !before.has(pid));
  await until('no process of it is left', () => left().length === 0).catch((error: unknown) => {
    throw new Error(`${left().map((pid) => readFileSync(`/proc/${pid}/cmdline`, 'latin1'))}`, { cause: error });
  });
}

/** By the documented way: soon, with success, and nothing of it stays. */
async function assertStops(gateway: Running, place: Place, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
  const sentAt = performance.now();
  assert.equal(await gateway.kill(signal), 0, gateway.said());
  assert.ok(performance.now() - sentAt < DOWN_MS, `${signal} took ${performance.now() - sentAt} ms`);
  assertNothingLeft(place);
  await assertNoProcessLeft();
}

/** One that does not hold a key when its session has ended, so that the next session comes at once. */
async function withBridge(work: (bridge: FakeBridge, config: string) => Promise<void>): Promise<void> {
  const bridge = await FakeBridge.start({ network: new FakeNetwork(), temperament: 'java' });
  await work(bridge, `[router]\nsam = "127.0.0.1:${bridge.address.port}"\n`);
  await bridge.stop();
}

/** A start at a place of its own, ended at each of these stages. */
async function endAt(
  stages: readonly Stage[],
  config: string,
  routeStays: boolean,
  bridge?: FakeBridge,
): Promise<void> {
  for (const [index, stage] of stages.entries()) {
    const place = makePlace(config);
    const gateway = launch(place);
    await untilReached(stage, place, gateway);
    const sentAt = performance.now();
    if (index % 2 === 0) gateway.signal('SIGTERM');
    else gateway.interrupt();
    const end = await gateway.ended;
    const told = `${stage.name}: ${end} after ${performance.now() - sentAt} ms; ${gateway.said()}`;
    // Until it listens to signals they end it as they end every program, and it has done nothing yet.
    assert.ok(end === 0 || (stage === START && end === 'SIGTERM' && !existsSync(place.key)), told);
    assert.ok(performance.now() - sentAt < DOWN_MS, told);
    assert.doesNotMatch(gateway.said(), /while ending|not everything/, told);
    await assertNoProcessLeft();
    assert.deepEqual([tables(), hasInterface(), existsSync(place.socket)], ['', false, false], told);
    // It stays once it was made, which is after the rules.
    const isMade = stages.indexOf(stage) >= stages.findIndex(({ name }) => name === 'has its addresses');
    assert.ok(routes() === (routeStays ? UNREACHABLE : '') || (!isMade && routes() === ''), `${told} ${routes()}`);
    if (routes() !== '') ip('-6', 'route', 'flush', 'type', 'unreachable');
    assert.deepEqual(
      readdirSync(join(place.directory, 'state')).filter(
        (name) => !/^id\.key(\.last-use)?$|^router(\.pid)?$/.test(name),
      ),
      [],
      told,
    );
    rmSync(place.directory, { recursive: true });
    await until('its router knows that it is gone', () => (bridge?.openSockets ?? 0) === 0);
  }
}

const LOSES = /^garligate: the identity .* is in use by another gateway; stop that one, or give this one a key_file/m;

await declareScenarios(import.meta.filename, {
  'ended at every moment of a start without a router it leaves nothing, not even a route where none shall stay': {
    longestMs: MANY_STARTS_MS,
    run: () => endAt(STAGES, NO_ROUTER + LEAVES_NO_ROUTE, false),
  },
  'ended at every moment of a start with a router, one that answers, is silent or is its own, it leaves the route': {
    longestMs: MANY_STARTS_MS,
    run: async () => {
      await withBridge(async (bridge, config) => {
        const speaks: Stage = { name: 'speaks with its router', reached: () => bridge.openSockets > 0 };
        const hasSession: Stage = { name: 'has a session', reached: () => bridge.sessions.length > 0 };
        const stages = STAGES.slice(STAGES.findIndex(({ name }) => name === 'has its addresses'));
        await endAt([...stages, speaks, hasSession], config, true, bridge);
        bridge.misbehave({ on: '', action: { kind: 'silence' } });
        await endAt([speaks, STANDS], config, true, bridge);
      });
      const runsRouter: Stage = {
        name: 'runs its router',
        reached: ({ directory }) =>
          (statSync(join(directory, 'state/router.pid'), { throwIfNoEntry: false })?.size ?? 0) > 0,
      };
      await endAt([runsRouter, STANDS], OWN_ROUTER, true);
    },
  },
  'told to end while a step of the start takes its time it ends that step and begins no other': {
    run: async () => {
      const place = makePlace(NO_ROUTER + LEAVES_NO_ROUTE);
      const at = (name: string) => join(place.directory, name);
      const script = `#!/bin/sh\ntouch ${at('begun')}\nuntil [ -e ${at('go')} ]; do sleep 0.01; done\nexec /usr/sbin/nft "$@"\n`;
      writeFileSync(at('nft'), script, { mode: 0o755 });
      const gateway = launch(place, ['env', `PATH=${place.directory}:${process.env['PATH']}`]);
      await until('the step has begun', () => existsSync(at('begun')), START_MS);
      gateway.interrupt();
      writeFileSync(at('go'), '');
      assert.equal(await gateway.ended, 0, gateway.said());
      assert.doesNotMatch(gateway.said(), /vpn up/);
      assert.deepEqual([tables(), routes(), hasInterface(), existsSync(place.socket)], ['', '', false, false]);
      rmSync(place.directory, { recursive: true });
    },
  },
  'killed at every moment of a start, the next start stands at once with the same key': {
    longestMs: MANY_STARTS_MS,
    run: () =>
      withBridge(async (_bridge, config) => {
        for (const stage of STAGES) {
          const place = makePlace(config);
          const killed = launch(place);
          await untilReached(stage, place, killed);
          assert.equal(await killed.kill('SIGKILL'), 'SIGKILL');
          const key = existsSync(place.key) ? readFileSync(place.key, 'latin1') : undefined;
          const next = await run(place);
          assert.match(next.said(), key === undefined ? /^identity made: / : /^identity read: /m, stage.name);
          if (key !== undefined) assert.equal(readFileSync(place.key, 'latin1'), key, stage.name);
          const { vpn, firewall } = await next.status();
          assert.deepEqual([vpn?.state, firewall?.state], ['up', 'on'], stage.name);
          await assertStops(next, place).catch((error: unknown) => {
            throw new Error(`${stage.name}: ${next.said()}`, { cause: error });
          });
          rmSync(place.directory, { recursive: true });
        }
      }),
  },
  'what a killed start had no time to give away, the next one gives away': {
    run: async () => {
      const place = makePlace(NO_ROUTER);
      const directory = dirname(place.socket);
      mkdirSync(directory, { mode: 0o1700 });
      const gateway = await run(place);
      const { uid, mode } = statSync(directory);
      assert.deepEqual([uid, mode & 0o7777], [statSync(place.socket).uid, 0o750]);
      await assertStops(gateway, place);
      rmSync(place.directory, { recursive: true });
    },
  },
  'of two starts at the same moment one stands, and the other says why not and has changed nothing': {
    longestMs: MANY_STARTS_MS,
    run: () =>
      withBridge(async (bridge, config) => {
        const place = makePlace(config);
        // Another config may name the same key.
        const other = { config: join(place.directory, 'other'), socket: join(place.directory, 'other.sock') };
        const text = readFileSync(place.config, 'utf8').replace(place.socket, other.socket);
        writeFileSync(other.config, `${text}[vpn]\ninterface = "garli1"\n`, { mode: 0o600 });
        // The first time there is no key yet.
        for (const second of [place, place, other]) {
          const starts = [launch(place), launch(second)];
          const isDecided = () => starts.some((one) => one.isUp()) && starts.some((one) => one.hasEnded());
          await until('one stands and one has ended', isDecided, START_MS).catch((error: unknown) => {
            throw new Error(starts.map((one) => one.said()).join('\n'), { cause: error });
          });
          const [winner = assert.fail(), loser = assert.fail()] = starts.sort((one) => (one.hasEnded() ? 1 : -1));
          assert.equal(await loser.ended, 1, loser.said());
          assert.match(loser.said(), LOSES);
          await until('the session stands', () => bridge.sessions.length > 0, START_MS);
          const status = await winner.status();
          assert.deepEqual([status.vpn?.state, status.firewall?.state], ['up', 'on']);
          assert.deepEqual([status.firewall?.restored, bridge.sessions.length], [0, 1]);
          assert.equal(tables(), 'table ip6 garligate');
          assert.equal(await winner.kill('SIGTERM'), 0, winner.said());
          assertNothingLeft(place);
          await until('the session has ended', () => bridge.sessions.length === 0, START_MS);
          // The next one shall not wait for a router that holds the key.
          rmSync(`${place.key}.last-use`);
        }
        rmSync(place.directory, { recursive: true });
      }),
  },
  'a start while the former is stopping is refused or stands, and the next one stands': {
    longestMs: MANY_STARTS_MS,
    run: async () => {
      const place = makePlace(NO_ROUTER);
      const first = await run(place);
      // Asked to end and not able to.
      first.signal('SIGSTOP');
      first.signal('SIGTERM');
      const start = await refused(place);
      assert.equal(start.end, 1, start.said);
      assert.match(start.said, LOSES);
      assert.deepEqual([tables(), hasInterface(), existsSync(place.socket)], ['table ip6 garligate', true, true]);
      await assertStops(first, place, 'SIGCONT');

      const former = await run(place);
      former.signal('SIGTERM');
      const early = launch(place);
      assert.equal(await former.ended, 0, former.said());
      await until('it is decided', () => early.isUp() || early.hasEnded(), START_MS);
      if (early.hasEnded()) {
        assert.equal(await early.ended, 1, early.said());
        assert.match(early.said(), LOSES);
      } else await assertStops(early, place);
      await assertStops(await run(place), place);
      rmSync(place.directory, { recursive: true });
    },
  },
  'told to stop more than once it stops as if told once': {
    longestMs: MANY_STARTS_MS,
    run: async () => {
      const place = makePlace(NO_ROUTER);
      for (const first of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
        const gateway = await run(place);
        gateway.signal(first);
        await until('it is on its way down', () => !existsSync(place.socket) || gateway.hasEnded());
        gateway.interrupt();
        await assertStops(gateway, place);
      }
      rmSync(place.directory, { recursive: true });
    },
  },
  'it stands on all that a dead run has left behind at once, and ends nobody whom a wrong record names': {
    longestMs: MANY_STARTS_MS,
    run: async () => {
      const place = makePlace(OWN_ROUTER);
      const killed = await run(place);
      assert.equal(await killed.kill('SIGKILL'), 'SIGKILL');
      await assertNoProcessLeft();
      const innocent = spawn('sleep', ['600'], { cwd: '/', stdio: 'ignore' });
      const record = join(place.directory, 'state/router.pid');
      const marks = [await markOf(innocent.pid ?? assert.fail()), await markOf(innocent.pid ?? assert.fail())];
      assert.ok(readFileSync(record, 'utf8').includes(`"pid":`));
      writeFileSync(record, JSON.stringify(marks));
      ip('tuntap', 'add', 'mode', 'tun', 'name', 'garli0');
      ip('link', 'set', 'garli0', 'mtu', '1300');
      const link = () => ip('addr', 'show', 'garli0').replace(/qdisc \S+/, '');
      const asMade = link();
      assert.deepEqual([tables(), routes(), existsSync(place.socket)], ['table ip6 garligate', UNREACHABLE, true]);

      const gateway = await run(place);
      const { vpn, firewall, router } = await gateway.status();
      assert.deepEqual([vpn?.state, firewall?.state, router.kind], ['up', 'on', 'managed']);
      assert.equal(await gateway.kill('SIGTERM'), 0, gateway.said());
      assert.deepEqual([tables(), routes(), existsSync(place.socket)], ['', UNREACHABLE, false]);
      // The record stays, since it lies in a directory of root's, and names nobody.
      assert.deepEqual([link(), statSync(record).size], [asMade, 0]);
      assert.deepEqual([innocent.exitCode, innocent.signalCode], [null, null]);
      innocent.kill('SIGKILL');
      await once(innocent, 'exit');
      await assertNoProcessLeft();
      rmSync(place.directory, { recursive: true });
    },
  },
  'an interface of its name that somebody else holds is left alone, and the error names it': {
    run: async () => {
      const tun = open({ name: 'garli0' });
      const asHeld = [ip('addr', 'show', 'garli0'), describeRoutes()];
      const place = makePlace(NO_ROUTER);
      const start = await refused(place);
      assert.equal(start.end, 5, start.said);
      assert.match(start.said, /The interface garli0 is in use by another process\. Stop that one, or choose another/);
      assert.deepEqual([ip('addr', 'show', 'garli0'), describeRoutes()], asHeld);
      assert.deepEqual([tun.state(), tables(), existsSync(place.socket)], ['up', '', false]);
      await tun.close();
      await assertStops(await run(place), place);
      rmSync(place.directory, { recursive: true });
    },
  },
});

/**
 * Started twice, stopped twice, started while the former is stopping, and started on what a dead run has left behind: each
 * time by looking at what then stands on the host.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { markOf } from '../../src/io/processes.ts';
import { until } from '../helpers/until.ts';
import {
  assertNoProcessLeft,
  assertNothingLeft,
  assertStops,
  hasInterface,
  ip,
  launch,
  MANY_STARTS_MS,
  makePlace,
  NO_ROUTER,
  OWN_ROUTER,
  refused,
  routes,
  run,
  START_MS,
  slowProgram,
  tables,
  UNREACHABLE,
  withBridge,
} from './daemon-place.ts';
import { declareScenarios } from './namespace.ts';
import { describeRoutes, open } from './tun-kit.ts';

const LOSES = /^garligate: the identity .* is in use by another gateway; stop that one, or give this one a key_file/m;

await declareScenarios(import.meta.filename, {
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
      const slow = await slowProgram('nft', place);
      for (const first of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
        const gateway = await run(place, slow.wrapper);
        slow.hold();
        gateway.signal(first);
        await slow.begun();
        gateway.interrupt();
        slow.release();
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

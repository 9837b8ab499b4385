/**
 * A start has many moments, and it may be ended or killed at each of them: what then stands on the host, and whether the next
 * start stands.
 */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { FakeBridge } from '../helpers/fake-bridge/bridge.ts';
import { until } from '../helpers/until.ts';
import {
  assertNoProcessLeft,
  assertStops,
  DOWN_MS,
  hasInterface,
  ip,
  launch,
  MANY_STARTS_MS,
  makePlace,
  NO_ROUTER,
  OWN_ROUTER,
  routes,
  run,
  slowProgram,
  tables,
  UNREACHABLE,
  withBridge,
} from './daemon-place.ts';
import { declareScenarios } from './namespace.ts';
import { STAGES, STANDS, START, type Stage, untilReached } from './start-stages.ts';

const LEAVES_NO_ROUTE = '[vpn]\nkeep_unreachable = false\n';

/** A start at a place of its own, ended at each of these stages. @param routeStays the unreachable one, which it has by then */
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
    assert.equal(routes(), routeStays ? UNREACHABLE : '', told);
    if (routeStays) ip('-6', 'route', 'flush', 'type', 'unreachable');
    const kept = readdirSync(join(place.directory, 'state'));
    assert.deepEqual(
      kept.filter((name) => !/^(id\.key(\.last-use)?|router(\.pid)?)$/.test(name)),
      [],
      told,
    );
    rmSync(place.directory, { recursive: true });
    await until('its router knows that it is gone', () => (bridge?.openSockets ?? 0) === 0);
  }
}

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
  'told to end while a step of the start takes its time it lets the step end and does not go on': {
    run: async () => {
      for (const program of ['flock', 'nft']) {
        const place = makePlace(NO_ROUTER + LEAVES_NO_ROUTE);
        const slow = await slowProgram(program, place);
        slow.hold();
        const gateway = launch(place, slow.wrapper);
        await slow.begun();
        gateway.interrupt();
        slow.release();
        assert.equal(await gateway.ended, 0, gateway.said());
        assert.deepEqual([gateway.said(), tables(), routes(), hasInterface()], ['', '', '', false]);
        // What would have been made for the control socket.
        assert.equal(existsSync(dirname(place.socket)), false);
        rmSync(place.directory, { recursive: true });
      }
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
          assert.match(next.said(), key === undefined ? /^identity made; /m : /^identity read; /m, stage.name);
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
});

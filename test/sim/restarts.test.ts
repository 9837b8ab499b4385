/** Whole gateways whose routers die and come back, on routers of every temperament: nobody touches anything. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FakeBridge } from '../helpers/fake-bridge/bridge.ts';
import { FakeNetwork } from '../helpers/fake-bridge/network.ts';
import type { TemperamentName } from '../helpers/fake-bridge/temperament.ts';
import { until } from '../helpers/until.ts';
import { generateKeys, type RunningGateway, startGateway } from './gateway-kit.ts';
import { packet } from './packets.ts';

/** A dead stream is found out by a probe after 10 s and 20 s without its answer, then dialled again. */
const RECOVERY_MS = 45_000;

const PAIRS: ReadonlyArray<readonly [TemperamentName, TemperamentName]> = [
  ['i2pd-2.45', 'i2pd-2.45'],
  ['i2pd-2.45', 'java'],
  ['java', 'i2pd-2.59'],
];

describe('a router that restarts is got over without touching the peer', { concurrency: true }, () => {
  for (const [steady, restarted] of PAIRS) {
    it(`${restarted}, with the peer on ${steady}`, async () => {
      const network = new FakeNetwork();
      const [here, there] = await Promise.all(
        [steady, restarted].map((temperament) => FakeBridge.start({ network, temperament })),
      );
      assert.ok(here !== undefined && there !== undefined);
      const [ofAlice, ofBob] = [generateKeys(), generateKeys()];
      const alice = await startGateway({ bridge: here, keys: ofAlice, peers: [ofBob.destination.b32] });
      const bob = await startGateway({ bridge: there, keys: ofBob, peers: [ofAlice.destination.b32] });
      const isUp = (side: RunningGateway) => side.gateway.vpn?.links()[0]?.state.kind === 'up';
      await until('both links are up', () => isUp(alice) && isUp(bob), 15_000);

      await there.restart();
      await until('the session is back', () => bob.gateway.sessions.list()[0]?.session.state.kind === 'ready', 20_000);
      const end = performance.now() + RECOVERY_MS;
      while (bob.tun.delivered.length === 0 && performance.now() < end) {
        alice.tun.send(packet(alice.addresses.oc, bob.addresses.oc, Buffer.from('are you back?')));
        await bob.tun.has(1, 1_000).catch(() => {});
      }
      assert.ok(bob.tun.delivered.length > 0, 'no packet arrived after the restart');

      await Promise.all([alice.stop(), bob.stop()]);
      await Promise.all([here.stop(), there.stop()]);
    });
  }
});

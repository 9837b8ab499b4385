/**
 * A gateway that does not run for ten minutes - stopped by a signal, or with its whole machine asleep - and goes on. What the
 * clock on the wall shows by then nobody asks: test/architecture.test.ts sees to that.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SocksClient } from 'socks';
import { FakeBridge } from '../helpers/fake-bridge/bridge.ts';
import { FakeNetwork } from '../helpers/fake-bridge/network.ts';
import { FakeClock } from '../helpers/fake-clock.ts';
import { until } from '../helpers/until.ts';
import { generateKeys, type RunningGateway, startGateway } from './gateway-kit.ts';
import { packet } from './packets.ts';
import { rawPeer } from './raw-peer.ts';

const STANDSTILL_MS = 600_000;
/** Less than until the next question to the router. */
const LOOKING_MS = 20_000;

/** Of two peers one stands still; the other, and both routers, go on. */
async function pair(temperament: 'i2pd-2.45' | 'java') {
  const network = new FakeNetwork();
  const bridge = await FakeBridge.start({ network, temperament });
  const far = await FakeBridge.start({ network, temperament });
  const [clock, farClock] = [new FakeClock(), new FakeClock()];
  const [ours, theirs] = [generateKeys(), generateKeys()];
  const here = await startGateway({ bridge, clock, keys: ours, peers: [theirs.destination.b32] });
  const there = await startGateway({ bridge: far, clock: farClock, keys: theirs, peers: [ours.destination.b32] });
  /** Lets both clocks go on, as much as is needed. */
  const goesOn = (what: string, condition: () => boolean) =>
    until(
      what,
      async () => {
        if (condition()) return true;
        await Promise.all([clock.advance(100), farClock.advance(100)]);
        return condition();
      },
      20_000,
    );
  const stop = async () => {
    await Promise.all([here.stop(), there.stop()]);
    await Promise.all([bridge.stop(), far.stop()]);
  };
  return { bridge, clock, farClock, here, there, goesOn, stop };
}

function sessionId(gate: RunningGateway): string | undefined {
  const state = gate.gateway.sessions.list()[0]?.session.state;
  return state?.kind === 'ready' ? state.session.id : undefined;
}

for (const temperament of ['i2pd-2.45', 'java'] as const) {
  for (const routerDies of [false, true]) {
    const what = routerDies ? 'whose router has died and come back meanwhile' : 'whose router has lived';
    test(`on ${temperament} a gateway that stood still for ten minutes, and ${what}, carries on by itself`, async (t) => {
      const { bridge, clock, farClock, here, there, goesOn, stop } = await pair(temperament);
      t.after(stop);
      const isUp = (gate: RunningGateway) => gate.gateway.vpn?.links()[0]?.state.kind === 'up';
      await goesOn('the link is up', () => isUp(here) && isUp(there) && here.gateway.accepting.armed > 0);
      const before = sessionId(here);

      clock.stand(STANDSTILL_MS);
      for (let second = 0; second < STANDSTILL_MS / 1_000; second += 1) await farClock.advance(1_000);
      if (routerDies) await bridge.restart();

      const isAnother = () => sessionId(here) !== before;
      if (routerDies) await goesOn('the loss is known', isAnother);
      await goesOn('a session stands', () => sessionId(here) !== undefined && here.gateway.accepting.armed > 0);
      // All that fell due meanwhile comes at once, and what it asks for is answered.
      const awake = clock.now();
      await goesOn('it has looked around', () => clock.now() >= awake + LOOKING_MS);
      assert.equal(isAnother(), routerDies);
      for (const [from, to] of [
        [here, there],
        [there, here],
      ] as const) {
        const count = to.tun.delivered.length;
        await goesOn('a packet arrives', () => {
          from.tun.send(packet(from.addresses.oc, to.addresses.oc, Buffer.from('awake')));
          return to.tun.delivered.length > count;
        });
      }
      const service = await rawPeer(bridge);
      const accepting = service.accept();
      const proxy = { host: '127.0.0.1', port: here.socksPort, type: 5 } as const;
      const destination = { host: `${service.b32}.b32.i2p`, port: 80 };
      const { socket } = await SocksClient.createConnection({ proxy, command: 'connect', destination });
      (await accepting).stream.destroy();
      socket.destroy();
      service.close();
    });
  }
}

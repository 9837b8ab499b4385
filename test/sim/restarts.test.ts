/**
 * Whole gateways whose routers die and come back, or that build their session anew, on routers of every temperament:
 * nobody touches anything.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { SocksClient } from 'socks';
import { KEY_LINGERS_MS } from '../../src/core/session/key-hold.ts';
import { GateError } from '../../src/kit/errors.ts';
import { formatAddress } from '../../src/wire/i2p/address.ts';
import { FakeBridge } from '../helpers/fake-bridge/bridge.ts';
import { FakeNetwork } from '../helpers/fake-bridge/network.ts';
import type { TemperamentName } from '../helpers/fake-bridge/temperament.ts';
import { until } from '../helpers/until.ts';
import { closeServer, generateKeys, loopbackServer, type RunningGateway, startGateway } from './gateway-kit.ts';
import { packet } from './packets.ts';

/** A dead stream is found out by a probe after 10 s and 20 s without its answer, then dialled again. */
const RECOVERY_MS = 45_000;
/** Under traffic it is found out within 30 s. */
const SILENCE_MS = 35_000;

const PAIRS: ReadonlyArray<readonly [TemperamentName, TemperamentName]> = [
  ['i2pd-2.45', 'i2pd-2.45'],
  ['i2pd-2.45', 'java'],
  ['java', 'i2pd-2.59'],
];

interface Pair {
  readonly network: FakeNetwork;
  readonly here: FakeBridge;
  readonly there: FakeBridge;
  readonly alice: RunningGateway;
  readonly bob: RunningGateway;
}

/**
 * Two gateways whose link is up; they end with the test, however that ends.
 *
 * @param dialler who gets through to the other
 */
async function startPair(
  test: TestContext,
  ofHere: TemperamentName,
  ofThere: TemperamentName,
  dialler: 'both' | 'alice' = 'both',
): Promise<Pair> {
  const network = new FakeNetwork();
  const here = await FakeBridge.start({ network, temperament: ofHere });
  const there = await FakeBridge.start({ network, temperament: ofThere });
  const [ofAlice, ofBob] = [generateKeys(), generateKeys()];
  const alice = await startGateway({ bridge: here, keys: ofAlice, peers: [ofBob.destination.b32] });
  if (dialler === 'alice') network.offline(ofAlice.destination.b32);
  const bob = await startGateway({ bridge: there, keys: ofBob, peers: [ofAlice.destination.b32] });
  test.after(async () => {
    await Promise.all([alice.stop(), bob.stop()]);
    await Promise.all([here.stop(), there.stop()]);
  });
  const isUp = (side: RunningGateway) => side.gateway.vpn?.links()[0]?.state.kind === 'up';
  await until('both links are up', () => isUp(alice) && isUp(bob), 15_000);
  return { network, here, there, alice, bob };
}

function sessionOf(side: RunningGateway) {
  const [listed] = side.gateway.sessions.list();
  assert.ok(listed !== undefined);
  return listed.session;
}

/** Sends until something comes. */
async function reaches(from: RunningGateway, to: RunningGateway, withinMs: number): Promise<boolean> {
  const before = to.tun.delivered.length;
  for (const end = performance.now() + withinMs; performance.now() < end; ) {
    from.tun.send(packet(from.addresses.oc, to.addresses.oc, Buffer.from('are you back?')));
    await to.tun.has(before + 1, 1_000).catch(() => {});
    if (to.tun.delivered.length > before) return true;
  }
  return false;
}

describe('with nobody touching anything', { concurrency: true }, () => {
  for (const [steady, restarted] of PAIRS) {
    it(`a restarted ${restarted} is got over, with the peer on ${steady}`, async (test) => {
      const { there, alice, bob } = await startPair(test, steady, restarted);
      await there.restart();
      await until('the session is back', () => sessionOf(bob).state.kind === 'ready', 20_000);
      assert.ok(await reaches(alice, bob, RECOVERY_MS), 'no packet arrived after the restart');
    });
  }

  it('connections to a peer whose router was restarted end, since nobody else would say so', async (test) => {
    const { there, alice, bob } = await startPair(test, 'i2pd-2.45', 'i2pd-2.45');
    const server = await loopbackServer((socket) => socket.write('hello'));
    bob.serve(bob.addresses.oc, 80, server);
    const { socket } = await SocksClient.createConnection({
      proxy: { host: '127.0.0.1', port: alice.socksPort, type: 5 },
      command: 'connect',
      destination: { host: formatAddress(bob.addresses.oc), port: 80 },
    });
    let isOver = false;
    socket.on('close', () => {
      isOver = true;
    });
    socket.on('error', () => {});
    const [hello] = await once(socket, 'data');
    assert.equal(String(hello), 'hello');
    await there.restart();
    await until('the client is told', () => isOver, RECOVERY_MS + 20_000);
    const [peer] = alice.gateway.peers.list();
    assert.equal(peer && alice.gateway.restartsOf(peer), 1);
    await closeServer(server);
  });

  it('who asks for a peer while its router is away is served once that is back, not a minute later', async (test) => {
    const { here, there, alice, bob } = await startPair(test, 'i2pd-2.45', 'i2pd-2.45');
    const server = await loopbackServer((socket) => socket.end('hello'));
    bob.serve(bob.addresses.oc, 80, server);
    await there.stop();
    let isDialled = false;
    here.onCommand((line) => {
      if (line.startsWith('STREAM CONNECT')) isDialled = true;
      return undefined;
    });
    const asked = SocksClient.createConnection({
      proxy: { host: '127.0.0.1', port: alice.socksPort, type: 5 },
      command: 'connect',
      destination: { host: formatAddress(bob.addresses.oc), port: 80 },
      timeout: RECOVERY_MS,
    });
    await until('the peer is dialled', () => isDialled);
    await there.restart();
    const { socket } = await asked;
    const [hello] = await once(socket, 'data');
    assert.equal(String(hello), 'hello');
    socket.end();
    await closeServer(server);
  });

  for (const temperament of ['i2pd-2.45', 'java'] as const) {
    it(`a stream of ${temperament} whose line was cut is used again at once, though no dial gets through`, async (test) => {
      // A second stream, of dials that crossed, would have to fall silent too before the link is down.
      const { network, alice, bob } = await startPair(test, temperament, temperament, 'alice');
      const state = () => alice.gateway.vpn?.links()[0]?.state.kind;
      assert.ok(await reaches(alice, bob, 10_000));
      for (const { b32 } of [alice, bob]) {
        network.stall(b32);
        network.offline(b32);
      }
      await until(
        'the silence is found out',
        () => {
          alice.tun.send(packet(alice.addresses.oc, bob.addresses.oc, Buffer.from('are you there?')));
          return state() !== 'up';
        },
        SILENCE_MS,
      );
      network.resume(alice.b32);
      network.resume(bob.b32);
      await until('the old stream is used', () => state() === 'up', 10_000);
      assert.ok(await reaches(alice, bob, 10_000), 'nothing goes out on the old stream');
      assert.ok(await reaches(bob, alice, 10_000), 'nothing comes in on the old stream');
    });
  }

  for (const temperament of ['i2pd-2.45', 'i2pd-2.59', 'java'] as const) {
    it(`a session built anew on ${temperament} lives longer than what the router kept of the old one`, async (test) => {
      const { alice, bob } = await startPair(test, temperament, temperament);
      const { state } = sessionOf(alice);
      assert.ok(state.kind === 'ready');
      state.session.gone(new GateError('session-lost', 'session.rebuilt', 'a peer does not answer'));
      const readyId = () => {
        const now = sessionOf(alice).state;
        return now.kind === 'ready' ? now.session.id : undefined;
      };
      await until('another session stands', () => ![undefined, state.session.id].includes(readyId()), 20_000);
      const another = readyId();
      await pause(KEY_LINGERS_MS);
      // Both may have dialled, and what was given up is found out first.
      assert.ok(await reaches(alice, bob, RECOVERY_MS), 'nothing goes out on the new session');
      assert.ok(await reaches(bob, alice, RECOVERY_MS), 'nothing comes in on the new session');
      assert.equal(readyId(), another);
    });
  }
});

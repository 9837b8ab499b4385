/** Two whole gateways in this process, each on a scriptable SAM bridge of its own, with packets from one to the other. */
import { setTimeout as pause } from 'node:timers/promises';
import { FakeBridge } from '../../test/helpers/fake-bridge/bridge.ts';
import { FakeNetwork } from '../../test/helpers/fake-bridge/network.ts';
import { generateKeys, type RunningGateway, startGateway } from '../../test/sim/gateway-kit.ts';
import { packet } from '../../test/sim/packets.ts';
import { waitUntil } from '../lab/command.ts';
import { warnings } from './observe.ts';

export interface Half {
  readonly bridge: FakeBridge;
  readonly running: RunningGateway;
}

export interface BridgePair {
  readonly network: FakeNetwork;
  readonly alice: Half;
  readonly bob: Half;
  /** Is alice's link in use? */
  isUp(): boolean;
  /** Packets go both ways. @returns how long that took, in milliseconds; undefined when it did not happen in time */
  untilThrough(patienceMs: number): Promise<number | undefined>;
  /** Bob's gateway ends; another with keys of its own dials alice for so long, and then bob is back. */
  impersonate(forMs: number): Promise<void>;
  /** Codes of what alice's log has warned of since the last call. */
  warned(): readonly string[];
  stop(): Promise<void>;
}

const START_MS = 30_000;

export async function startBridgePair(): Promise<BridgePair> {
  const network = new FakeNetwork();
  const [here, there] = [
    await FakeBridge.start({ network, temperament: 'i2pd-2.45' }),
    await FakeBridge.start({ network, temperament: 'i2pd-2.45' }),
  ];
  const [ofAlice, ofBob] = [generateKeys(), generateKeys()];
  const log: string[] = [];
  const startBob = (keys = ofBob) => startGateway({ bridge: there, keys, peers: [ofAlice.destination.b32] });
  const alice = await startGateway({ bridge: here, keys: ofAlice, peers: [ofBob.destination.b32], log });
  let bob = await startBob();

  const passes = async (from: RunningGateway, to: RunningGateway) => {
    const before = to.tun.delivered.length;
    from.tun.send(packet(from.addresses.oc, to.addresses.oc, Buffer.from('are you there?')));
    await to.tun.has(before + 1, 500).catch(() => {});
    return to.tun.delivered.length > before;
  };
  const pair: BridgePair = {
    network,
    alice: { bridge: here, running: alice },
    get bob() {
      return { bridge: there, running: bob };
    },
    isUp: () => alice.gateway.vpn?.links()[0]?.state.kind === 'up',
    untilThrough: async (patienceMs) => {
      const start = performance.now();
      while (performance.now() - start < patienceMs) {
        if ((await passes(alice, bob)) && (await passes(bob, alice))) return performance.now() - start;
      }
      return undefined;
    },
    impersonate: async (forMs) => {
      await bob.stop();
      // The link may well stand: i2pd tells nobody that a session is gone.
      const heardAt = () => alice.gateway.vpn?.links()[0]?.heardAt;
      const [heardBefore, deliveredBefore] = [heardAt(), alice.tun.delivered.length];
      const other = await startBob(generateKeys());
      other.tun.send(packet(other.addresses.oc, alice.addresses.oc, Buffer.from('it is me')));
      await pause(forMs);
      const isTaken = heardAt() !== heardBefore || alice.tun.delivered.length > deliveredBefore;
      await other.stop();
      bob = await startBob();
      if (isTaken) throw new Error('somebody with another key was taken for the peer');
    },
    warned: () => warnings(log.splice(0)),
    stop: async () => {
      await Promise.all([alice.stop(), bob.stop()]);
      await Promise.all([here.stop(), there.stop()]);
    },
  };
  const up = async () => ((await pair.untilThrough(500)) === undefined ? undefined : true);
  await waitUntil('the gateways reach each other', up, { timeoutMs: START_MS });
  return pair;
}

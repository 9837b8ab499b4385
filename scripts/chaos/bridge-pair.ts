/** Two whole gateways in this process, each on a scriptable SAM bridge of its own, with an echo server behind one. */
import { setTimeout as pause } from 'node:timers/promises';
import { formatAddress } from '../../src/wire/i2p/address.ts';
import { FakeBridge } from '../../test/helpers/fake-bridge/bridge.ts';
import { FakeNetwork } from '../../test/helpers/fake-bridge/network.ts';
import {
  closeServer,
  generateKeys,
  loopbackServer,
  type RunningGateway,
  startGateway,
} from '../../test/sim/gateway-kit.ts';
import { packet } from '../../test/sim/packets.ts';
import { warnings } from './observe.ts';

export interface Half {
  readonly bridge: FakeBridge;
  readonly running: RunningGateway;
}

export interface BridgePair {
  readonly network: FakeNetwork;
  readonly alice: Half;
  readonly bob: Half;
  /** Of bob, and where the echo server is. */
  readonly echo: { readonly host: string; readonly port: number };
  /** Is alice's link in use? */
  isUp(): boolean;
  /** Bob's gateway ends; another with keys of its own dials alice for so long, and then bob is back. */
  impersonate(forMs: number): Promise<void>;
  /** Codes of what alice's log has warned of since the last call. */
  warned(): readonly string[];
  stop(): Promise<void>;
}

const ECHO_PORT = 7;

export async function startBridgePair(): Promise<BridgePair> {
  const network = new FakeNetwork();
  const [here, there] = [
    await FakeBridge.start({ network, temperament: 'i2pd-2.45' }),
    await FakeBridge.start({ network, temperament: 'i2pd-2.45' }),
  ];
  const [ofAlice, ofBob] = [generateKeys(), generateKeys()];
  const log: string[] = [];
  const echo = await loopbackServer((client) => client.pipe(client));
  const startBob = async (keys = ofBob) => {
    const started = await startGateway({ bridge: there, keys, peers: [ofAlice.destination.b32] });
    started.serve(started.addresses.oc, ECHO_PORT, echo);
    return started;
  };
  const alice = await startGateway({ bridge: here, keys: ofAlice, peers: [ofBob.destination.b32], log });
  let bob = await startBob();

  return {
    network,
    alice: { bridge: here, running: alice },
    get bob() {
      return { bridge: there, running: bob };
    },
    echo: { host: formatAddress(bob.addresses.oc), port: ECHO_PORT },
    isUp: () => alice.gateway.vpn?.links()[0]?.state.kind === 'up',
    impersonate: async (forMs) => {
      await bob.stop();
      // The link may well stand: i2pd tells nobody that a session is gone.
      const heardAt = () => alice.gateway.vpn?.links()[0]?.heardAt;
      const heardBefore = heardAt();
      const other = await startBob(generateKeys());
      other.tun.send(packet(other.addresses.oc, alice.addresses.oc, Buffer.from('it is me')));
      await pause(forMs);
      const isTaken = heardAt() !== heardBefore;
      await other.stop();
      bob = await startBob();
      if (isTaken) throw new Error('somebody with another key was taken for the peer');
    },
    warned: () => warnings(log.splice(0)),
    stop: async () => {
      await Promise.all([alice.stop(), bob.stop()]);
      await Promise.all([here.stop(), there.stop(), closeServer(echo)]);
    },
  };
}

/**
 * What a soak is about: the gateway as people run it, in a process of its own with a real interface, and its peer, which
 * is another whole gateway in this process; each has a SAM bridge that does what it is told.
 */

import type { B32 } from '../../src/wire/i2p/destination.ts';
import { DESTINATION_OFFSET, HEADER_LENGTH, NEXT_HEADER_OFFSET, SOURCE_OFFSET } from '../../src/wire/packet/ipv6.ts';
import { type Daemon, startDaemon } from '../../test/helpers/daemon.ts';
import { FakeBridge } from '../../test/helpers/fake-bridge/bridge.ts';
import { FakeNetwork } from '../../test/helpers/fake-bridge/network.ts';
import {
  closeServer,
  generateKeys,
  loopbackServer,
  type RunningGateway,
  startGateway,
} from '../../test/sim/gateway-kit.ts';

export interface Stage {
  readonly network: FakeNetwork;
  /** Under test, who it is, and the SAM bridge that it uses. */
  readonly daemon: Daemon;
  readonly own: B32;
  readonly bridge: FakeBridge;
  readonly peer: RunningGateway;
  readonly peerBridge: FakeBridge;
  /** Ends the peer and starts it again with the same keys. */
  restartPeer(): Promise<void>;
  stop(): Promise<void>;
}

/** Sends as many bytes as the line that it is sent says, and ends. */
export const SERVICE_PORT = 8_000;
const UDP = 17;
const ECHO_EVERY_MS = 20;
const ADDRESS_LENGTH = 16;
const LARGEST_ANSWER = 4 * 1024 * 1024;

/** Needs a network namespace of its own, and `dist/`. */
export async function setStage(): Promise<Stage> {
  const network = new FakeNetwork();
  const bridge = await FakeBridge.start({ network, temperament: 'i2pd-2.45' });
  const peerBridge = await FakeBridge.start({ network, temperament: 'i2pd-2.45' });
  const [keys, peerKeys] = [generateKeys(), generateKeys()];
  const service = await loopbackServer((client) => {
    client.once('data', (line) => {
      const bytes = Math.min(Number(line.toString('latin1').trim()) || 0, LARGEST_ANSWER);
      client.end(Buffer.alloc(bytes, 'soak'));
    });
  });
  const startPeer = async () => {
    const started = await startGateway({ bridge: peerBridge, keys: peerKeys, peers: [keys.destination.b32] });
    started.serve(started.addresses.oc, SERVICE_PORT, service);
    return started;
  };
  let peer = await startPeer();
  const echo = setInterval(() => echoAll(peer), ECHO_EVERY_MS);
  const daemon = await startDaemon({
    bridge: bridge.address,
    keys,
    vpn: true,
    withHeapProbe: true,
    socks: 'resolve = true\nudp = true\nhandshake_timeout = "5s"\nconnect_timeout = "10s"',
    config: [
      '[limits]\nisolated_sessions = 4\nisolated_idle = "30s"',
      '[log]\nlevel = "warn"',
      `[[peer]]\nname = "peer"\ndestination = "${peerKeys.destination.b32}.b32.i2p"\nallow = ["all"]`,
    ].join('\n'),
  });
  return {
    network,
    daemon,
    own: keys.destination.b32,
    bridge,
    peerBridge,
    get peer() {
      return peer;
    },
    restartPeer: async () => {
      await peer.stop();
      peer = await startPeer();
    },
    stop: async () => {
      clearInterval(echo);
      await daemon.stop();
      await peer.stop();
      await closeServer(service);
      await Promise.all([bridge.stop(), peerBridge.stop()]);
    },
  };
}

/** The host behind the peer: sends back every datagram. Two swaps of two words leave its checksum right. */
function echoAll({ tun }: RunningGateway): void {
  for (const packet of tun.delivered.splice(0)) {
    if (packet[NEXT_HEADER_OFFSET] !== UDP) continue;
    swap(packet, SOURCE_OFFSET, DESTINATION_OFFSET, ADDRESS_LENGTH);
    swap(packet, HEADER_LENGTH, HEADER_LENGTH + 2, 2);
    tun.send(packet);
  }
}

function swap(bytes: Buffer, one: number, other: number, length: number): void {
  const kept = Buffer.from(bytes.subarray(one, one + length));
  bytes.copy(bytes, one, other, other + length);
  kept.copy(bytes, other);
}

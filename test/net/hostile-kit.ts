/** A gateway on a real TUN interface and a peer of which the test plays every byte, with a fake bridge between them. */
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createTcpBridge } from '../../src/io/bridge-tcp.ts';
import { systemClock } from '../../src/io/clock.ts';
import { generateKeys } from '../../src/io/key-generate.ts';
import { parseIpv6 } from '../../src/wire/i2p/address.ts';
import { type Announcement, encodeKeepalive } from '../../src/wire/packet/keepalive.ts';
import { FakeBridge } from '../helpers/fake-bridge/bridge.ts';
import { FakeNetwork } from '../helpers/fake-bridge/network.ts';
import type { TemperamentName } from '../helpers/fake-bridge/temperament.ts';
import { until } from '../helpers/until.ts';
import { type RawPeer, rawPeer } from '../sim/raw-peer.ts';
import { type NetGateway, startNetGateway } from './gateway-kit.ts';
import { udpPacket } from './tun-kit.ts';

const PORT = 5_000;

export interface Stage {
  readonly bridge: FakeBridge;
  readonly gateway: NetGateway;
  readonly peer: RawPeer;
  end(): Promise<void>;
}

export async function stage(peerLines = '', temperament: TemperamentName = 'i2pd-2.45'): Promise<Stage> {
  const bridge = await FakeBridge.start({ network: new FakeNetwork(), temperament });
  const peer = await rawPeer(bridge);
  const gateway = await startNetGateway({
    bridge: createTcpBridge({ kind: 'tcp', ...bridge.address }, systemClock),
    keys: generateKeys(),
    config: `[[peer]]\nname = "p"\ndestination = "${peer.b32}.b32.i2p"\nconnect = "demand"\n${peerLines}`,
  });
  await until('the gateway accepts', () => gateway.gateway.accepting.armed > 0);
  return {
    bridge,
    gateway,
    peer,
    end: async () => {
      peer.close();
      await gateway.stop();
      await bridge.stop();
    },
  };
}

const SAYS_NOTHING: Announcement = { wantsAnswer: false, knowsFlows: false };

export function keepalive({ gateway, peer }: Pick<Stage, 'gateway' | 'peer'>, announcement: Announcement): Buffer {
  return encodeKeepalive({
    source: peer.addresses.oc,
    destination: gateway.addresses.oc,
    flowLabel: 1,
    name: peer.b32,
    announcement,
  });
}

/** Behind a peer's keepalive everything may follow. */
export async function speak({ gateway, peer }: Stage, announcement: Announcement = SAYS_NOTHING) {
  const stream = await peer.connect(gateway.gateway.own.b32);
  stream.resume();
  stream.write(keepalive({ gateway, peer }, announcement));
  return stream;
}

export function bytesOf(text: string): Buffer {
  return parseIpv6(text) ?? assert.fail(text);
}

/** Also from and to addresses that no Address is. */
export function datagram(from: Buffer, to: Buffer, text: string): Buffer {
  return udpPacket(from, to, [4_000, PORT], Buffer.from(text));
}

/** What arrives by UDP at the port, with who sent it. */
export async function listener(where: string) {
  const heard: string[] = [];
  const socket = createSocket({ type: 'udp6' });
  socket.on('message', (bytes, { address }) => heard.push(`${address} ${bytes}`));
  socket.bind(PORT, where);
  await once(socket, 'listening');
  return { socket, heard };
}

export function drops(gateway: NetGateway) {
  return gateway.gateway.vpn?.links()[0]?.drops ?? assert.fail('no link');
}

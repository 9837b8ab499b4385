/**
 * UDP of SOCKS clients to a peer of the VPN: over the real TUN and the real firewall, out of the gateway's own address, and
 * back. The gateway is the one that people run; the peer is played packet by packet.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import type { Duplex } from 'node:stream';
import { generateKeys } from '../../src/io/key-generate.ts';
import { type Address, addressesOf } from '../../src/wire/i2p/address.ts';
import { HEADER_LENGTH, packetLength } from '../../src/wire/packet/ipv6.ts';
import { encodeKeepalive } from '../../src/wire/packet/keepalive.ts';
import { startDaemon } from '../helpers/daemon.ts';
import { FakeBridge } from '../helpers/fake-bridge/bridge.ts';
import { FakeNetwork } from '../helpers/fake-bridge/network.ts';
import { UdpClient, udpHeader } from '../helpers/udp-client.ts';
import { until } from '../helpers/until.ts';
import { type RawPeer, rawPeer } from '../sim/raw-peer.ts';
import { declareScenarios } from './namespace.ts';
import { udp } from './peer-packets.ts';

const ECHO_PORT = 7;
const OTHER_PORT = 9_000;
const UDP_HEADER = 8;
const UDP = 17;

interface Seen {
  readonly from: string;
  readonly to: string;
  readonly text: string;
}

/** Sends every datagram to its echo port back to where it came from, and one from another of its ports. */
async function beEcho(peer: RawPeer, gateway: Address, seen: Seen[]): Promise<Duplex> {
  const { stream } = await peer.accept();
  const announcement = { wantsAnswer: false, knowsFlows: false };
  const envelope = { source: peer.addresses.oc, destination: gateway, flowLabel: 1, name: peer.b32, announcement };
  stream.write(encodeKeepalive(envelope));
  let held: Buffer = Buffer.alloc(0);
  stream.on('data', (chunk: Buffer) => {
    held = Buffer.concat([held, chunk]);
    while (held.length >= HEADER_LENGTH && held.length >= packetLength(held, 0)) {
      const packet = held.subarray(0, packetLength(held, 0));
      held = held.subarray(packet.length);
      if (packet[6] !== UDP) continue;
      const [from, to] = [packet.subarray(8, 24), packet.subarray(24, 40)];
      const text = packet.toString('latin1', HEADER_LENGTH + UDP_HEADER);
      seen.push({ from: from.toString('hex'), to: to.toString('hex'), text });
      const client = packet.readUInt16BE(HEADER_LENGTH);
      stream.write(udp({ from: to, to: from }, [ECHO_PORT, client], `echo of ${text}`));
      stream.write(udp({ from: to, to: from }, [OTHER_PORT, client], 'unasked'));
    }
  });
  return stream.resume();
}

await declareScenarios(import.meta.filename, {
  'datagrams reach a peer through the TUN and come back; the firewall stops what nobody asked for': {
    longestMs: 60_000,
    run: async () => {
      const bridge = await FakeBridge.start({ network: new FakeNetwork(), temperament: 'i2pd-2.45' });
      const peer = await rawPeer(bridge);
      const keys = generateKeys();
      const own = addressesOf(keys.destination.b32).oc;
      const seen: Seen[] = [];
      // Before anybody calls: a router lets a stream hang that nobody accepts.
      const serving = beEcho(peer, own, seen);
      const daemon = await startDaemon({
        bridge: bridge.address,
        vpn: true,
        keys,
        config: `[[peer]]\nname = "echo"\ndestination = "${peer.b32}.b32.i2p"`,
      });
      const client = await UdpClient.associate({ host: '127.0.0.1', port: daemon.socksPort });
      const oc = peer.addresses.oc.toString('hex');
      try {
        for (const host of [oc, 'echo.peer.b32.i2p', `${peer.b32}.b32.i2p`, `${peer.b32.slice(0, 16)}.oc.b32.i2p`]) {
          client.send(host, ECHO_PORT, Buffer.from(host));
          const answer = await client.receive(`the answer to ${host}`, ({ port }) => port === ECHO_PORT, 20_000);
          assert.deepEqual([answer.host, answer.payload.toString()], [oc, `echo of ${host}`]);
        }
        await serving;
        for (const { from, to } of seen) assert.deepEqual([from, to], [own.toString('hex'), oc]);
        assert.ok(!client.received.some(({ port }) => port === OTHER_PORT), 'from a port that was not written to');
        const counted = async () => (await daemon.status()).socks[0]?.udp?.counters ?? assert.fail('no UDP');
        const { sent, received } = await counted();
        assert.deepEqual([sent, received], [seen.length, seen.length]);
        // The way to the peer is taken away from under the association.
        execFileSync('ip', ['link', 'set', 'garli0', 'down']);
        await until('the kernel has no way for it', async () => {
          client.send(oc, ECHO_PORT, Buffer.from('into the void'));
          return ((await counted())['kernelRefused'] ?? 0) > 0;
        });
      } finally {
        client.close();
        peer.close();
        await daemon.stop();
        await bridge.stop();
      }
    },
  },
  'a client that comes by a link-local address gets its association on that link': {
    prepare:
      'ip link add near type veth peer name far; ip link set far up; ip link set near up; ip -6 addr add fe80::9/64 dev near nodad',
    run: async () => {
      const bridge = await FakeBridge.start({ network: new FakeNetwork(), temperament: 'i2pd-2.45' });
      const daemon = await startDaemon({ bridge: bridge.address, listen: '[::]:9160', socks: 'open = true' });
      const [host, port] = ['fe80::9%near', 9160];
      const client = await UdpClient.associate({ host, port });
      assert.match(client.relay.address, /^fe80:.*:0009$/);
      client.udp.send(Buffer.concat([udpHeader('nobody.i2p', 7), Buffer.from('hello')]), client.relay.port, host);
      const counters = async () => (await daemon.status()).socks[0]?.udp?.counters ?? assert.fail('no UDP');
      await until('it is the client who has sent', async () => ((await counters())['nameFailed'] ?? 0) === 1);
      assert.equal((await counters())['foreignSource'], 0);
      client.close();
      await daemon.stop();
      await bridge.stop();
    },
  },
});

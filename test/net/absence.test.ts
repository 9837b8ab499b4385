/**
 * A TCP connection to a peer that is away, on a real TUN: the kernel of this host asks on without long pauses, so that it is heard
 * as soon as the peer is back.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { createTcpBridge } from '../../src/io/bridge-tcp.ts';
import { systemClock } from '../../src/io/clock.ts';
import { generateKeys } from '../../src/io/key-generate.ts';
import { formatAddress } from '../../src/wire/i2p/address.ts';
import { FakeBridge } from '../helpers/fake-bridge/bridge.ts';
import { FakeNetwork } from '../helpers/fake-bridge/network.ts';
import { until } from '../helpers/until.ts';
import { rawPeer } from '../sim/raw-peer.ts';
import { startNetGateway } from './gateway-kit.ts';
import { keepalive } from './hostile-kit.ts';
import { declareScenarios } from './namespace.ts';
import { FLAG, tcp } from './peer-packets.ts';

const PORT = 7_000;
const AGE_MS = 1_000;
/** The peer has gone, and nobody knows it yet: the pauses grow to more than packets wait. */
const UNNOTICED_MS = 3_500;
const AWAY_MS = 10_000;
/** By then the kernel would wait for 6 s and more, and for 3 s if each doubling were only taken back once. */
const SHORT_MS = 2_000;

/** What a peer hears: whole packets, one after the other. */
function packetsFrom(stream: Duplex): Buffer[] {
  const packets: Buffer[] = [];
  let held = Buffer.alloc(0);
  stream.on('data', (bytes: Buffer) => {
    held = Buffer.concat([held, bytes]);
    while (held.length >= 40 && held.length >= 40 + held.readUInt16BE(4)) {
      const length = 40 + held.readUInt16BE(4);
      packets.push(held.subarray(0, length));
      held = held.subarray(length);
    }
  });
  stream.on('error', () => {}).resume();
  return packets;
}

/** Milliseconds after which the kernel repeats what the peer has not acknowledged, as it is now. */
function retransmissionTimeout(): number {
  const said = execFileSync('ss', ['-6tniH', 'dport', '=', `:${PORT}`], { encoding: 'utf8' });
  const [, timeout] = /\brto:(\d+)/.exec(said) ?? assert.fail(`no connection: ${said}`);
  return Number(timeout);
}

await declareScenarios(import.meta.filename, {
  'a connection whose peer is away for long goes on asking, and is heard as soon as the peer is back': {
    run: async () => {
      const network = new FakeNetwork();
      const bridge = await FakeBridge.start({ network, temperament: 'i2pd-2.45' });
      const peer = await rawPeer(bridge);
      const gateway = await startNetGateway({
        bridge: createTcpBridge({ kind: 'tcp', ...bridge.address }, systemClock),
        keys: generateKeys(),
        config: `[[peer]]\nname = "p"\ndestination = "${peer.b32}.b32.i2p"\n[vpn.queue]\nage = "${AGE_MS}ms"`,
        firewall: true,
      });
      await until('the gateway accepts', () => gateway.gateway.accepting.armed > 0);
      const envelope = { from: peer.addresses.oc, to: gateway.addresses.oc };
      const speak = async () => {
        const stream = await peer.connect(gateway.gateway.own.b32);
        const packets = packetsFrom(stream);
        stream.write(keepalive({ gateway, peer }, { wantsAnswer: false, knowsFlows: false }));
        return { stream, segments: () => packets.filter((packet) => packet[6] === 6) };
      };

      const before = await speak();
      const socket = connect({ host: formatAddress(peer.addresses.oc), port: PORT });
      socket.on('error', () => {}); // It ends with a reset, and with nothing before.
      await until('an attempt to connect', () => before.segments().length > 0);
      const [attempt = assert.fail()] = before.segments();
      const [ownPort, sequence] = [attempt.readUInt16BE(40), attempt.readUInt32BE(44)];
      before.stream.write(tcp(envelope, [PORT, ownPort], FLAG.syn | FLAG.ack, [9, (sequence + 1) >>> 0]));
      await until('the connection stands', () => !socket.connecting);

      socket.write('are you there?');
      await pause(UNNOTICED_MS);
      network.offline(peer.b32, 'unreachable');
      network.cut(peer.b32, 'reset');
      await until('the link is down', () => gateway.gateway.vpn?.links()[0]?.state.kind !== 'up');
      await pause(AWAY_MS);
      const timeout = retransmissionTimeout();
      assert.ok(timeout <= SHORT_MS, `${timeout}`);

      network.online(peer.b32);
      const again = await speak();
      const asks = () => again.segments().some((packet) => packet.includes('are you there?'));
      await until('the question', asks, SHORT_MS);
      again.stream.write(tcp(envelope, [PORT, ownPort], FLAG.rst | FLAG.ack, [10, (sequence + 15) >>> 0]));
      await until('its end', () => socket.destroyed);
      peer.close();
      await gateway.stop();
      await bridge.stop();
    },
  },
});

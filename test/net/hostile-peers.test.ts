/**
 * Peers that mean harm, and an OnionCat, against a gateway whose TUN interface is real: what the kernel of this host gets
 * to see, and what it does not.
 */
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { createTcpBridge } from '../../src/io/bridge-tcp.ts';
import { systemClock } from '../../src/io/clock.ts';
import { generateKeys } from '../../src/io/key-generate.ts';
import { isSame } from '../../src/kit/same.ts';
import { formatAddress } from '../../src/wire/i2p/address.ts';
import { formatAllowRule } from '../../src/wire/packet/allow-rule.ts';
import { FakeBridge } from '../helpers/fake-bridge/bridge.ts';
import { FakeNetwork } from '../helpers/fake-bridge/network.ts';
import { OnionCat } from '../helpers/onioncat.ts';
import { until } from '../helpers/until.ts';
import { rawPeer } from '../sim/raw-peer.ts';
import { startNetGateway } from './gateway-kit.ts';
import { bytesOf, datagram, drops, keepalive, listener, speak, stage } from './hostile-kit.ts';
import { declareScenarios } from './namespace.ts';
import { ip, kernelCounter, onesSum, udpPacket } from './tun-kit.ts';

const run = promisify(execFile);
const LAN = 'fd12:3456:789a::1';
const BEHIND = 'fd12:3456:789a::2';

/** One long packet of TCP with a right checksum, to a port where nobody listens. */
function row(from: Buffer, to: Buffer, payload: number, { offset = 0x50, flags = 0x10 } = {}): Buffer {
  const packet = Buffer.alloc(60 + payload, 0x5a);
  packet.writeUInt32BE(0x6000_0000, 0);
  packet.writeUInt16BE(20 + payload, 4);
  packet.set([6, 64], 6);
  packet.set(from, 8);
  packet.set(to, 24);
  packet.writeUInt16BE(4_000, 40);
  packet.writeUInt16BE(9, 42);
  packet.set([offset, flags], 52);
  packet.writeUInt16BE(0, 56);
  packet.writeUInt16BE(~onesSum(packet) & 0xffff, 56);
  return packet;
}

await declareScenarios(import.meta.filename, {
  "a peer speaks in its own name, then in everybody else's: the kernel sees its own alone, and the rest is counted": {
    run: async () => {
      const set = await stage();
      const { gateway, peer } = set;
      const { socket, heard } = await listener('::');
      const stream = await speak(set);
      const own = gateway.addresses.oc;
      const liars = [
        ...Array.from({ length: 3 }, () => Buffer.concat([own.subarray(0, 6), randomBytes(10)])),
        own,
        gateway.addresses.ocat4,
        Buffer.concat([own.subarray(0, 6), Buffer.alloc(10)]),
        ...['::1', '::', 'fe80::1', 'ff02::1', '2001:db8::1', '::ffff:127.0.0.1'].map(bytesOf),
      ];
      stream.write(datagram(peer.addresses.oc, own, 'first'));
      for (const liar of liars) stream.write(datagram(liar, own, 'lie'));
      stream.write(datagram(peer.addresses.ocat4, own, 'last'));
      await until('the last one', () => heard.some((line) => line.endsWith('last')));
      assert.deepEqual(heard, [
        `${formatAddress(peer.addresses.oc)} first`,
        `${formatAddress(peer.addresses.ocat4)} last`,
      ]);
      assert.equal(drops(gateway).foreignSource, liars.length);
      socket.close();
      await set.end();
    },
  },
  'a peer aims at what lies behind this host, which forwards: nothing gets there': {
    prepare: [
      'sysctl -qw net.ipv6.conf.all.forwarding=1',
      'ip link add lan type veth peer name far',
      `ip -6 addr add ${LAN}/64 dev lan nodad`,
      'ip link set lan up; ip link set far up',
    ].join('; '),
    run: async () => {
      const set = await stage();
      const { gateway, peer } = set;
      const forwarded = () => {
        const [, count] = /^Ip6OutForwDatagrams\s+(\d+)$/m.exec(readFileSync('/proc/net/snmp6', 'utf8')) ?? [];
        return Number(count);
      };
      const stream = await speak(set);
      const targets = [BEHIND, LAN, '::1', 'fe80::1', 'ff02::1', '2001:db8::9'].map(bytesOf);
      for (const to of targets) for (let n = 0; n < 20; n += 1) stream.write(datagram(peer.addresses.oc, to, 'in'));
      await until('all have come', () => drops(gateway).foreignDestination === targets.length * 20);
      assert.equal(forwarded(), 0);
      // Without our check the kernel would have: this one goes past it.
      gateway.tun.write(datagram(peer.addresses.oc, bytesOf(BEHIND), 'past'));
      await until('the kernel forwards', () => forwarded() === 1);
      await set.end();
    },
  },
  'a peer that takes big packets sends long lies: its own kind of row alone is one, and whoever follows is served': {
    run: async () => {
      const set = await stage();
      const { gateway, peer } = set;
      const { socket, heard } = await listener(formatAddress(gateway.addresses.oc));
      const [from, to] = [peer.addresses.oc, gateway.addresses.oc];
      const says = { wantsAnswer: false, knowsFlows: false, mtu: 1_500 };
      const stream = await speak(set, { ...says, takesBig: true });
      await until('it is believed', () => gateway.gateway.vpn?.links()[0]?.bigPackets === 'agreed');
      const resets = kernelCounter('TcpOutRsts');
      const wrong = row(from, to, 40_000);
      wrong.writeUInt8(wrong.readUInt8(30_000) ^ 1, 30_000);
      const strangers = Array.from({ length: 3 }, () =>
        row(Buffer.concat([to.subarray(0, 6), randomBytes(10)]), to, 65_000),
      );
      stream.write(
        Buffer.concat([
          ...strangers,
          wrong,
          row(from, to, 65_515),
          // Whose headers leave no room for a packet of the agreed size, end behind the packet, or are none.
          row(from, to, 1_461),
          row(from, to, 40_000, { offset: 0xf0 }),
          row(from, to, 40_000, { offset: 0x10 }),
          // What no row has: the flags of an opening, and of urgent bytes.
          row(from, to, 40_000, { flags: 0x02 }),
          row(from, to, 40_000, { flags: 0x30 }),
          row(from, to, 40_000, { flags: 0xff }),
          udpPacket(from, to, [4_000, 9], randomBytes(60_000)),
          datagram(from, to, 'behind them'),
        ]),
      );
      await until('what follows', () => heard.length > 0);
      assert.deepEqual(heard, [`${formatAddress(from)} behind them`]);
      assert.equal(drops(gateway).foreignSource, strangers.length);
      assert.equal(kernelCounter('TcpInCsumErrors'), 1);
      // Nobody listens there: each that was understood is refused.
      assert.ok(kernelCounter('TcpOutRsts') >= resets + 2);

      // It takes them no longer, and what is long goes to the kernel as it is.
      stream.write(Buffer.concat([keepalive(set, says), row(from, to, 40_000), datagram(from, to, 'last')]));
      await until('the last one', () => heard.length === 2);
      assert.equal(gateway.gateway.vpn?.links()[0]?.bigPackets, 'off');
      socket.close();
      await set.end();
    },
  },
  'one bad byte ends the stream, nothing behind it is a packet, and the next stream works': {
    run: async () => {
      const set = await stage();
      const { gateway, peer } = set;
      const { socket, heard } = await listener(formatAddress(gateway.addresses.oc));
      const good = (text: string) => datagram(peer.addresses.oc, gateway.addresses.oc, text);
      const stream = await speak(set);
      stream.write(Buffer.concat([good('before'), Buffer.from([0x45]), good('behind')]));
      await once(stream, 'end');
      const next = await speak(set);
      next.write(good('on the next'));
      await until('the next one', () => heard.length >= 2);
      const from = formatAddress(peer.addresses.oc);
      assert.deepEqual(heard, [`${from} before`, `${from} on the next`]);
      socket.close();
      await set.end();
    },
  },
  'both loopbacks answer ping, the second one by way of the router, whichever it is': {
    run: async () => {
      for (const temperament of ['i2pd-2.45', 'i2pd-2.59', 'java'] as const) {
        const set = await stage('', temperament);
        for (const name of ['dead', 'feed']) {
          const address = `fd60:db4d:ddb5::${name}:beef`;
          const { stdout } = await run('ping', ['-6', '-c', '3', '-i', '0.2', '-W', '5', address]);
          assert.match(stdout, /3 packets transmitted, 3 received/);
        }
        assert.equal(set.gateway.gateway.vpn?.ownEcho().state, 'up');
        await set.end();
      }
    },
  },
  'an OnionCat asks whose our address is, through the tunnel, and is told; a peer of our kind is not': {
    run: async () => {
      const { gateway, server, other, ask, end } = await withOnionCat(false);
      // What this host sends to it comes from the address that it knows; to others from the usual one.
      for (const [peer, source] of [
        [server, gateway.addresses.ocat4],
        [other, gateway.addresses.oc],
      ] as const) {
        for (const to of [peer.addresses.oc, peer.addresses.ocat4]) {
          assert.match(ip('-6', 'route', 'get', formatAddress(to)), new RegExp(`src ${formatAddress(source)} `));
        }
      }
      assert.equal(gateway.gateway.dns?.problem(), undefined);
      await ask();
      await until('it was heard', () => gateway.gateway.dns?.counters().notAPeer === 1);
      await end();
    },
  },
  'where every peer is denied everything, an OnionCat is told all the same, and a peer of our kind does not get so far':
    {
      run: async () => {
        const { gateway, ask, mayAsk, end } = await withOnionCat(true);
        await until('the ports are open to it', () => isSame(mayAsk(), ['udp/53', 'udp/8060']));
        await ask();
        const denied = () =>
          execFileSync('nft', ['list', 'counter', 'ip6', 'garligate', 'denied'], { encoding: 'utf8' });
        await until('it was refused', () => denied().includes('packets 1 '));
        assert.equal(gateway.gateway.dns?.counters().notAPeer, 0);
        await end();
      },
    },
  'where another name server of this host has the port, an OnionCat does not reach that one': {
    run: async () => {
      const heard: string[] = [];
      const another = createSocket('udp6', (bytes) => heard.push(String(bytes)));
      another.bind(53, '::');
      await once(another, 'listening');
      const { gateway, cat, mayAsk, end } = await withOnionCat(true);
      await until('the other port is open to it', () => isSame(mayAsk(), ['udp/8060']));
      assert.match(gateway.gateway.dns?.problem()?.message ?? '', /UDP port 53 .* peers are kept from it/);
      const { ocat4 } = gateway.addresses;
      const asks = (port: number) => cat.send(udpPacket(cat.address, ocat4, [4_001, port], question(ocat4)));
      asks(8060);
      await until('it has dialled', () => cat.peers.length === 1);
      for (const port of [53, 53, 8060]) asks(port);
      await until('an answer', () => cat.delivered.some((one) => one[6] === 17));
      assert.deepEqual(heard, []);
      another.close();
      await end();
    },
  },
});

/** A gateway with two peers of which neither has rules: an OnionCat, and one of our kind. */
async function withOnionCat(firewall: boolean) {
  const bridge = await FakeBridge.start({ network: new FakeNetwork(), temperament: 'i2pd-2.45' });
  const [server, other] = [await rawPeer(bridge), await rawPeer(bridge)];
  const gateway = await startNetGateway({
    bridge: createTcpBridge({ kind: 'tcp', ...bridge.address }, systemClock),
    keys: generateKeys(),
    firewall,
    config: [
      `[[peer]]\nname = "cat"\ndestination = "${server.b32}.b32.i2p"\ncompat = "onioncat4"\nconnect = "demand"`,
      `[[peer]]\nname = "other"\ndestination = "${other.b32}.b32.i2p"\nconnect = "demand"`,
    ].join('\n'),
  });
  await until('the gateway accepts', () => gateway.gateway.accepting.armed > 0);
  assert.equal(gateway.tun.state(), 'up');
  const cat = new OnionCat({
    name: server.b32,
    clock: systemClock,
    dial: (to) => server.connect(to),
    accept: async () => (await server.accept()).stream,
  });
  cat.start();
  cat.knows(gateway.gateway.own.b32);
  return {
    gateway,
    server,
    other,
    cat,
    /** What the rules let the OnionCat reach. */
    mayAsk: () => gateway.gateway.peers.byB32(server.b32)?.allow.map(formatAllowRule),
    /** The OnionCat asks at each of the two ports and is answered; then the other one asks. */
    ask: async () => {
      const { ocat4, oc } = gateway.addresses;
      const asks = (port: number, about: Buffer) =>
        cat.send(udpPacket(cat.address, ocat4, [4_001, port], question(about)));
      // The first question is lost, as with every OnionCat: there is no stream yet.
      asks(53, ocat4);
      await until('it has dialled', () => cat.peers.length === 1);
      asks(53, ocat4);
      asks(8060, oc);
      const answers = () => cat.delivered.filter((one) => one[6] === 17).map((one) => one.subarray(48));
      await until('two answers', () => answers().length === 2);
      for (const answer of answers()) {
        assert.equal(answer.length, 164);
        assert.ok(answer.includes(`${String.fromCharCode(52)}${gateway.gateway.own.b32}\x03b32\x03i2p\0`));
      }
      const stream = await other.connect(gateway.gateway.own.b32);
      stream.resume();
      stream.write(udpPacket(other.addresses.oc, oc, [4_001, 53], question(oc)));
    },
    end: async () => {
      cat.stop();
      for (const one of [server, other]) one.close();
      await gateway.stop();
      await bridge.stop();
    },
  };
}

/** 90 bytes, as OnionCat 4.11 sends them. */
function question(about: Buffer): Buffer {
  const labels = [...about.toString('hex')].reverse().map((digit) => `\x01${digit}`);
  const name = Buffer.from(`${labels.join('')}\x03ip6\x04arpa\0\0\x0c\0\x01`, 'latin1');
  return Buffer.concat([Buffer.from('dec300000001000000000000', 'hex'), name]);
}

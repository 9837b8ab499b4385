/**
 * What this host sends by mistake, and what strangers and peers send on purpose, against a gateway whose TUN interface is
 * real: threats that end at the gateway, and must leave it as it was.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { generateKeys } from '../../src/io/key-generate.ts';
import { addressesOf, addressKey, formatAddress } from '../../src/wire/i2p/address.ts';
import type { Destination } from '../../src/wire/i2p/destination.ts';
import { encodeKeepalive } from '../../src/wire/packet/keepalive.ts';
import { startDaemon } from '../helpers/daemon.ts';
import { FakeBridge } from '../helpers/fake-bridge/bridge.ts';
import { FakeNetwork } from '../helpers/fake-bridge/network.ts';
import { until } from '../helpers/until.ts';
import { rawPeer } from '../sim/raw-peer.ts';
import { bytesOf, datagram, drops, listener, type Stage, speak, stage } from './hostile-kit.ts';
import { declareScenarios } from './namespace.ts';
import { fragments, icmp, tcp, udp } from './peer-packets.ts';

const LAN = 'fd12:3456:789a::1';
const STRANGERS = 10_000;
const AT_ONCE = 100;
/** By then the heap holds whatever many strangers at once need. */
const FIRST_STRANGERS = 1_000;
const MORE_STRANGERS = 3_000;
/** A name alone, as the key of a map, takes some 100 bytes; what else comes and goes on the heap meanwhile is 20 for each. */
const LEAST_OF_A_STRANGER = 64;
const START_MS = 20_000;

/** What the kernel has been given through the interface. */
function handedOver(name: string): number {
  return Number(readFileSync(`/sys/class/net/${name}/statistics/rx_packets`, 'utf8'));
}

/** Speaks, writes what is hostile on a stream of its own, and waits until the gateway has seen it. */
async function hostile(set: Stage, bytes: Buffer, pieces: number): Promise<Duplex> {
  const stream = await speak(set);
  stream.on('error', () => {});
  for (let at = 0; at < bytes.length; at += pieces) stream.write(bytes.subarray(at, at + pieces));
  return stream;
}

/** Each with a destination of its own, and with the words of a gateway of ours. */
async function strangersCome(count: number, bridge: FakeBridge, to: Pick<Destination, 'b32'>): Promise<void> {
  let opened = 0;
  const be = async () => {
    while (opened < count) {
      opened += 1;
      const stranger = await rawPeer(bridge);
      const stream = await stranger.connect(to.b32);
      stream.on('error', () => {});
      stream.resume();
      stream.write(
        encodeKeepalive({
          source: stranger.addresses.oc,
          destination: addressesOf(to.b32).oc,
          flowLabel: 1,
          name: stranger.b32,
          announcement: { wantsAnswer: true, knowsFlows: true },
        }),
      );
      await once(stream, 'end');
      stranger.close();
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, be));
}

await declareScenarios(import.meta.filename, {
  "a packet that leaves with this host's real address never reaches the router": {
    prepare: `ip -6 addr add ${LAN}/128 dev lo nodad`,
    run: async () => {
      const set = await stage();
      const { gateway, peer } = set;
      const stream = await speak(set);
      const came: Buffer[] = [];
      stream.on('data', (bytes: Buffer) => came.push(bytes));
      const to = formatAddress(peer.addresses.oc);
      const send = async (from: string, text: string, times: number) => {
        const socket = createSocket('udp6').bind(0, from);
        await once(socket, 'listening');
        socket.on('error', () => {});
        for (let n = 0; n < times; n += 1) await new Promise((resolve) => socket.send(text, 9, to, resolve));
        socket.close();
      };
      await send(LAN, 'who we are', 50);
      await until('all were seen', () => gateway.gateway.vpn?.drops().foreignSource === 50);
      await send(formatAddress(gateway.addresses.oc), 'in our name', 1);
      await until('the right one has come', () => Buffer.concat(came).includes('in our name'));
      assert.equal(Buffer.concat(came).includes('who we are'), false);
      assert.equal(Buffer.concat(came).includes(bytesOf(LAN)), false);
      await set.end();
    },
  },
  'ten thousand strangers open a stream each: nothing is kept of them, and nobody is dialled': {
    longestMs: 120_000,
    run: async () => {
      const set = await stage();
      const { bridge, gateway } = set;
      const { inbound, own } = gateway.gateway;
      await strangersCome(STRANGERS, bridge, own);
      assert.equal(inbound.counters().refusedStranger, STRANGERS);
      assert.equal(inbound.counters().accepted, 0);
      const ours = bridge.commands.filter(({ line }) => /^STREAM CONNECT ID=garligate-/.test(line));
      assert.deepEqual([ours, gateway.gateway.vpn?.links()[0]?.traffic.dials], [[], 0]);
      assert.equal(gateway.gateway.peers.list().length, 1);
      assert.equal(gateway.gateway.relay.active, 0);
      await speak(set);
      await until('a peer is heard as ever', () => inbound.counters().accepted === 1);
      await set.end();
    },
  },
  'strangers leave nothing behind in the memory of a gateway, nor a descriptor': {
    longestMs: 60_000,
    run: async () => {
      const bridge = await FakeBridge.start({ network: new FakeNetwork(), temperament: 'i2pd-2.45' });
      const keys = generateKeys();
      const config = `[[peer]]\nname = "p"\ndestination = "${generateKeys().destination.b32}.b32.i2p"\nconnect = "demand"`;
      const daemon = await startDaemon({ bridge: bridge.address, vpn: true, keys, config, withHeapProbe: true });
      const inbound = async () => (await daemon.status()).inbound;
      await until('it accepts', async () => (await inbound()).armed === 1, START_MS);
      const descriptors = daemon.descriptors();
      await strangersCome(FIRST_STRANGERS, bridge, keys.destination);
      const { living } = await daemon.inside();
      await strangersCome(MORE_STRANGERS, bridge, keys.destination);
      assert.equal((await inbound()).counters['refusedStranger'], FIRST_STRANGERS + MORE_STRANGERS);
      const kept = (await daemon.inside()).living - living;
      assert.ok(kept < MORE_STRANGERS * LEAST_OF_A_STRANGER, `${Math.round(kept / MORE_STRANGERS)} bytes of each`);
      await until('all descriptors are back', () => daemon.descriptors() <= descriptors).catch((error) => {
        assert.fail(`${error}: ${daemon.descriptors()} and not ${descriptors}`);
      });
      await daemon.stop();
      await bridge.stop();
    },
  },
  'whatever a peer sends in place of packets, the kernel gets none of it, and the next packet arrives': {
    run: async () => {
      const set = await stage();
      const { gateway, peer } = set;
      const { socket, heard } = await listener('::');
      const envelope = { from: peer.addresses.oc, to: gateway.addresses.oc };
      const good = datagram(peer.addresses.oc, gateway.addresses.oc, 'good');
      const changed = (at: number, ...bytes: readonly number[]) => {
        const packet = Buffer.from(good);
        packet.set(bytes, at);
        return packet;
      };
      const worthless = [
        good.subarray(0, 39),
        good.subarray(0, good.length - 1),
        changed(4, 0xff, 0xff),
        Buffer.alloc(60, 0x45),
        Buffer.alloc(4_000, 0xff),
        Buffer.from('SSH-2.0-OpenSSH_9.2\r\n'),
      ];
      for (const bytes of worthless) {
        for (const pieces of [1, bytes.length]) {
          const before = handedOver(gateway.tun.name);
          const stream = await hostile(set, bytes, pieces);
          stream.end();
          await until('it is over', () => stream.destroyed || stream.readableEnded);
          assert.equal(handedOver(gateway.tun.name), before);
        }
      }
      // Well-formed for the wire, and the kernel's to judge: it takes what is a packet, and answers nothing else.
      const odd = [
        // No payload, and a jumbogram's length (RFC 2675) without its option.
        changed(4, 0, 0).subarray(0, 40),
        tcp({ ...envelope, extensions: Array.from({ length: 50 }, () => 60) }, [1, 2], 0x02),
        tcp({ ...envelope, extensions: [0, 43, 60] }, [1, 2], 0x02),
        icmp(envelope, 255),
        ...fragments(udp(envelope, [1, 2], 'in two'), 8).slice(1),
      ];
      for (const packet of odd) {
        const stream = await hostile(set, Buffer.concat([packet, good]), 1);
        const count = heard.length;
        await until('the good one behind it', () => heard.length > count);
        stream.destroy();
      }
      const last = await speak(set);
      for (let at = 1; at < good.length; at += 1) {
        last.write(good.subarray(0, at));
        last.write(good.subarray(at));
      }
      const expected = odd.length + good.length - 1;
      await until('every split of it', () => heard.length === expected);
      assert.ok(heard.every((line) => line === `${formatAddress(peer.addresses.oc)} good`));
      assert.deepEqual([drops(gateway).foreignSource, drops(gateway).foreignDestination], [0, 0]);
      socket.close();
      await set.end();
    },
  },
  'two destinations with the same 80 bits are refused before anything stands, and one that looks like us': {
    run: () => {
      const directory = mkdtempSync(join(tmpdir(), 'garligate-alike-'));
      const ours = generateKeys();
      const keyFile = join(directory, 'identity.key');
      writeFileSync(keyFile, `${ours.blob.reveal()}\n`, { mode: 0o600 });
      const main = new URL('../../src/cli/main.ts', import.meta.url).pathname;
      const alike = (b32: string) => `${b32.slice(0, 16)}${'a'.repeat(35)}q`;
      const { b32 } = generateKeys().destination;
      for (const [one, other] of [
        [b32, alike(b32)],
        [b32, alike(ours.destination.b32)],
      ] as const) {
        const config = join(directory, 'garligate.toml');
        const peers = [one, other].map((name, at) => `[[peer]]\nname = "p${at}"\ndestination = "${name}.b32.i2p"`);
        writeFileSync(config, `[identity]\nkey_file = "${keyFile}"\n${peers.join('\n')}`, { mode: 0o600 });
        const run = () =>
          execFileSync(process.execPath, ['--import', import.meta.resolve('tsx'), main, 'run', '--config', config], {
            encoding: 'utf8',
            stdio: 'pipe',
          });
        assert.throws(run, (error: Error & { status?: number; stderr?: string }) => {
          assert.equal(error.status, 3);
          assert.match(error.stderr ?? '', /one of the two imitates the other|peer p1 has an address of this gateway/);
          return true;
        });
        assert.equal(execFileSync('ip', ['-o', 'link', 'show', 'type', 'tun'], { encoding: 'utf8' }), '');
      }
      rmSync(directory, { recursive: true });
    },
  },
  'what a peer says of itself and of others is not learnt, and not shown': {
    run: async () => {
      const set = await stage();
      const { gateway, peer } = set;
      const other = generateKeys().destination.b32;
      const stream = await speak(set);
      // The name in a keepalive: control characters, ANSI, the right-to-left override of bidi, a newline; and a third party.
      for (const name of ['\u001b[31mred\u001b[0m', '\u202eevil\u2066', 'two\nlines\r', '\0\u0007\u0008', `${other}`]) {
        const keepalive = encodeKeepalive({
          source: peer.addresses.oc,
          destination: gateway.addresses.oc,
          flowLabel: 1,
          name: peer.b32,
          announcement: { wantsAnswer: false, knowsFlows: true },
        });
        keepalive.fill(0, 41, 101);
        keepalive.write(name, 41);
        stream.write(keepalive);
      }
      stream.write(datagram(addressesOf(other).oc, gateway.addresses.oc, 'in its name'));
      await until('all of it was read', () => drops(gateway).foreignSource === 1);
      const { peers, vpn } = gateway.gateway;
      assert.equal(peers.list().length, 1);
      assert.equal(peers.byAddress(addressKey(addressesOf(other).oc)), undefined);
      const [link] = vpn?.links() ?? [];
      assert.deepEqual([link?.peer.name, link?.peer.b32, link?.lastError], ['p', peer.b32, undefined]);
      stream.write('\u001b[2Jnot a packet\u202e');
      await once(stream, 'end');
      const shown = JSON.stringify(vpn?.links().map(({ lastError, state }) => [lastError?.error.message, state]));
      assert.doesNotMatch(shown, /\\u00|\u202e|\u2066|red|evil|lines|not a packet/);
      assert.match(shown, /./);
      await set.end();
    },
  },
});

/**
 * A config file that is taken over while the gateway runs, with its real interface, its real firewall and a peer that does not
 * stop sending: who was removed reaches nothing any more from the moment on in which the command returns.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { SocksClient } from 'socks';
import { generateKeys } from '../../src/io/key-generate.ts';
import { flowAnswer } from '../../src/wire/flow/preface.ts';
import { type Addresses, addressesOf, formatAddress } from '../../src/wire/i2p/address.ts';
import { encodeKeepalive } from '../../src/wire/packet/keepalive.ts';
import { type Daemon, startDaemon } from '../helpers/daemon.ts';
import { FakeBridge } from '../helpers/fake-bridge/bridge.ts';
import { FakeNetwork } from '../helpers/fake-bridge/network.ts';
import { until } from '../helpers/until.ts';
import { type RawPeer, rawPeer } from '../sim/raw-peer.ts';
import { declareScenarios } from './namespace.ts';
import { ip, udpPacket } from './tun-kit.ts';

const PORT = 5_000;
const NETWORK = 'fd12:3456:789a::/48';
/** As long as whatever is still on its way could take. */
const AFTERWARDS_MS = 500;

function peerText(name: string, { b32 }: RawPeer, more = ''): string {
  return `[[peer]]\nname = "${name}"\ndestination = "${b32}.b32.i2p"\nconnect = "demand"\nallow = ["all"]\n${more}`;
}

/** Speaks without a pause until its stream is gone, and says how often. */
async function talk(peer: RawPeer, to: Addresses, b32: Parameters<RawPeer['connect']>[0], name: string) {
  const stream = await peer.connect(b32);
  const announcement = { wantsAnswer: false, knowsFlows: true };
  const envelope = { source: peer.addresses.oc, destination: to.oc, flowLabel: 1, name: peer.b32, announcement };
  stream.write(encodeKeepalive(envelope));
  stream.resume();
  const talker = { stream, said: 0, closed: false };
  stream.on('error', () => {}); // The end is what counts.
  const timer = setInterval(() => {
    talker.said += 1;
    stream.write(udpPacket(peer.addresses.oc, to.oc, [PORT, PORT], Buffer.from(`${name} ${talker.said}`)));
  }, 1);
  stream.once('close', () => {
    talker.closed = true;
    clearInterval(timer);
  });
  stream.once('end', () => stream.destroy());
  return talker;
}

/** What is heard at our port: the highest number of each peer. */
async function listen(address: string) {
  const heard = new Map<string, number>();
  const socket = createSocket('udp6', (bytes) => {
    const [name = '', number] = String(bytes).split(' ');
    heard.set(name, Number(number));
  });
  socket.bind(PORT, address);
  await once(socket, 'listening');
  return { heard, close: () => socket.close() };
}

/** A TCP service of this host. */
async function serve(address: string) {
  const server = createServer().listen(PORT, address);
  await once(server, 'listening');
  return server;
}

/** A flow of the peer to the service: what the peer has of it, and what the service has. */
async function flowInward(peer: RawPeer, b32: Parameters<RawPeer['connect']>[0], service: Server) {
  const served: Promise<Socket> = new Promise((resolve) => service.once('connection', resolve));
  const inward: Duplex = await peer.connect(b32);
  inward.write(Buffer.from([0xf6, 1, PORT >> 8, PORT & 0xff, 0]));
  return ended([inward, await served]);
}

/** A flow of a SOCKS client to the peer. */
async function flowOutward(peer: RawPeer, daemon: Daemon) {
  const accepted = peer.accept();
  const proxy = { host: '127.0.0.1', port: daemon.socksPort, type: 5 as const };
  const destination = { host: 'p.peer.b32.i2p', port: 80 };
  const connected = SocksClient.createConnection({ proxy, command: 'connect', destination });
  const { stream: outward } = await accepted;
  outward.write(flowAnswer('joined', 1));
  return ended([outward, (await connected).socket]);
}

/** Whether all of these have ended. */
function ended(streams: readonly Duplex[]): () => boolean {
  for (const stream of streams) stream.on('error', () => {}).resume();
  return () => streams.every(({ destroyed, readableEnded }) => destroyed || readableEnded);
}

await declareScenarios(import.meta.filename, {
  'a peer is removed while it sends, and comes back; whoever stays hears nothing of it': {
    longestMs: 60_000,
    run: async () => {
      const bridge = await FakeBridge.start({ network: new FakeNetwork(), temperament: 'i2pd-2.45' });
      const [peer, other] = [await rawPeer(bridge), await rawPeer(bridge)];
      const keys = generateKeys();
      const { b32 } = keys.destination;
      const mine = addressesOf(b32);
      const p = peerText('p', peer, `routes = ["${NETWORK}"]\n`);
      const daemon = await startDaemon({
        bridge: bridge.address,
        vpn: true,
        keys,
        config: `${peerText('q', other)}${p}`,
      });
      await until('a stream can come', async () => (await daemon.status()).inbound.armed > 0);
      const { heard, close } = await listen(formatAddress(mine.oc));
      const [talking, staying] = [await talk(peer, mine, b32, 'p'), await talk(other, mine, b32, 'q')];
      await until('both are heard', () => heard.size === 2);
      const service = await serve(formatAddress(mine.oc));
      const [inwardOver, outwardOver] = [await flowInward(peer, b32, service), await flowOutward(peer, daemon)];

      // Root's file, which the gateway may not read any more: it says what to do, and goes on.
      daemon.rewrite((text) => text.replace(p, ''), 0o600);
      assert.match(
        await daemon.command('reload'),
        /nothing was changed: .*may not read it.*chgrp garligate FILE; chmod 640 FILE/,
      );
      daemon.rewrite((text) => text.replace('[vpn]\n', '[vpn]\nmtu = 1400\n'));
      assert.match(await daemon.command('reload'), /nothing was changed: vpn\.mtu can only change with a restart/);
      daemon.rewrite((text) => text.replace('mtu = 1400', 'mtu = 14'));
      assert.match(await daemon.command('reload'), /garligate\.toml:\d+: .*mtu/);
      daemon.rewrite((text) => text.replace('mtu = 14\n', ''));
      assert.equal(talking.closed, false);
      assert.ok(ip('-6', 'route').includes(NETWORK));

      assert.equal((await daemon.command('reload')).trim(), 'removed: p');
      const [last, others] = [talking.said, staying.said];
      await pause(AFTERWARDS_MS);
      assert.ok((heard.get('p') ?? 0) <= last, `${heard.get('p')} of ${last} were heard`);
      assert.ok((heard.get('q') ?? 0) > others, 'who stays is still heard');
      assert.deepEqual([talking.closed, staying.closed], [true, false]);
      await until('its connections are over', () => inwardOver() && outwardOver());
      assert.ok(!ip('-6', 'route').includes(NETWORK));
      const rules = execFileSync('nft', ['list', 'table', 'ip6', 'garligate'], { encoding: 'utf8' });
      assert.ok(!rules.includes(formatAddress(peer.addresses.oc)) && rules.includes(formatAddress(other.addresses.oc)));

      // It is a stranger now.
      const { refusedStranger = 0 } = (await daemon.status()).inbound.counters;
      const again = await talk(peer, mine, b32, 'p');
      await until('it is refused', () => again.closed);
      assert.equal((await daemon.status()).inbound.counters['refusedStranger'], refusedStranger + 1);
      assert.ok((heard.get('p') ?? 0) <= last);

      heard.delete('p');
      daemon.rewrite((text) => `${text}\n${p}`);
      assert.equal((await daemon.command('reload')).trim(), 'added: p');
      const back = await talk(peer, mine, b32, 'p');
      await until('it is heard again', () => heard.has('p'));
      assert.ok(ip('-6', 'route').includes(NETWORK));
      const flowOver = await flowInward(peer, b32, service);
      const othersFlowOver = await flowInward(other, b32, service);
      daemon.rewrite((text) => text.replace(p, p.replace('"all"', '"icmp"')));
      assert.equal((await daemon.command('reload')).trim(), 'other rules for: p');
      heard.delete('p');
      await until('its flow is over', flowOver);
      await pause(AFTERWARDS_MS);
      assert.deepEqual([heard.has('p'), back.closed, othersFlowOver()], [false, false, false]);

      for (const { stream } of [back, staying]) stream.destroy();
      close();
      service.close();
      await daemon.stop();
      peer.close();
      other.close();
      await bridge.stop();
    },
  },
});

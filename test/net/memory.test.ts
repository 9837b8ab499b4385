/**
 * What the gateway as people run it holds while peers read nothing and this host floods them: the resident memory of its
 * process, as the kernel counts it, against the formula of docs/limits.md.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import type { Duplex } from 'node:stream';
import { text } from 'node:stream/consumers';
import { generateKeys } from '../../src/io/key-generate.ts';
import { addressesOf, formatAddress } from '../../src/wire/i2p/address.ts';
import type { PrivateKeys } from '../../src/wire/i2p/destination.ts';
import { encodeKeepalive } from '../../src/wire/packet/keepalive.ts';
import { type Daemon, startDaemon } from '../helpers/daemon.ts';
import { FakeBridge } from '../helpers/fake-bridge/bridge.ts';
import { FakeNetwork } from '../helpers/fake-bridge/network.ts';
import { until } from '../helpers/until.ts';
import { type RawPeer, rawPeer } from '../sim/raw-peer.ts';
import { declareScenarios } from './namespace.ts';

const MIB = 1024 * 1024;
const PEERS = 4;
/** To each peer, from ports of their own. */
const FLOWS = 3;
const PAYLOAD = 1_200;
/** IPv6 and UDP. */
const HEADERS = 48;
const BITS_PER_SECOND = 100e6;
/** GARLIGATE_FLOOD_S makes it longer, for who has the time. */
const FLOOD_S = Number(process.env['GARLIGATE_FLOOD_S'] ?? 14);
const KEEPALIVE_EVERY_MS = 2_000;
const LOOK_EVERY_MS = 100;
const START_MS = 20_000;
/** Of each direction of a connection: left alone, the kernel takes up to 20 MB on the way to a peer that reads nothing. */
const KERNEL_TAKES_LITTLE = 'for of in rmem wmem; do echo 4096 65536 65536 > /proc/sys/net/ipv4/tcp_$of; done';

/** Of docs/limits.md: queue, the piece that the first packet of each flow hangs on, batch, socket, unfinished packet. */
const STALLED_PEER = (1024 + 72 * FLOWS + 32 + 160 + 64) * 1024;
const SPARE_BLOCKS = 32 * 72 * 1024;
const FORMULA = PEERS * STALLED_PEER + SPARE_BLOCKS;
/**
 * Besides, resident memory holds what V8 has not collected yet - it lets three spaces of 16 MiB fill with what dies young -
 * and the code that it compiles meanwhile. It grows by some 55 MiB in 15 s, and in 90 s by no more.
 */
const RUNTIME = (3 * 16 + 24) * MIB;

/** A program: so many datagrams of so many bytes in a second, to each of the hosts in turn. Prints how many it has sent. */
const FLOOD = `
  const { createSocket } = require('node:dgram');
  const [flows, payload, perSecond, seconds] = process.argv.slice(1, 5).map(Number);
  const hosts = process.argv.slice(5);
  const sockets = Array.from({ length: flows }, () => createSocket('udp6').on('error', () => {}));
  const bytes = Buffer.alloc(payload, 'flood');
  const start = performance.now();
  let sent = 0;
  const timer = setInterval(() => {
    const passed = Math.min((performance.now() - start) / 1_000, seconds);
    for (; sent < passed * perSecond; sent += 1) {
      sockets[sent % flows].send(bytes, 9, hosts[Math.floor(sent / flows) % hosts.length]);
    }
    if (passed < seconds) return;
    clearInterval(timer);
    for (const socket of sockets) socket.close();
    console.log(sent);
  }, 5);
`;

/** @returns how many packets were sent */
async function flood(hosts: readonly string[]): Promise<number> {
  const perSecond = Math.ceil(BITS_PER_SECOND / 8 / (PAYLOAD + HEADERS));
  const words = [FLOWS, PAYLOAD, perSecond, FLOOD_S, ...hosts].map(String);
  const command = ['--pdeathsig', 'KILL', process.execPath, '-e', FLOOD, ...words];
  const child = spawn('setpriv', command, { stdio: ['ignore', 'pipe', 'inherit'] });
  return Number(await text(child.stdout));
}

/** A peer that shows that it is alive, and never reads a byte. @returns what ends it */
async function deaf(peer: RawPeer, { destination }: PrivateKeys): Promise<() => void> {
  let stream: Duplex | undefined;
  // Where no accept is armed at this moment, this router refuses.
  const isIn = async () => {
    stream = await peer.connect(destination.b32).catch(() => undefined);
    return stream !== undefined;
  };
  await until('it is let in', isIn, START_MS);
  const keepalive = encodeKeepalive({
    source: peer.addresses.oc,
    destination: addressesOf(destination.b32).oc,
    flowLabel: 1,
    name: peer.b32,
    announcement: { wantsAnswer: false, knowsFlows: true },
  });
  const say = () => void stream?.write(keepalive);
  say();
  const timer = setInterval(say, KEEPALIVE_EVERY_MS);
  return () => {
    clearInterval(timer);
    peer.close();
  };
}

async function peersOf(daemon: Daemon) {
  return (await daemon.status()).peers;
}

await declareScenarios(import.meta.filename, {
  [`${PEERS} peers that read nothing while they are sent 100 Mb/s cost what the formula says, in resident memory too`]:
    {
      prepare: KERNEL_TAKES_LITTLE,
      longestMs: 76_000 + FLOOD_S * 1_000,
      run: async () => {
        const bridge = await FakeBridge.start({ network: new FakeNetwork(), temperament: 'java' });
        const keys = generateKeys();
        const peers = await Promise.all(Array.from({ length: PEERS }, () => rawPeer(bridge)));
        const tables = peers.map(
          ({ b32 }, index) => `[[peer]]\nname = "deaf${index}"\ndestination = "${b32}.b32.i2p"\nconnect = "demand"`,
        );
        const config = tables.join('\n');
        const daemon = await startDaemon({ bridge: bridge.address, vpn: true, keys, config, withHeapProbe: true });
        await until('it accepts', async () => (await daemon.status()).inbound.armed > 0, START_MS);
        const ends: (() => void)[] = [];
        for (const peer of peers) ends.push(await deaf(peer, keys));
        const areUp = async () => (await peersOf(daemon)).every(({ state }) => state === 'up');
        await until('all links are up', areUp, START_MS);

        const [livingBefore, residentBefore] = [(await daemon.inside()).living, daemon.memory()];
        let most = 0;
        const looking = setInterval(() => {
          most = Math.max(most, daemon.memory());
        }, LOOK_EVERY_MS);
        const sent = await flood(peers.map(({ addresses }) => formatAddress(addresses.oc)));
        clearInterval(looking);
        const grownLiving = (await daemon.inside()).living - livingBefore;

        assert.ok(grownLiving < FORMULA, `${grownLiving / MIB} of ${FORMULA / MIB} MiB are in use`);
        const grown = most - residentBefore;
        assert.ok(grown < FORMULA + RUNTIME, `${grown / MIB} MiB of resident memory more`);

        let taken = 0;
        for (const { state, queue, packetsOut, drops } of await peersOf(daemon)) {
          assert.equal(state, 'up');
          assert.ok(queue.bytes > queue.limitBytes / 2 && queue.bytes <= queue.limitBytes, `${queue.bytes} wait`);
          assert.ok((drops['queueOverflow'] ?? 0) > packetsOut, `${drops['queueOverflow']} dropped, ${packetsOut} not`);
          taken += queue.packets + packetsOut + Object.values(drops).reduce((sum, count) => sum + count, 0);
        }
        // The kernel has dropped the others, which had no time.
        assert.ok(taken > sent / 2, `${taken} of ${sent} packets were taken`);

        for (const end of ends) end();
        await daemon.stop();
        await bridge.stop();
      },
    },
});

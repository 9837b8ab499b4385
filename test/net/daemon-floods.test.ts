/**
 * Clients that mean harm, in numbers, on the gateway as people run it: its limits hold, its memory does not grow with them,
 * its descriptors come back, and somebody with a wish is served meanwhile.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { SocksClient } from 'socks';
import { type Daemon, startDaemon } from '../helpers/daemon.ts';
import { FakeBridge } from '../helpers/fake-bridge/bridge.ts';
import { FakeNetwork } from '../helpers/fake-bridge/network.ts';
import { until } from '../helpers/until.ts';
import { type RawPeer, rawPeer } from '../sim/raw-peer.ts';
import { declareScenarios } from './namespace.ts';

const MAX_CLIENTS = 256;
const SILENT = 10_000;
/** Connections that are not accepted yet, at most: fewer than the kernel queues. */
const AT_ONCE = 50;
const TRICKLING = 1_000;
const HANDSHAKE_MS = 12_000;
const TRICKLE_MS = 5_000;
const GARBAGE = 1_000;
/** One for each of the flood would be more than this with the least of what a client costs. */
const MEMORY_NOISE = 24 * 1024 * 1024;
/** Counted besides an end, or without a client having been taken. */
const NO_ENDS = ['clients', 'dnsLeak', 'refusedCap', 'refusedClient'];
const PATIENCE_MS = 60_000;
/** What the gateway keeps at the router by default, each on a connection of its own. */
const ACCEPTS = 8;

await declareScenarios(import.meta.filename, {
  [`${SILENT} clients that say nothing`]: {
    longestMs: 110_000,
    run: () =>
      onDaemon(`max_clients = ${MAX_CLIENTS}`, async ({ daemon, stranger, serveNewcomer, count }) => {
        const flood = async (upTo: number) => {
          while (begun < upTo) {
            const wave = Array.from({ length: AT_ONCE }, () => once(stranger(), 'connect'));
            begun += AT_ONCE;
            await Promise.all(wave);
            if (begun % 1_000 === 0) await serveNewcomer();
            if (begun % 500 === 0) assert.ok((await count('clients')) <= MAX_CLIENTS);
          }
        };
        let begun = 0;
        await flood(SILENT / 5);
        const memory = daemon.memory();
        await flood(SILENT);
        const displaced = await count('displaced');
        assert.ok(displaced >= SILENT - MAX_CLIENTS - AT_ONCE, `${displaced} displaced`);
        assertFlat(memory, daemon);
      }),
  },
  [`${TRICKLING} clients of which each sends a byte every ${TRICKLE_MS / 1000} s`]: {
    longestMs: 110_000,
    run: () =>
      onDaemon(
        `max_clients = ${2 * TRICKLING}\nmax_clients_per_address = ${2 * TRICKLING}\nhandshake_timeout = "${HANDSHAKE_MS}ms"`,
        async ({ daemon, stranger, serveNewcomer, count }) => {
          const wave = async () => {
            const before = await count('handshakeTimeout');
            const slow = Array.from({ length: TRICKLING }, () => stranger());
            const trickle = () => {
              // 255 methods are announced, and one comes at a time: by the deadline not nearly all of them.
              for (const socket of slow)
                if (socket.writable) socket.write(Buffer.of(socket.bytesWritten === 0 ? 5 : 255));
            };
            trickle();
            const timer = setInterval(trickle, TRICKLE_MS);
            await until('all are there', async () => (await count('clients')) === TRICKLING, PATIENCE_MS);
            await serveNewcomer();
            await until('all are gone at the deadline', async () => (await count('clients')) === 0, PATIENCE_MS);
            clearInterval(timer);
            assert.equal((await count('handshakeTimeout')) - before, TRICKLING);
          };
          // The heap takes its room in the first waves, and cleans up when it has to.
          await wave();
          await wave();
          const memory = daemon.memory();
          await wave();
          assertFlat(memory, daemon);
        },
      ),
  },
  [`${GARBAGE} clients that send garbage`]: {
    longestMs: 60_000,
    run: () =>
      onDaemon(`max_clients = ${MAX_CLIENTS}`, async ({ stranger, serveNewcomer, count }) => {
        for (let seed = 0; seed < GARBAGE; seed += 1) {
          const socket = stranger();
          socket.write(Buffer.from(Array.from({ length: 1 + (seed % 300) }, (_, at) => (seed * 7 + at * 13) % 256)));
          if (seed % 2 === 0) socket.end();
          if (seed % 100 === 0) await serveNewcomer();
        }
        await until('all are gone', async () => (await count('clients')) === 0, PATIENCE_MS);
      }),
  },
});

interface Flooded {
  readonly daemon: Daemon;
  /** Somebody who opens a connection and is never heard to complain. */
  readonly stranger: () => Socket;
  readonly serveNewcomer: () => Promise<void>;
  /** A counter of the SOCKS listener, or its `clients` at this moment. */
  readonly count: (name: string) => Promise<number>;
}

async function onDaemon(socks: string, run: (flooded: Flooded) => Promise<void>): Promise<void> {
  const bridge = await FakeBridge.start({ network: new FakeNetwork(), temperament: 'i2pd-2.45' });
  const service = await rawPeer(bridge);
  const daemon = await startDaemon({ bridge: bridge.address, socks });
  const open = new Set<Socket>();
  const stranger = () => {
    const socket = connect({ host: '127.0.0.1', port: daemon.socksPort, noDelay: true });
    open.add(socket);
    socket.on('error', () => {}); // A reset is one of the ways to be sent away.
    socket.on('close', () => open.delete(socket));
    return socket.resume();
  };
  const counters = async (): Promise<ReadonlyMap<string, number>> => {
    const { clients, counters: counts } = (await daemon.status()).socks[0] ?? assert.fail('no listener');
    return new Map([...Object.entries(counts), ['clients', clients]]);
  };
  const count = async (name: string) => (await counters()).get(name) ?? assert.fail(`no counter ${name}`);
  const serveNewcomer = () => serve(daemon, service);
  try {
    await serveNewcomer();
    await until('all accepts are armed', async () => (await daemon.status()).inbound.armed === ACCEPTS, PATIENCE_MS);
    const descriptors = daemon.descriptors();
    await run({ daemon, stranger, serveNewcomer, count });
    await serveNewcomer();
    for (const socket of open) socket.destroy();
    await until('all descriptors are back', () => daemon.descriptors() <= descriptors, 20_000).catch((error) => {
      assert.fail(`${error}: ${daemon.descriptors()} and not ${descriptors}`);
    });
    const ends = new Map(await counters());
    const accepted = ends.get('accepted');
    for (const name of ['accepted', ...NO_ENDS]) ends.delete(name);
    assert.deepEqual([await count('clients'), await count('dnsLeak'), await count('refusedClient')], [0, 0, 0]);
    assert.equal(
      accepted,
      [...ends.values()].reduce((sum, one) => sum + one, 0),
    );
  } finally {
    for (const socket of open) socket.destroy();
    service.close();
    await daemon.stop();
    await bridge.stop();
  }
}

async function serve(daemon: Daemon, service: RawPeer): Promise<void> {
  const accepting = service.accept();
  const { socket } = await SocksClient.createConnection({
    proxy: { host: '127.0.0.1', port: daemon.socksPort, type: 5 },
    command: 'connect',
    destination: { host: `${service.b32}.b32.i2p`, port: 80 },
    timeout: 20_000,
  });
  const { stream } = await accepting;
  stream.write('served');
  const [chunk] = await once(socket.resume(), 'data');
  assert.equal(String(chunk), 'served');
  socket.destroy();
  stream.destroy();
}

function assertFlat(before: number, daemon: Daemon): void {
  const grown = daemon.memory() - before;
  assert.ok(grown < MEMORY_NOISE, `${Math.round(grown / 1024)} KiB more than before`);
}

/** A gateway in a process of its own that is flooded with clients, and what must hold of it whatever they do. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { SocksClient } from 'socks';
import { type Daemon, startDaemon } from '../helpers/daemon.ts';
import { FakeBridge } from '../helpers/fake-bridge/bridge.ts';
import { FakeNetwork } from '../helpers/fake-bridge/network.ts';
import { until } from '../helpers/until.ts';
import { type RawPeer, rawPeer } from '../sim/raw-peer.ts';

/** Far above what anything takes, also on a busy machine. */
export const PATIENCE_MS = 60_000;
/** Connections that are begun at the same moment: fewer than the kernel queues. It makes those beyond wait for seconds. */
export const AT_ONCE = 50;
/** What else comes and goes on a heap while a wave of clients does: compiled code, caches that fill. */
const HEAP_NOISE = 512 * 1024;
/** A client of which anything is kept costs more: its place alone, an object with a controller, 990 bytes. */
const LEAST_OF_A_CLIENT = 256;
/** Counted besides an end, or without a client having been taken. */
const NO_ENDS = ['clients', 'dnsLeak', 'refusedCap', 'refusedClient'];

export interface Flooded {
  readonly daemon: Daemon;
  /** Somebody who opens a connection and is never heard to complain. */
  readonly stranger: () => Socket;
  readonly serveNewcomer: () => Promise<void>;
  /** The same with a service that leaves its end open. @returns how to close that */
  readonly serveAndKeep: () => Promise<() => void>;
  /** A counter of the SOCKS listener, or its `clients` at this moment. */
  readonly count: (name: string) => Promise<number>;
}

/**
 * Runs a flood on a fresh gateway, then serves a newcomer, and checks that everything has come back and is accounted for.
 *
 * @param socks keys of its listener, as TOML
 */
export async function onDaemon(socks: string, run: (flooded: Flooded) => Promise<void>): Promise<void> {
  const bridge = await FakeBridge.start({ network: new FakeNetwork(), temperament: 'i2pd-2.45' });
  const service = await rawPeer(bridge);
  const daemon = await startDaemon({ bridge: bridge.address, socks, withHeapProbe: true });
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
  const serveAndKeep = () => serve(daemon, service);
  const serveNewcomer = async () => (await serveAndKeep())();
  try {
    await serveNewcomer();
    // It has a connection of its own, and so a descriptor.
    await until('the accept is armed', async () => (await daemon.status()).inbound.armed === 1, PATIENCE_MS);
    const descriptors = daemon.descriptors();
    await run({ daemon, stranger, serveNewcomer, serveAndKeep, count });
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

/** A client that closes as soon as it is answered. @returns closes the service's end of its stream */
async function serve(daemon: Daemon, service: RawPeer): Promise<() => void> {
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
  return () => void stream.destroy();
}

/**
 * Nothing is kept of clients that have gone.
 *
 * @param before what lived in the daemon, when as many were gone as there ever are at once
 * @param clients that came and went since
 */
export async function assertNothingKept(before: number, clients: number, daemon: Daemon): Promise<void> {
  const grown = (await daemon.inside()).living - before;
  const most = HEAP_NOISE + clients * LEAST_OF_A_CLIENT;
  assert.ok(
    grown < most,
    `${Math.round(grown / 1024)} KiB more live than before, ${Math.round(grown / clients)} bytes a client`,
  );
}

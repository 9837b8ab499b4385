/** What clients do to a gateway all day, the well-behaved and the others: each kind in a loop of its own until the end. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { SocksClient } from 'socks';
import { formatAddress } from '../../src/wire/i2p/address.ts';
import { UdpClient } from '../../test/helpers/udp-client.ts';
import { SERVICE_PORT, type Stage } from './stage.ts';

export interface Load {
  /** What was done, and how often. */
  readonly done: Readonly<Record<string, number>>;
  /** Ends the loops, and waits for what they have begun. */
  stop(): Promise<void>;
}

type Random = () => number;

const ECHO_PORT = 7_000;
const LARGEST_DATAGRAM = 1_400;
const LARGEST_DOWNLOAD = 2 * 1024 * 1024;
const DEADLINE_MS = 20_000;
const LONGEST_PAUSE_MS = 400;
const APPS = 6;

export function startLoad(stage: Stage, random: Random): Load {
  const done: Record<string, number> = {};
  const count = (name: string) => {
    done[name] = (done[name] ?? 0) + 1;
  };
  const end = new AbortController();
  const kinds = [download, giveUp, garbage, silence, unknownName, resolve, datagrams];
  const loop = async (kind: (parts: Parts) => Promise<void>) => {
    while (!end.signal.aborted) {
      count(kind.name);
      // A fault may hit everybody at any time: what counts is what the gateway is like afterwards.
      await kind({ stage, random, count }).catch(() => count(`${kind.name} failed`));
      await pause(random() * LONGEST_PAUSE_MS);
    }
  };
  const running = Promise.all([
    ...kinds.map(loop),
    ...Array.from({ length: 2 }, () => loop(download)),
    packets(stage, random, count, end.signal),
  ]);
  return {
    done,
    stop: async () => {
      end.abort();
      await running;
    },
  };
}

interface Parts {
  readonly stage: Stage;
  readonly random: Random;
  readonly count: (name: string) => void;
}

/** Through the interface, to the host behind the peer and back. */
async function packets(stage: Stage, random: Random, count: (name: string) => void, end: AbortSignal): Promise<void> {
  const socket = createSocket('udp6');
  socket.on('error', () => {});
  socket.on('message', () => count('packets back'));
  while (!end.aborted) {
    count('packets');
    const bytes = Buffer.alloc(1 + Math.floor(random() * LARGEST_DATAGRAM));
    socket.send(bytes, ECHO_PORT, formatAddress(stage.peer.addresses.oc), () => {});
    await pause(20 + random() * 60);
  }
  socket.close();
}

/** All of it, from the peer itself or as an app with an identity of its own. */
async function download({ stage, random, count }: Parts): Promise<void> {
  const socket = await reach(stage, formatAddress(stage.peer.addresses.oc), SERVICE_PORT);
  const wanted = Math.floor(random() * LARGEST_DOWNLOAD);
  socket.write(`${wanted}\n`);
  let got = 0;
  socket.on('data', (chunk: Buffer) => {
    got += chunk.length;
  });
  await ended(socket);
  count(got === wanted ? 'whole' : 'cut off');
}

/** In the middle of it, with a reset. */
async function giveUp({ stage, random }: Parts): Promise<void> {
  const socket = await reach(stage, formatAddress(stage.peer.addresses.oc), SERVICE_PORT);
  socket.write(`${LARGEST_DOWNLOAD}\n`);
  await pause(random() * 200);
  socket.resetAndDestroy();
}

async function garbage({ stage, random }: Parts): Promise<void> {
  const socket = plain(stage);
  socket.write(Buffer.from(Array.from({ length: 1 + Math.floor(random() * 300) }, () => Math.floor(random() * 256))));
  await ended(socket);
}

/** Half a request, and then nothing. */
async function silence({ stage, random }: Parts): Promise<void> {
  const socket = plain(stage);
  socket.write(Buffer.of(5, 1, 0, 5, 1, 0, 3, 200).subarray(0, Math.floor(random() * 8)));
  await ended(socket);
}

/** As one of more apps than may have an identity at the same time. */
async function unknownName({ stage, random }: Parts): Promise<void> {
  await reach(stage, `nobody${Math.floor(random() * 1_000)}.i2p`, 80, `app-${Math.floor(random() * APPS)}`);
}

async function resolve({ stage, random }: Parts): Promise<void> {
  const name = `nobody${Math.floor(random() * 1_000)}.i2p`;
  const socket = plain(stage);
  socket.write(Buffer.concat([Buffer.of(5, 1, 0, 5, 0xf0, 0, 3, name.length), Buffer.from(name), Buffer.of(0, 0)]));
  await ended(socket);
}

async function datagrams({ stage, random }: Parts): Promise<void> {
  const client = await UdpClient.associate({ host: '127.0.0.1', port: stage.daemon.socksPort });
  const name = `${stage.peer.b32}.b32.i2p`;
  const header = Buffer.concat([Buffer.of(0, 0, 0, 3, name.length), Buffer.from(name), Buffer.of(0, 53)]);
  for (let sent = 0; sent < 10; sent += 1) {
    client.udp.send(
      Buffer.concat([header, Buffer.alloc(Math.floor(random() * 1_000))]),
      client.relay.port,
      client.relay.address,
    );
    await pause(random() * 20);
  }
  client.udp.close();
  client.control.destroy();
}

async function reach(stage: Stage, host: string, port: number, user?: string): Promise<Socket> {
  const proxy = { host: '127.0.0.1', port: stage.daemon.socksPort, type: 5 as const };
  const { socket } = await SocksClient.createConnection({
    proxy: user === undefined ? proxy : { ...proxy, userId: user, password: 'soak' },
    command: 'connect',
    destination: { host, port },
    timeout: DEADLINE_MS,
  });
  socket.on('error', () => {});
  socket.setTimeout(DEADLINE_MS, () => socket.destroy());
  return socket;
}

function plain(stage: Stage): Socket {
  const socket = connect({ host: '127.0.0.1', port: stage.daemon.socksPort });
  socket.on('error', () => {});
  socket.setTimeout(DEADLINE_MS, () => socket.destroy());
  return socket.resume();
}

async function ended(socket: Socket): Promise<void> {
  if (!socket.destroyed) await once(socket, 'close');
}

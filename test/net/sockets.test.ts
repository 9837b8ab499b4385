/**
 * The sockets of the native part, against Node's own: lending, writing, every way to end, and what happens when places
 * are given away again in the middle of everything.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { after, test } from 'node:test';
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { canLimitUnsent, isLending, type Loan } from '../../src/core/ports.ts';
import { createRelayCore } from '../../src/core/relay/relay.ts';
import { systemClock } from '../../src/io/clock.ts';
import { loadNative } from '../../src/io/native.ts';
import { NativeSocket } from '../../src/io/native-socket.ts';
import { SOCKET_EVENT } from '../../src/io/native-sockets.ts';
import { openConnection } from '../../src/io/open-connection.ts';
import { SocketSet } from '../../src/io/socket-set.ts';
import { type Client, leaveToOwner, STREAM_MARKS } from '../../src/io/sockets.ts';
import { GateError } from '../../src/kit/errors.ts';
import { readAll } from '../helpers/listeners.ts';
import { until } from '../helpers/until.ts';

const LOOPBACK = Buffer.from([127, 0, 0, 1]);
const NEVER = new AbortController().signal;
const set = new SocketSet(loadNative());
const server = createServer({ allowHalfOpen: true }, (socket) => socket.on('error', leaveToOwner));
const ready = once(server.listen(0, '127.0.0.1'), 'listening');
after(() => server.close());

async function open(): Promise<Client> {
  await ready;
  const address = server.address();
  const port = address !== null && typeof address === 'object' ? address.port : 0;
  const explain = ({ message }: Error) => new GateError('local-io', 'test', message);
  return openConnection(set, { kind: 'tcp', address: LOOPBACK, port }, { signal: NEVER, doing: 'testing', explain });
}

/** A connected pair: ours is native, theirs is an ordinary socket. One after the other, so that no two are mixed up. */
function pair(): Promise<{ ours: Client; theirs: Socket }> {
  const made = lastPair.then(async () => {
    const arrival = once(server, 'connection');
    const ours = await open();
    const [theirs]: Socket[] = await arrival;
    return { ours, theirs: theirs ?? assert.fail() };
  });
  lastPair = made;
  return made;
}
let lastPair: Promise<unknown> = Promise.resolve();

/** Every block differs from every other, so that a block out of place shows. */
function pattern(length: number, seed: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let at = 0; at + 8 <= length; at += 8) bytes.writeUInt32BE(at, bytes.writeUInt32BE(seed, at));
  return bytes;
}

const hashOf = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

async function hashOfAll(stream: Duplex, pauseEvery = 0): Promise<{ length: number; sha256: string }> {
  const hash = createHash('sha256');
  let length = 0;
  let sincePause = 0;
  for await (const chunk of stream) {
    hash.update(chunk);
    length += chunk.length;
    sincePause += chunk.length;
    if (pauseEvery > 0 && sincePause > pauseEvery) {
      sincePause = 0;
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }
  return { length, sha256: hash.digest('hex') };
}

function lend(socket: Duplex, take: (bytes: Uint8Array) => Loan): void {
  assert.ok(isLending(socket));
  socket.lend(take);
}

test('until it lends it is an ordinary stream, and what came before the loan comes first', async () => {
  const { ours, theirs } = await pair();
  theirs.write('line\nearly');
  await until('the first bytes are here', () => {
    ours.read(0);
    return ours.readableLength === 10;
  });
  assert.equal(ours.read(5).toString(), 'line\n');
  let got = '';
  lend(ours, (bytes) => {
    got += Buffer.from(bytes).toString();
    return 'done';
  });
  ours.on('data', (bytes) => {
    got += bytes;
  });
  theirs.write(' late');
  const ended = new Promise((resolve) => ours.once('end', resolve));
  ours.resume();
  await until('both are here', () => got.length === 10);
  theirs.end(' last');
  await ended;
  assert.equal(got, 'early late last');
  ours.destroy();
});

test('paused, it lends nothing; resumed, it goes on', async () => {
  const { ours, theirs } = await pair();
  const parts: Buffer[] = [];
  lend(ours, (bytes) => {
    parts.push(Buffer.from(bytes));
    ours.pause();
    return 'done';
  });
  const whole = pattern(1_000_000, 1);
  theirs.end(whole);
  const ended = new Promise((resolve) => ours.once('end', resolve));
  for (let got = 0; got < whole.length; got = parts.reduce((sum, { length }) => sum + length, 0)) {
    const before = parts.length;
    ours.resume();
    await until('one part more', () => parts.length > before);
    assert.equal(parts.length, before + 1);
  }
  ours.resume();
  await ended;
  assert.equal(hashOf(Buffer.concat(parts)), hashOf(whole));
  ours.destroy();
});

test('what is kept is never overwritten, neither by its own socket nor by another', async () => {
  const pairs = await Promise.all(Array.from({ length: 6 }, () => pair()));
  const sums = pairs.map(async ({ ours, theirs }, seed) => {
    const whole = pattern(3_000_000, seed);
    const kept: Uint8Array[] = [];
    const ended = new Promise((resolve) => ours.once('end', resolve));
    let turn = 0;
    lend(ours, (bytes) => {
      turn += 1;
      if (turn % 3 > 0) {
        kept.push(bytes);
        return 'kept';
      }
      kept.push(Buffer.from(bytes));
      return 'done';
    });
    ours.resume();
    theirs.end(whole);
    await ended;
    ours.destroy();
    assert.equal(hashOf(Buffer.concat(kept)), hashOf(whole));
  });
  await Promise.all(sums);
});

for (const [what, pauseEvery] of [
  ['fast', 0],
  ['slow', 300_000],
] as const) {
  test(`many relays with ${what} readers carry every byte through the shared buffers`, async () => {
    const relay = createRelayCore({ clock: systemClock, maxPairs: 10, heldEndMs: 60_000 });
    const { signal } = new AbortController();
    const lengths = await Promise.all(
      Array.from({ length: 4 }, async (_, seed) => {
        const [near, far] = await Promise.all([pair(), pair()]);
        const over = relay.join(
          { stream: near.ours, halfClose: true },
          { stream: far.ours, halfClose: false },
          { signal, idleMs: 0 },
        );
        const whole = pattern(6_000_000, seed);
        const arrived = hashOfAll(near.theirs, pauseEvery);
        far.theirs.resume();
        far.theirs.end(whole);
        assert.deepEqual(await arrived, { length: whole.length, sha256: hashOf(whole) });
        near.theirs.end();
        assert.deepEqual(await over, { ended: 'both-finished' });
        return whole.length;
      }),
    );
    const { bytesOut, bytesIn } = relay.counters();
    assert.deepEqual([bytesOut, bytesIn], [0, lengths.reduce((sum, length) => sum + length, 0)]);
  });
}

test('a reader that stands still stops the writer, and gets everything in the end', async () => {
  const { ours, theirs } = await pair();
  theirs.pause();
  const parts = Array.from({ length: 3_000 }, (_, seed) => pattern(seed % 7 === 0 ? 0 : 8 * (seed % 500), seed));
  let told = 0;
  for (const part of parts) ours.write(part, () => (told += 1));
  const large = pattern(20_000_000, 77);
  ours.end(large);
  assert.ok(ours.writableLength > 0, 'the kernel took everything');
  assert.ok(told < parts.length || ours.writableLength >= large.length / 4);
  const whole = Buffer.concat([...parts, large]);
  assert.deepEqual(await hashOfAll(theirs), { length: whole.length, sha256: hashOf(whole) });
  assert.equal(told, parts.length);
  theirs.end();
  ours.resume();
  await once(ours, 'close');
});

test('each direction ends by itself, and both close the socket', async () => {
  const { ours, theirs } = await pair();
  ours.end('question');
  assert.equal(await readAll(theirs), 'question');
  assert.equal(ours.destroyed, false);
  theirs.end('answer');
  const closed = once(ours, 'close');
  assert.equal(await readAll(ours), 'answer');
  await closed;
  assert.equal(ours.remoteAddress, undefined);
});

test('a reset is an error, and bytes before it are not lost', async () => {
  const { ours, theirs } = await pair();
  theirs.write('last words');
  await until('they are here', () => {
    ours.read(0);
    return ours.readableLength > 0;
  });
  const failed = once(ours, 'error');
  const closed = new Promise((resolve) => ours.once('close', resolve));
  theirs.resetAndDestroy();
  const [error] = await failed;
  assert.equal(error.code, 'ECONNRESET');
  await closed;
  assert.equal(String(ours.read()), 'last words');
});

test('a socket that nobody reads hears of a reset at the next write, and costs nothing until then', async () => {
  const { ours, theirs } = await pair();
  lend(ours, () => assert.fail('nothing was said'));
  ours.resume();
  ours.pause();
  assert.ok(ours instanceof NativeSocket);
  let told = 0;
  ours.ready = (what) => {
    told += 1;
    NativeSocket.prototype.ready.call(ours, what);
  };
  theirs.resetAndDestroy();
  for (let turn = 0; turn < 100; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  assert.ok(told < 5, `${told} times in a hundred turns`);
  assert.equal(ours.destroyed, false);
  const failed = once(ours, 'error');
  ours.write('to nobody');
  const [error] = await failed;
  assert.match(error.code, /^(EPIPE|ECONNRESET)$/);
});

test('reset on purpose is seen by the other side as one', async () => {
  const { ours, theirs } = await pair();
  const failed = once(theirs, 'error');
  assert.ok('resetAndDestroy' in ours && typeof ours.resetAndDestroy === 'function');
  ours.resetAndDestroy();
  theirs.resume();
  const [error] = await failed;
  assert.equal(error.code, 'ECONNRESET');
});

test('whoever waits for a write is told when the socket is closed instead', async () => {
  const { ours, theirs } = await pair();
  theirs.pause();
  const told: Array<Error | null | undefined> = [];
  ours.write(Buffer.alloc(30_000_000), (error) => told.push(error));
  ours.write('more', (error) => told.push(error));
  ours.destroy();
  ours.destroy();
  await once(ours, 'close');
  await until('both are told', () => told.length === 2);
  theirs.destroy();
});

test('sockets that close others in the same turn, whose places are taken again, mix nothing up', async () => {
  const rounds = 40;
  const pairs = await Promise.all(Array.from({ length: 24 }, pair));
  let strays = 0;
  let opened = 0;
  const fresh: Promise<void>[] = [];
  const openAnother = async () => {
    const { ours, theirs } = await pair();
    opened += 1;
    const number = opened;
    const read: string[] = [];
    ours.on('data', (bytes) => read.push(String(bytes)));
    ours.resume();
    theirs.end(`n${number}`);
    await once(ours, 'end');
    if (read.join('') !== `n${number}`) strays += 1;
    ours.end();
    await once(ours, 'close');
  };
  for (const [index, { ours, theirs }] of pairs.entries()) {
    ours.on('data', () => {
      // Its neighbour has bytes of this very turn as well.
      const other = pairs[(index + 1) % pairs.length]?.ours;
      if (other !== undefined && !other.destroyed && opened < rounds) {
        other.destroy();
        fresh.push(openAnother(), openAnother());
      }
    });
    ours.resume();
    theirs.write('go');
  }
  await until('some were closed', () => fresh.length > 0);
  while (fresh.length > 0) await fresh.shift();
  assert.equal(strays, 0);
  for (const { ours, theirs } of pairs) {
    ours.destroy();
    theirs.destroy();
  }
});

/** The descriptor of the other end of a connection within this process. */
function descriptorBehind({ localPort = 0, remotePort = 0 }: Socket): number {
  const end = (port: number) => `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const row = readFileSync('/proc/net/tcp', 'utf8').split('\n');
  const inode = row
    .find((one) => one.includes(` ${end(remotePort)} ${end(localPort)} `))
    ?.trim()
    .split(/ +/)[9];
  const found = readdirSync('/proc/self/fd').find((fd) => {
    const link = `/proc/self/fd/${fd}`;
    // That of the directory itself is gone by now.
    return lstatSync(link, { throwIfNoEntry: false }) !== undefined && readlinkSync(link) === `socket:[${inode}]`;
  });
  return Number(found ?? assert.fail('there is no such socket'));
}

test('what happens to a socket that a child process still holds is not told of the one that has got its place', async (t) => {
  await ready;
  const address = server.address();
  const port = address !== null && typeof address === 'object' ? address.port : 0;
  const told: number[] = [];
  const events = new Uint32Array(2 * 64);
  const native = loadNative().openSockets((count) => {
    for (let at = 0; at < count; at += 1) told.push(events[2 * at] ?? assert.fail());
  }, events);
  const connect = async () => {
    const arrival = once(server, 'connection');
    const place = native.connectTcp(LOOPBACK, port);
    await until('it is connected', () => native.isConnected(place));
    const [theirs]: Socket[] = await arrival;
    native.watch(place, SOCKET_EVENT.readable);
    return { place, theirs: theirs ?? assert.fail() };
  };
  const isHeard = async ({ place, theirs }: Awaited<ReturnType<typeof connect>>) => {
    told.length = 0;
    theirs.write('a');
    await until('it is told', () => told.includes(place));
    native.read(place, Buffer.alloc(1));
  };
  const [first, other] = [await connect(), await connect()];
  // As between fork and exec.
  const child = spawn('sleep', ['60'], { stdio: ['ignore', 'ignore', 'ignore', descriptorBehind(first.theirs)] });
  t.after(() => child.kill('SIGKILL'));
  await once(child, 'spawn');
  native.close(first.place, false);
  await isHeard(other);
  const second = await connect();
  assert.equal(second.place, first.place);
  first.theirs.resetAndDestroy();
  for (let round = 0; round < 5; round += 1) {
    await isHeard(other);
    assert.ok(!told.includes(second.place));
  }
  await isHeard(second);
  for (const { place, theirs } of [other, second]) {
    native.close(place, false);
    theirs.destroy();
  }
});

test('a place that is closed is refused', () => {
  assert.throws(() => set.native.read(123_456, Buffer.alloc(8)), { code: 'EBADF', stage: 'read' });
  assert.throws(() => set.native.write(-1, Buffer.alloc(8)), { code: 'EBADF', stage: 'write' });
  assert.throws(() => set.native.close(123_456, false), { code: 'EBADF' });
  assert.throws(() => set.native.listenTcp(Buffer.alloc(5), 0, 1), { code: 'EINVAL', stage: 'argument' });
});

test('nobody there is told at once, and an address that leads nowhere by its own word', async () => {
  const free = createServer();
  await once(free.listen(0, '127.0.0.1'), 'listening');
  const bound = free.address();
  const port = bound !== null && typeof bound === 'object' ? bound.port : 0;
  await new Promise((resolve) => free.close(resolve));
  const codes: unknown[] = [];
  const outcome = { connected: () => assert.fail(), failed: ({ code }: NodeJS.ErrnoException) => codes.push(code) };
  set.connect({ kind: 'tcp', address: LOOPBACK, port }, STREAM_MARKS, outcome);
  set.connect({ kind: 'unix', path: '/no/such/socket' }, STREAM_MARKS, outcome);
  set.connect({ kind: 'tcp', address: Buffer.from([255, 255, 255, 255]), port: 9 }, STREAM_MARKS, outcome);
  await until('all have failed', () => codes.length === 3);
  assert.deepEqual(codes, ['ECONNREFUSED', 'ENOENT', codes[2]]);
  assert.match(String(codes[2]), /^(ENETUNREACH|EACCES)$/);
});

test('with the limit the kernel takes far less ahead of a reader that stands still', async (context) => {
  const [free, limited] = [await pair(), await pair()];
  context.after(() => {
    for (const { ours, theirs } of [free, limited]) {
      ours.destroy();
      theirs.destroy();
    }
  });
  for (const { theirs } of [free, limited]) theirs.pause();
  assert.ok(canLimitUnsent(limited.ours));
  limited.ours.limitUnsent(16 * 1024);
  const [much, little] = [await heldFor(free), await heldFor(limited)];
  assert.ok(little < 128 * 1024 && little < much / 2, `${little} and ${much} bytes`);
  limited.ours.destroy();
  limited.ours.limitUnsent(16 * 1024);
});

/**
 * Writes piece by piece until the kernel takes no more for a while.
 *
 * @returns bytes that it holds for sending; what it has sent lies with the reader's kernel, which takes what it likes
 */
async function heldFor({ ours, theirs }: { ours: Client; theirs: Socket }): Promise<number> {
  const piece = Buffer.alloc(4 * 1024);
  for (;;) {
    const taken = new Promise<boolean>((resolve) => ours.write(piece, () => resolve(true)));
    // On a busy machine both may be due: the kernel's word is heard in the turn after the timer's.
    const late = sleep(300).then(() => turn(false));
    if (!(await Promise.race([taken, late]))) return sendQueueTo(theirs);
  }
}

/** As the kernel tells it (proc(5), /proc/net/tcp). */
function sendQueueTo({ remotePort = 0, localPort = 0 }: Socket): number {
  const shown = (port: number) => `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  // Others may have the same port towards somebody else.
  const isOurs = ([, local = '', remote = '']: string[]) =>
    local.endsWith(shown(remotePort)) && remote.endsWith(shown(localPort));
  const line = readFileSync('/proc/net/tcp', 'utf8')
    .split('\n')
    .map((each) => each.trim().split(/\s+/))
    .find(isOurs);
  return Number.parseInt(line?.[4]?.split(':')[0] ?? assert.fail('no such socket'), 16);
}

test('a worker that ends in the middle of a flood takes its sockets with it', async () => {
  const flood = createServer((socket) => {
    const pour = () => {
      while (socket.write(Buffer.alloc(65_536))) if (socket.destroyed) return;
    };
    socket.on('error', leaveToOwner).on('drain', pour);
    pour();
  });
  await once(flood.listen(0, '127.0.0.1'), 'listening');
  const address = flood.address();
  const port = address !== null && typeof address === 'object' ? address.port : 0;
  const before = openDescriptors();
  for (let round = 0; round < 3; round += 1) {
    const worker = new Worker(FLOODED, { eval: true, workerData: { port, addon: ADDON } });
    const [bytes] = await once(worker, 'message');
    assert.ok(bytes > 0);
    await worker.terminate();
  }
  await new Promise((resolve) => flood.close(resolve));
  await until('nothing is left open', () => openDescriptors() <= before);
});

const ADDON = new URL('../../build/native/garligate.node', import.meta.url).pathname;
/** What socket-set.ts does, without its types: a worker knows no TypeScript. */
const FLOODED = `
const { parentPort, workerData } = require('node:worker_threads');
const events = new Uint32Array(64);
const into = Buffer.alloc(65536);
let total = 0;
const turn = (count) => {
  for (let at = 0; at < count; at += 1) total += Math.max(0, native.read(events[2 * at], into));
  if (total > 1e6) parentPort.postMessage(total);
};
const native = require(workerData.addon).openSockets(turn, events);
for (let at = 0; at < 8; at += 1) native.watch(native.connectTcp(Buffer.from([127, 0, 0, 1]), workerData.port), 1);
`;

function openDescriptors(): number {
  return readdirSync('/proc/self/fd').length;
}

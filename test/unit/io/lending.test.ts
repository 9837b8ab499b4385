import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { after, test } from 'node:test';
import { isLending, type Loan } from '../../../src/core/ports.ts';
import { relayCore } from '../../../src/core/relay/relay.ts';
import { systemClock } from '../../../src/io/clock.ts';
import { type LendingSockets, lendingSockets } from '../../../src/io/lending.ts';
import { until } from '../../helpers/until.ts';

const servers: Server[] = [];
after(() => {
  for (const server of servers) server.close();
});

/** A connected pair: ours lends, theirs is an ordinary socket. */
async function pair(sockets: LendingSockets): Promise<{ ours: Socket; theirs: Socket }> {
  const server = createServer({ allowHalfOpen: true });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const accepted = new Promise<Socket>((resolve) => server.once('connection', resolve));
  const { port } = server.address() as AddressInfo;
  const ours = sockets.connect({ host: '127.0.0.1', port, allowHalfOpen: true });
  ours.on('error', () => {});
  ours.pause();
  return { ours, theirs: await accepted };
}

/** Every block differs from every other, so that a block out of place shows. */
function pattern(length: number, seed: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let at = 0; at + 8 <= length; at += 8) bytes.writeUInt32BE(at, bytes.writeUInt32BE(seed, at));
  return bytes;
}

const hashOf = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

async function hashOfAll(stream: Socket, pauseEvery = 0): Promise<{ length: number; sha256: string }> {
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

function lend(socket: Socket, take: (bytes: Uint8Array) => Loan): void {
  assert.ok(isLending(socket));
  socket.lend(take);
}

test('until it lends it is an ordinary stream, and what came before the loan comes first', async () => {
  const { ours, theirs } = await pair(lendingSockets());
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
  const { ours, theirs } = await pair(lendingSockets());
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
  const connect = lendingSockets();
  const pairs = await Promise.all(Array.from({ length: 6 }, () => pair(connect)));
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
    const connect = lendingSockets();
    const relay = relayCore({ clock: systemClock, maxPairs: 10, heldEndMs: 60_000 });
    const { signal } = new AbortController();
    await Promise.all(
      Array.from({ length: 4 }, async (_, seed) => {
        const [near, far] = await Promise.all([pair(connect), pair(connect)]);
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
        assert.deepEqual(await over, { bytesOut: 0, bytesIn: whole.length, ended: 'both-finished' });
      }),
    );
  });
}

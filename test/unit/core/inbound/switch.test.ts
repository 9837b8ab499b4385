import assert from 'node:assert/strict';
import type { Duplex } from 'node:stream';
import { test } from 'node:test';
import { createAwaitedStreams } from '../../../../src/core/inbound/awaited.ts';
import { createInboundSwitch, type Origin } from '../../../../src/core/inbound/switch.ts';
import { createPeerTable } from '../../../../src/core/peers/table.ts';
import { silentLogger } from '../../../../src/kit/log.ts';
import { FakeClock } from '../../../helpers/fake-clock.ts';
import { destination, hearAll, line, own, peer } from '../support.ts';

function setting(peersOf = [peer(2), peer(3)], defect?: Error) {
  const clock = new FakeClock();
  const taken: Array<{ readonly by: string; readonly peer: string; readonly stream: Duplex }> = [];
  const taker = (by: string) => (from: { readonly name: string }, stream: Duplex, origin?: Origin) => {
    if (defect !== undefined) throw defect;
    taken.push({ by: origin === 'unverified' ? 'nobody knows' : by, peer: from.name, stream });
  };
  const peers = createPeerTable(peersOf, own(1).addresses);
  const awaited = createAwaitedStreams();
  const takers = { packets: taker('packets'), flow: taker('flow') };
  const errors: string[] = [];
  const log = { ...silentLogger, error: (text: string) => void errors.push(text) };
  const inbound = createInboundSwitch(peers, takers, awaited, clock, log);
  const arrives = (from: number, ...bytes: number[]) => {
    const [ours, theirs] = line({ halfClose: false });
    if (bytes.length > 0) theirs.write(Buffer.from(bytes));
    inbound.take({ stream: ours, from: destination(from), fromPort: undefined, toPort: undefined });
    return { ours, theirs };
  };
  return { clock, taken, inbound, awaited, arrives, errors };
}

test('a stranger is refused before anything is read', async () => {
  const { clock, taken, inbound, arrives } = setting();
  const streams = Array.from({ length: 10_000 }, (_, index) => arrives(100 + (index % 50), 0x60));
  assert.ok(streams.every(({ ours }) => ours.destroyed));
  assert.equal(inbound.counters().refusedStranger, 10_000);
  assert.deepEqual([taken.length, clock.pending], [0, 0]);
});

test('a stranger whom a client awaits goes to that client, once, and nobody else does', async () => {
  const { inbound, awaited, arrives } = setting();
  const got: Duplex[] = [];
  awaited.expect({ from: destination(100).b32, admits: () => true, port: 0 }, ({ stream }) => got.push(stream));
  const other = arrives(101, 0x60);
  const meant = arrives(100, 0x60);
  const again = arrives(100, 0x60);
  assert.deepEqual(
    [other, meant, again].map(({ ours }) => ours.destroyed),
    [true, false, true],
  );
  assert.deepEqual(got, [meant.ours]);
  assert.deepEqual([inbound.counters().awaited, inbound.counters().refusedStranger], [1, 2]);
});

test("a peer's stream never goes to a client that awaits whoever comes first", async () => {
  const { clock, taken, awaited, arrives } = setting();
  awaited.expect({ from: { mayCome: () => true }, admits: () => true, port: 0 }, () =>
    assert.fail('a peer is not anyone'),
  );
  arrives(2, 0x60);
  await clock.settle();
  assert.deepEqual(
    taken.map(({ by }) => by),
    ['packets'],
  );
});

test('the first byte decides who takes the stream, and all bytes are still in it', async () => {
  for (const [bytes, by] of [
    [[0x60, 1, 2], 'packets'],
    [[0x6f], 'packets'],
    [[0xf6, 1, 0, 80, 0], 'flow'],
  ] as const) {
    const { clock, taken, arrives } = setting();
    const { theirs } = arrives(2, ...bytes);
    theirs.end();
    await clock.settle();
    assert.deepEqual(
      taken.map((one) => [one.by, one.peer]),
      [[by, 'peer2']],
    );
    const heard = await hearAll(taken[0]?.stream ?? assert.fail());
    assert.deepEqual([[...heard.bytes], heard.ended], [bytes, true]);
    assert.equal(clock.pending, 0);
  }
});

test('any other first byte closes the stream', async () => {
  const { clock, taken, inbound, arrives } = setting();
  let others = 0;
  for (let byte = 0; byte < 256; byte += 1) {
    if (byte === 0xf6 || byte >> 4 === 6) continue;
    others += 1;
    const { ours } = arrives(2, byte);
    await clock.settle();
    assert.equal(ours.destroyed, true, String(byte));
  }
  assert.deepEqual([taken.length, inbound.counters().refusedFirstByte], [0, others]);
});

test('a silent stream is ended after a while, one that closes at once', async () => {
  const { clock, taken, inbound, arrives } = setting();
  const silent = arrives(2);
  const closed = arrives(2);
  closed.theirs.destroy();
  await clock.advance(59_000);
  assert.deepEqual([silent.ours.destroyed, closed.ours.destroyed], [false, true]);
  await clock.advance(2_000);
  assert.equal(silent.ours.destroyed, true);
  assert.deepEqual([taken.length, inbound.counters().silent, clock.pending], [0, 2, 0]);
});

test('a peer may have so many undecided streams; another peer is not hurt by it', async () => {
  const { clock, taken, inbound, arrives } = setting();
  const streams = Array.from({ length: 40 }, () => arrives(2));
  assert.equal(inbound.counters().refusedLimit, 8);
  arrives(3, 0x60);
  await clock.settle();
  assert.equal(taken.length, 1);
  // A decided stream makes room.
  streams[0]?.theirs.write(Buffer.from([0x60]));
  await clock.settle();
  arrives(2, 0x60);
  await clock.settle();
  assert.equal(taken.length, 3);
  assert.equal(inbound.counters().accepted, 3);
});

test('the stop ends what is undecided, leaves what was handed over, and refuses the rest', async () => {
  const { clock, taken, inbound, arrives } = setting();
  const undecided = arrives(2);
  arrives(2, 0x60);
  await clock.settle();
  inbound.stop();
  inbound.stop();
  await clock.settle();
  assert.equal(undecided.ours.destroyed, true);
  assert.equal(taken[0]?.stream.destroyed, false);
  assert.equal(arrives(2, 0x60).ours.destroyed, true);
  assert.equal(clock.pending, 0);
});

/** The header of a packet with this source, and more behind it. */
function header(source: Buffer): number[] {
  return [...Buffer.concat([Buffer.from('6000000000103b01', 'hex'), source, own(1).addresses.ocat4, Buffer.alloc(16)])];
}

test('an OnionCat is known by every destination that the operator listed for it', async () => {
  const { clock, taken, inbound, arrives } = setting([
    peer(2, { onionCat: { inbound: [destination(7).b32, destination(8).b32] } }),
    peer(3),
  ]);
  for (const from of [2, 7, 8]) arrives(from, 0x60);
  const stranger = arrives(9, ...header(peer(2).addresses.ocat4));
  await clock.settle();
  assert.deepEqual(
    taken.map((one) => [one.by, one.peer]),
    [
      ['packets', 'peer2'],
      ['packets', 'peer2'],
      ['packets', 'peer2'],
    ],
  );
  assert.equal(stranger.ours.destroyed, true);
  assert.equal(inbound.counters().refusedStranger, 1);
});

test('with an unverified peer, a stranger is that peer if its first packet says so, and nobody else', async () => {
  const cat = peer(2, { onionCat: { inbound: 'unverified' } });
  const other = peer(4, { onionCat: { inbound: [destination(7).b32] } });
  const { clock, taken, inbound, arrives } = setting([cat, other, peer(3)]);
  const right = [cat.addresses.ocat4, cat.addresses.oc].map((source) => arrives(9, ...header(source)));
  const wrong = [other.addresses.ocat4, peer(3).addresses.oc, own(1).addresses.oc, Buffer.alloc(16, 1)].map((source) =>
    arrives(9, ...header(source)),
  );
  const flow = arrives(9, 0xf6, 1, 0, 80, 0);
  await clock.settle();
  assert.deepEqual(
    taken.map((one) => [one.by, one.peer]),
    right.map(() => ['nobody knows', 'peer2']),
  );
  assert.ok(wrong.every(({ ours }) => ours.destroyed));
  assert.equal(flow.ours.destroyed, true);
  const { accepted, refusedClaim, refusedFirstByte } = inbound.counters();
  assert.deepEqual({ accepted, refusedClaim, refusedFirstByte }, { accepted: 2, refusedClaim: 4, refusedFirstByte: 1 });
  right[0]?.theirs.end();
  assert.deepEqual([...(await hearAll(taken[0]?.stream ?? assert.fail())).bytes], header(cat.addresses.ocat4));
});

test('the header of a stranger may come byte by byte; who sends less of it is ended, and all of them are few', async () => {
  const cat = peer(2, { onionCat: { inbound: 'unverified' } });
  const { clock, taken, inbound, arrives } = setting([cat]);
  const slow = arrives(9);
  for (const byte of header(cat.addresses.ocat4)) {
    assert.equal(taken.length <= 1, true);
    slow.theirs.write(Buffer.from([byte]));
    await clock.settle();
  }
  assert.equal(taken.length, 1);
  const streams = Array.from({ length: 10_000 }, (_, seed) => arrives(100 + (seed % 50), 0x60));
  assert.equal(streams.filter(({ ours }) => !ours.destroyed).length, 32);
  await clock.advance(61_000);
  assert.ok(streams.every(({ ours }) => ours.destroyed));
  assert.deepEqual([inbound.counters().refusedLimit, inbound.counters().silent, clock.pending], [9_968, 32, 0]);
});

test('a defect of whoever takes the stream is told, closes it, and is not counted as a silent peer', async () => {
  const { clock, inbound, arrives, errors } = setting([peer(2)], new TypeError('x is not a function'));
  const { ours } = arrives(2, 0x60);
  await clock.settle();
  const { failed, silent, accepted } = inbound.counters();
  assert.deepEqual([failed, silent, accepted, ours.destroyed, clock.pending], [1, 0, 0, true, 0]);
  assert.match(errors[0] ?? '', /a defect: handing a stream on failed/);
});

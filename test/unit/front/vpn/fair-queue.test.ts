/** The queue of a peer: nothing lost without a cause, order within a flow, the bounds, fairness, and who goes first. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { codelTimes, type DropCause, FairQueue, type FairQueueLimits } from '../../../../src/front/vpn/fair-queue.ts';
import { Blocks } from '../../../../src/kit/blocks.ts';
import { own, peer } from '../../core/support.ts';
import { packet, split, tagOf } from './packets.ts';

const FROM = own(1).addresses.oc;
const TO = peer(2).addresses.oc;
const ROOMY: FairQueueLimits = { packets: 10_000, bytes: 64 * 1024 * 1024, ageMs: 1e9 };
/** Traffic class bits of a sender that knows ECN. */
const ECT0 = 0x20;

interface Drop {
  readonly tag: number;
  readonly cause: DropCause;
  readonly left: number;
}

function queue(limits: Partial<FairQueueLimits> = {}) {
  const drops: Drop[] = [];
  const fair = new FairQueue({ ...ROOMY, ...limits }, new Blocks(4096, 2), (bytes, start, end, cause, left) =>
    drops.push({ tag: tagOf(bytes.subarray(start, end)), cause, left }),
  );
  return { fair, drops };
}

function tagged(tag: number, payload = 16, ecn = 0): Buffer {
  const bytes = packet(FROM, TO, tag, payload);
  bytes[1] = (bytes[1] ?? 0) | ecn;
  return bytes;
}

const step = fc.oneof(
  fc.record({
    do: fc.constant('push' as const),
    flow: fc.integer({ min: 0, max: 5 }),
    sizes: fc.array(fc.integer({ min: 4, max: 3_000 }), { minLength: 1, maxLength: 6 }),
    ecn: fc.constantFrom(0, ECT0),
  }),
  fc.record({ do: fc.constant('pull' as const), room: fc.integer({ min: 1, max: 8_000 }) }),
  fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 900 }) }),
  fc.record({ do: fc.constant('expire' as const) }),
);

test('whatever happens, every packet leaves once, is dropped once with a cause, or is still there', () => {
  const limits = fc.record({
    packets: fc.integer({ min: 1, max: 40 }),
    bytes: fc.integer({ min: 4_000, max: 30_000 }),
    ageMs: fc.integer({ min: 100, max: 5_000 }),
  });
  fc.assert(
    fc.property(limits, fc.array(step, { maxLength: 120 }), (bounds, steps) => {
      const { fair, drops } = queue(bounds);
      const flowOf = new Map<number, number>();
      const left: number[] = [];
      let bytesIn = 0;
      let bytesGone = 0;
      let now = 50;
      let tag = 0;
      const sizes = new Map<number, number>();
      for (const act of steps) {
        if (act.do === 'push') {
          const run = act.sizes.map((size) => {
            tag += 1;
            flowOf.set(tag, act.flow);
            sizes.set(tag, size + 40);
            bytesIn += size + 40;
            return tagged(tag, size, act.ecn);
          });
          fair.push(Buffer.concat(run), run.length, act.flow, now);
        } else if (act.do === 'pull') {
          const bytes = fair.pull(act.room, now);
          const out = bytes === undefined ? [] : split(bytes);
          // Whole packets, and only the last may go beyond the room.
          assert.ok(out.slice(0, -1).reduce((sum, one) => sum + one.length, 0) < act.room);
          for (const one of out) {
            left.push(tagOf(one));
            bytesGone += one.length;
          }
        } else if (act.do === 'wait') now += act.ms;
        else fair.expire(now);
        assert.ok(fair.length <= bounds.packets && fair.bytes <= bounds.bytes);
        const lost = drops.reduce((sum, one) => sum + (sizes.get(one.tag) ?? 0), 0);
        assert.equal(fair.bytes, bytesIn - bytesGone - lost);
        assert.equal(fair.length, tag - left.length - drops.length);
        assert.equal(fair.pulled, left.length);
      }
      const seen = [...left, ...drops.map((one) => one.tag)];
      assert.equal(new Set(seen).size, seen.length);
      for (let flow = 0; flow <= 5; flow += 1) {
        const order = left.filter((one) => flowOf.get(one) === flow);
        assert.deepEqual(
          order,
          [...order].sort((one, other) => one - other),
          `order of flow ${flow}`,
        );
      }
      // What is left comes out whole, and nothing stays behind.
      for (let rest = fair.pull(1e9, now); rest !== undefined; rest = fair.pull(1e9, now))
        left.push(...split(rest).map(tagOf));
      assert.equal(left.length + drops.length, tag);
      assert.deepEqual([fair.length, fair.bytes], [0, 0]);
      fair.pull(1, now);
      assert.equal(fair.flows, 0);
    }),
    { numRuns: 400, interruptAfterTimeLimit: 2_500 },
  );
});

test('flows that send more than the line carries share it within a tenth, whatever the size of their packets', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 60, max: 1_460 }), { minLength: 2, maxLength: 6 }),
      fc.integer({ min: 2_000, max: 8_000 }),
      (payloads, room) => {
        const { fair } = queue({ bytes: 1024 * 1024 });
        const served = payloads.map(() => 0);
        for (let now = 0; now < 2_000; now += 20) {
          payloads.forEach((payload, flow) => {
            for (let bytes = 0; bytes < 4 * room; bytes += payload + 40) fair.push(tagged(flow, payload), 1, flow, now);
          });
          for (const one of split(fair.pull(room, now) ?? Buffer.alloc(0))) {
            served[tagOf(one)] = (served[tagOf(one)] ?? 0) + one.length;
          }
        }
        const share = served.reduce((sum, bytes) => sum + bytes, 0) / served.length;
        for (const bytes of served) assert.ok(Math.abs(bytes - share) < share / 10, `${served}`);
      },
    ),
    { numRuns: 20, interruptAfterTimeLimit: 2_500 },
  );
});

test('a flow that sends little goes ahead of eight that send much', () => {
  const { fair } = queue();
  for (let flow = 0; flow < 8; flow += 1) {
    const run = Array.from({ length: 100 }, () => tagged(1_000 + flow, 1_400));
    fair.push(Buffer.concat(run), run.length, flow, 0);
  }
  // Each of the eight has had its first turn.
  for (let turn = 0; turn < 16; turn += 1) fair.pull(1, 0);
  fair.push(tagged(7), 1, 99, 1);
  assert.equal(tagOf(fair.pull(1, 1) ?? Buffer.alloc(0)), 7);
  // It does not stay ahead by sending one packet after the other.
  let ahead = 0;
  for (let sent = 0; sent < 200; sent += 1) {
    fair.push(tagged(7, 1_400), 1, 99, 2);
    if (tagOf(fair.pull(1, 2) ?? Buffer.alloc(0)) === 7) ahead += 1;
  }
  assert.ok(ahead < 40, `${ahead} of 200`);
});

test('what was pulled is borrowed until the next pull, unless somebody keeps it', () => {
  const { fair } = queue();
  const pullOne = (tag: number) => {
    fair.push(tagged(tag, 1_000), 1, 1, 0);
    return fair.pull(1e6, 0) ?? assert.fail('nothing to pull');
  };
  const first = pullOne(1);
  const second = pullOne(2);
  assert.equal(second.buffer, first.buffer, 'memory is used again');
  fair.keep();
  const third = pullOne(3);
  assert.equal(tagOf(second), 2);
  assert.equal(tagOf(third), 3);
});

test('a run is copied: what it was lent from may be overwritten', () => {
  const { fair } = queue();
  const run = Buffer.concat(Array.from({ length: 3 }, (_, tag) => tagged(tag, 1_000)));
  fair.push(run, 3, 1, 0);
  run.fill(0xee);
  assert.deepEqual(split(fair.pull(1e6, 0) ?? Buffer.alloc(0)).map(tagOf), [0, 1, 2]);
});

test('where a queue stands too long packets are dropped, more and more often, and never the last one', () => {
  const { fair, drops } = queue();
  const { targetMs, intervalMs } = codelTimes(200);
  fair.setRoundTrip(200);
  let tag = 0;
  const at: number[] = [];
  for (let now = 0; now < 20 * intervalMs; now += 10) {
    fair.push(tagged(tag++, 1_000), 1, 1, now);
    fair.push(tagged(tag++, 1_000), 1, 1, now);
    const before = drops.length;
    fair.pull(1, now);
    for (let count = before; count < drops.length; count += 1) at.push(now);
  }
  assert.ok(drops.every(({ cause }) => cause === 'congestion'));
  assert.ok((at[0] ?? 0) >= intervalMs && (at[0] ?? 0) <= intervalMs + 3 * targetMs, `first after ${at[0]} ms`);
  const early = at.filter((when) => when < 5 * intervalMs).length;
  const late = at.filter((when) => when >= 15 * intervalMs).length;
  assert.ok(late > early && early >= 2, `${early} early, ${late} late`);
  const lone = queue();
  lone.fair.push(tagged(1), 1, 1, 0);
  for (let now = 0; now < 100_000; now += 20_000) {
    lone.fair.push(tagged(2), 1, 1, now + 10_000);
    assert.ok(lone.fair.pull(1, now + 20_000) !== undefined);
    lone.fair.pull(1, now + 20_000);
  }
  assert.deepEqual(lone.drops, []);
});

test('a sender that knows ECN is told by a mark, and loses nothing', () => {
  const { fair, drops } = queue();
  fair.setRoundTrip(200);
  let marks = 0;
  for (let now = 0; now < 8_000; now += 10) {
    fair.push(Buffer.concat([tagged(1, 1_000, ECT0), tagged(2, 1_000, ECT0)]), 2, 1, now);
    const out = fair.pull(1, now);
    if (out !== undefined && ((out[1] ?? 0) & 0x30) === 0x30) marks += 1;
  }
  assert.deepEqual(drops, []);
  assert.ok(marks > 10 && marks === fair.marked, `${marks} marks`);
});

test('waiting for a stream is no congestion', () => {
  const { fair, drops } = queue();
  for (let tag = 0; tag < 200; tag += 1) fair.push(tagged(tag), 1, 1, 0);
  fair.opened(25_000);
  for (let now = 25_000; fair.length > 0; now += 1) fair.pull(1, now);
  assert.deepEqual(drops, []);
});

test('when it is full, the flow that holds most loses its oldest, not the one that sends little', () => {
  const { fair, drops } = queue({ packets: 50 });
  fair.push(tagged(1), 1, 1, 0);
  for (let tag = 100; tag < 200; tag += 1) fair.push(tagged(tag, 1_000), 1, 2, 0);
  assert.equal(fair.length, 50);
  assert.deepEqual(
    drops.map(({ tag }) => tag),
    Array.from({ length: 51 }, (_, index) => 100 + index),
  );
  assert.deepEqual(split(fair.pull(1e6, 0) ?? Buffer.alloc(0)).map(tagOf)[0], 1);
});

test('a packet is kept for its whole age and not longer; one that alone is over the limit pushes out nothing', () => {
  const { fair, drops } = queue({ bytes: 3_000, ageMs: 50 });
  fair.push(tagged(1, 1_000), 1, 1, 0);
  fair.push(tagged(2, 5_000), 1, 2, 0);
  assert.deepEqual(drops, [{ tag: 2, cause: 'overflow', left: 0 }]);
  fair.expire(50);
  assert.equal(fair.length, 1);
  fair.expire(51);
  assert.deepEqual([fair.length, fair.flows, drops.length], [0, 0, 2]);
  assert.equal(fair.pull(1, 51), undefined);
});

test('flows that come and go leave no memory, whether anybody pulls or not', () => {
  const { fair } = queue({ packets: 100 });
  for (let flow = 0; flow < 100_000; flow += 1) {
    fair.push(tagged(flow), 1, flow, flow / 1_000);
    if (flow % 3 === 0) fair.pull(1, flow / 1_000);
  }
  assert.ok(fair.flows <= 100 + 257, `${fair.flows} flows`);
});

test('a step costs about the same with two flows and with two thousand', () => {
  const cost = (flows: number) => {
    const { fair } = queue({ packets: 4_000 });
    const start = performance.now();
    for (let count = 0; count < 60_000; count += 1) {
      fair.push(tagged(count % flows, 60), 1, count % flows, count / 100);
      if (count % 2 === 0) fair.pull(1, count / 100);
    }
    return performance.now() - start;
  };
  cost(2);
  const [few, many] = [cost(2), cost(2_000)];
  assert.ok(many < 10 * few + 100, `${few.toFixed(0)} ms and ${many.toFixed(0)} ms`);
});

test('packets that turn out longer than the peer takes are dropped in their turn, and no others', () => {
  const { fair, drops } = queue();
  const sizes = [1_400, 1_401, 100, 9_000, 1_400];
  fair.push(Buffer.concat(sizes.map((size, tag) => tagged(tag, size - 40))), sizes.length, 1, 0);
  fair.acceptOnly((length) => length <= 1_400);
  const left = split(fair.pull(100_000, 1) ?? assert.fail()).map(tagOf);
  assert.deepEqual(left, [0, 2, 4]);
  assert.deepEqual(drops, [
    { tag: 1, cause: 'tooBig', left: 3 },
    { tag: 3, cause: 'tooBig', left: 1 },
  ]);
  assert.deepEqual([fair.length, fair.bytes], [0, 0]);
});

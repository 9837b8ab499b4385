/** The queue that drops: against an oracle that is slow and plain, and the bounds that its owner relies on. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { DropOldestQueue, type QueueLimits } from '../../../src/kit/queue.ts';
import { heldMemory } from '../../helpers/held-memory.ts';

interface Item {
  readonly bytes: Buffer;
  readonly at: number;
}

/** The same rules over a plain array, without any cleverness. */
class SlowQueue {
  items: Item[] = [];
  readonly drops: string[] = [];
  readonly limits: QueueLimits;

  constructor(limits: QueueLimits) {
    this.limits = limits;
  }

  get bytes(): number {
    return this.items.reduce((sum, { bytes }) => sum + bytes.length, 0);
  }

  expire(now: number): void {
    const [old, young] = [
      this.items.filter(({ at }) => now - at > this.limits.ageMs),
      this.items.filter(({ at }) => now - at <= this.limits.ageMs),
    ];
    for (const { bytes } of old) this.drops.push(`age ${bytes.toString('hex')}`);
    this.items = young;
  }

  push(bytes: Buffer, now: number): void {
    this.expire(now);
    this.items.push({ bytes, at: now });
    if (bytes.length > this.limits.bytes) {
      this.items.pop();
      this.drops.push(`overflow ${bytes.toString('hex')}`);
    }
    while (this.items.length > this.limits.items || this.bytes > this.limits.bytes) {
      this.drops.push(`overflow ${this.items.shift()?.bytes.toString('hex')}`);
    }
  }

  shift(now: number): Buffer | undefined {
    this.expire(now);
    return this.items.shift()?.bytes;
  }
}

test('any sequence of pushes, shifts and waits gives what the slow queue gives', () => {
  const action = fc.oneof(
    fc.record({ do: fc.constant('push' as const), size: fc.integer({ min: 0, max: 12 }) }),
    fc.record({ do: fc.constant('shift' as const) }),
    fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: 9 }) }),
    fc.record({ do: fc.constant('expire' as const) }),
    fc.record({ do: fc.constant('clear' as const) }),
  );
  const limits = fc.record({
    items: fc.integer({ min: 1, max: 8 }),
    bytes: fc.integer({ min: 1, max: 40 }),
    ageMs: fc.integer({ min: 0, max: 12 }),
  });
  fc.assert(
    fc.property(limits, fc.array(action, { maxLength: 80 }), (bounds, actions) => {
      const drops: string[] = [];
      const quick = new DropOldestQueue(bounds, (bytes, cause) => drops.push(`${cause} ${bytes.toString('hex')}`));
      const slow = new SlowQueue(bounds);
      let now = 100;
      let serial = 0;
      for (const act of actions) {
        switch (act.do) {
          case 'push': {
            serial += 1;
            const bytes = Buffer.alloc(act.size, serial);
            quick.push(bytes, now);
            slow.push(bytes, now);
            break;
          }
          case 'shift':
            assert.equal(quick.shift(now)?.toString('hex'), slow.shift(now)?.toString('hex'));
            break;
          case 'wait':
            now += act.ms;
            break;
          case 'expire':
            quick.expire(now);
            slow.expire(now);
            break;
          case 'clear':
            quick.clear();
            slow.items = [];
            break;
          default:
            act satisfies never;
        }
        assert.equal(quick.length, slow.items.length);
        assert.equal(quick.bytes, slow.bytes);
        assert.ok(quick.bytes <= bounds.bytes && quick.length <= bounds.items);
        assert.deepEqual(drops, slow.drops);
      }
    }),
    { numRuns: 600, interruptAfterTimeLimit: 1500 },
  );
});

test('the order survives many more items than are ever held at one time', () => {
  const queue = new DropOldestQueue({ items: 30_000, bytes: 1e9, ageMs: 1e9 }, () =>
    assert.fail('nothing may be dropped'),
  );
  let pushed = 0;
  let shifted = 0;
  for (let round = 0; round < 40; round += 1) {
    for (let turn = 0; turn < 1000; turn += 1) queue.push(numbered(pushed++), 0);
    const take = round % 2 === 0 ? 500 : 1400;
    for (let turn = 0; turn < take; turn += 1) {
      const bytes = queue.shift(0);
      if (bytes === undefined) break;
      assert.equal(bytes.readUInt32BE(), shifted++);
    }
    assert.equal(queue.length, pushed - shifted);
    assert.equal(queue.bytes, 4 * (pushed - shifted));
  }
});

test('an item that alone is over the limit is dropped and does not push out what fits', () => {
  const drops: string[] = [];
  const queue = new DropOldestQueue({ items: 4, bytes: 10, ageMs: 100 }, (bytes, cause) =>
    drops.push(`${cause} ${bytes.length}`),
  );
  queue.push(Buffer.alloc(4), 0);
  queue.push(Buffer.alloc(11), 0);
  assert.deepEqual(drops, ['overflow 11']);
  assert.equal(queue.bytes, 4);
  assert.equal(queue.shift(0)?.length, 4);
});

test('an item is kept for its whole age and not a millisecond longer', () => {
  const queue = new DropOldestQueue({ items: 4, bytes: 10, ageMs: 50 }, () => {});
  queue.push(Buffer.from([1]), 0);
  queue.expire(50);
  assert.equal(queue.length, 1);
  queue.expire(51);
  assert.equal(queue.length, 0);
  assert.equal(queue.shift(51), undefined);
});

function numbered(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

test('what was taken is let go at once, not when the queue is next tidied', async () => {
  const queue = new DropOldestQueue({ items: 1_000, bytes: 1024 * 1024, ageMs: 1_000 }, () => {});
  const taken = Array.from({ length: 100 }, (_, index) => {
    const bytes = Buffer.alloc(1_000, index);
    queue.push(bytes, 0);
    return new WeakRef(bytes);
  });
  queue.push(Buffer.from('one stays'), 0);
  for (let count = 0; count < taken.length; count += 1) queue.shift(0);
  await heldMemory();
  assert.equal(taken.filter((reference) => reference.deref() !== undefined).length, 0);
});

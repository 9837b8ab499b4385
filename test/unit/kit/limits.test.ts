/** The small things that keep the rest in bounds: back-off, token bucket, cache, tally. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { backoffDelay } from '../../../src/kit/backoff.ts';
import { ExpiringCache } from '../../../src/kit/cache.ts';
import { createTally } from '../../../src/kit/tally.ts';
import { TokenBucket } from '../../../src/kit/token-bucket.ts';

const BRIEFLY = { numRuns: 500, interruptAfterTimeLimit: 1000 };

test('a delay lies between half and the whole of what has doubled, for any number of failures', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 5_000 }),
      fc.integer({ min: 1, max: 600_000 }),
      fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 41, max: 2_000_000_000 })),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      (firstMs, longestMs, attempt, random) => {
        let whole = firstMs;
        for (let turn = 1; turn < attempt && whole < longestMs; turn += 1) whole *= 2;
        whole = Math.min(whole, longestMs);
        const delay = backoffDelay({ firstMs, longestMs }, attempt, random);
        assert.ok(Number.isInteger(delay), `${delay}`);
        assert.ok(delay >= whole / 2 && delay <= whole, `${delay} of ${whole}`);
      },
    ),
    BRIEFLY,
  );
});

test('a delay is spread: the random number decides where in the upper half it lies', () => {
  const range = { firstMs: 1000, longestMs: 60_000 };
  assert.deepEqual(
    [0, 0.5, 0.999999].map((random) => backoffDelay(range, 1, random)),
    [500, 750, 1000],
  );
  assert.deepEqual(
    [1, 2, 3, 4, 7, 8, 50].map((attempt) => backoffDelay(range, attempt, 0)),
    [500, 1000, 2000, 4000, 30_000, 30_000, 30_000],
  );
});

test('a token bucket gives its burst at once, then its rate, and saves no more than its burst', () => {
  const bucket = new TokenBucket(3, 2, 1000);
  const taken = (now: number, times: number) =>
    Array.from({ length: times }, () => bucket.take(now)).filter(Boolean).length;
  assert.equal(taken(1000, 10), 3);
  assert.equal(taken(1499, 10), 0);
  assert.equal(taken(1500, 10), 1);
  assert.equal(taken(2500, 10), 2);
  assert.equal(taken(1_000_000, 10), 3);
});

test('in no span of time does a bucket give more than burst and rate allow, nor starve a patient caller', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 20 }),
      fc.integer({ min: 1, max: 200 }),
      fc.array(fc.integer({ min: 0, max: 400 }), { minLength: 1, maxLength: 100 }),
      (burst, perSecond, waits) => {
        const bucket = new TokenBucket(burst, perSecond, 0);
        const given: number[] = [];
        let now = 0;
        for (const wait of waits) {
          now += wait;
          if (bucket.take(now)) given.push(now);
        }
        for (const [first, from] of given.entries()) {
          for (const [last, until] of given.entries()) {
            if (last < first) continue;
            assert.ok(last - first + 1 <= burst + ((until - from) * perSecond) / 1000 + 1e-6);
          }
        }
        assert.ok(bucket.take(now + Math.ceil(1000 / perSecond) + 1), 'a token must be there after its time');
      },
    ),
    { numRuns: 200, interruptAfterTimeLimit: 1000 },
  );
});

test('a cache gives back what it was given, until the moment it expires', () => {
  const cache = new ExpiringCache<string>(2);
  cache.set('name', 'value', 100);
  assert.equal(cache.get('name', 99), 'value');
  assert.equal(cache.get('name', 100), undefined);
  assert.equal(cache.get('name', 0), undefined, 'what has expired does not come back');
  assert.equal(cache.get('other', 0), undefined);
});

test('a full cache lets the oldest go; setting an entry again makes it the youngest', () => {
  const cache = new ExpiringCache<number>(2);
  cache.set('a', 1, 100);
  cache.set('b', 2, 100);
  cache.set('a', 3, 100);
  cache.set('c', 4, 100);
  assert.deepEqual(
    ['a', 'b', 'c'].map((key) => cache.get(key, 0)),
    [3, undefined, 4],
  );
  cache.deleteWhere((value) => value === 3);
  assert.deepEqual(
    ['a', 'b', 'c'].map((key) => cache.get(key, 0)),
    [undefined, undefined, 4],
  );
});

test('setting an entry of a full cache again pushes nobody out', () => {
  const cache = new ExpiringCache<number>(2);
  cache.set('a', 1, 100);
  cache.set('b', 2, 100);
  cache.set('b', 3, 100);
  assert.deepEqual(
    ['a', 'b'].map((key) => cache.get(key, 0)),
    [1, 3],
  );
});

test('a cache is never larger than its limit, whatever is put in, and falsy values are values', () => {
  const cache = new ExpiringCache<number>(5);
  const keys = Array.from({ length: 40 }, (_, index) => `k${index % 23}`);
  for (const [index, key] of keys.entries()) {
    cache.set(key, 0, index + 10);
    assert.equal(cache.get(key, index), 0);
    assert.ok([...new Set(keys)].filter((each) => cache.get(each, index) !== undefined).length <= 5);
  }
});

test('a tally begins at zero, counts by name, and its snapshots do not change behind your back', () => {
  const counts = createTally(['sent', 'lost']);
  assert.deepEqual(counts.snapshot(), { sent: 0, lost: 0 });
  counts.add('sent');
  counts.add('lost', 40);
  const before = counts.snapshot();
  counts.add('lost', 2);
  counts.add('sent', 0);
  assert.deepEqual(before, { sent: 1, lost: 40 });
  assert.deepEqual(counts.snapshot(), { sent: 1, lost: 42 });
});

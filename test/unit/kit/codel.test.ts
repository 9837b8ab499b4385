/** CoDel's law: who is told, when, and how the distances shrink. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Codel, type CodelTimes } from '../../../src/kit/codel.ts';

const TIMES: CodelTimes = { targetMs: 5, intervalMs: 100 };

/** When somebody is told, with an item every millisecond that has waited for `waited`. */
function told(waited: (now: number) => number, until: number, isLast = false): number[] {
  const codel = new Codel();
  const at: number[] = [];
  for (let now = 0; now < until; now += 1) if (codel.judge(waited(now), isLast, now, TIMES)) at.push(now);
  return at;
}

test('nobody is told while items wait for less than the target, or not for a whole interval', () => {
  assert.deepEqual(
    told(() => 4.9, 10_000),
    [],
  );
  assert.deepEqual(
    told((now) => (now % 100 === 99 ? 0 : 50), 10_000),
    [],
  );
  assert.deepEqual(
    told(() => 1_000, 10_000, true),
    [],
  );
});

test('the first is told after an interval, the others at distances that shrink with the root of their count', () => {
  const at = told(() => 50, 1_000);
  assert.equal(at[0], 100);
  const expected = [100];
  let next = 100 + 100;
  for (let count = 2; expected.length < at.length; count += 1) {
    expected.push(Math.ceil(next));
    next += 100 / Math.sqrt(count);
  }
  assert.deepEqual(at, expected);
  assert.ok(at.length > 20);
});

test('one item that waited little ends it; soon after it begins where it was', () => {
  const at = told((now) => (now === 2_000 ? 0 : 50), 4_000);
  const resumed = at.filter((now) => now > 2_000);
  assert.equal(resumed[0], 2_101);
  const firstPause = (resumed[1] ?? 0) - (resumed[0] ?? 0);
  assert.ok(firstPause < 40, `${firstPause} ms`);
});

test('long after, it begins gently again', () => {
  const at = told((now) => (now > 2_000 && now < 8_000 ? 0 : 50), 9_000).filter((now) => now > 8_000);
  assert.equal((at[1] ?? 0) - (at[0] ?? 0), 100);
});

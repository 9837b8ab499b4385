import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SessionLabel } from '../../../../src/core/session/label.ts';

function counting(): () => number {
  let count = 0;
  return () => {
    count += 1;
    return count / 0x100000;
  };
}

test('ours stays for as long as the session does, and is another on the next', () => {
  const label = new SessionLabel(counting());
  const first = label.of(undefined);
  assert.deepEqual([label.of(10), label.of(10), label.of(undefined)], [first, first, first]);
  const second = label.of(20);
  assert.notEqual(second, first);
  assert.deepEqual([label.of(undefined), label.of(20)], [second, second]);
});

test('ours has 20 bits', () => {
  for (const random of [0, 0.999_999_9]) {
    const label = new SessionLabel(() => random).of(1);
    assert.ok(Number.isInteger(label) && label >= 0 && label < 2 ** 20);
  }
});

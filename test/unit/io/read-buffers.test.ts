/** Large buffers are lent to as many as want one, and few of them are kept. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ReadBuffers } from '../../../src/io/read-buffers.ts';

test('sixteen large buffers are kept for the next flood, however many there were', () => {
  const buffers = new ReadBuffers();
  const lent = Array.from({ length: 100 }, () => buffers.borrow());
  assert.deepEqual([new Set(lent).size, lent[0]?.length], [100, 256 * 1024]);
  for (const buffer of lent) buffers.giveBack(buffer);
  const again = Array.from({ length: 100 }, () => buffers.borrow());
  assert.equal(again.filter((buffer) => lent.includes(buffer)).length, 16);
});

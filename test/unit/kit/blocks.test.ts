/** Blocks go around, in bounded number, and never with somebody's bytes in them while he looks. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Blocks } from '../../../src/kit/blocks.ts';

const filled = (length: number, value: number) => Buffer.alloc(length, value);

test('a block that was given back is used again, one that was not is not', () => {
  const blocks = new Blocks(10_000, 4);
  const [one, other] = [blocks.copy(filled(9_000, 1)), blocks.copy(filled(9_000, 2))];
  assert.notEqual(one.bytes, other.bytes);
  blocks.giveBack(one);
  assert.equal(blocks.copy(filled(8_000, 3)).bytes, one.bytes);
  assert.deepEqual(other.bytes.subarray(0, other.length), filled(9_000, 2));
});

test('what would waste most of a block, or does not fit, has memory of its own size', () => {
  const blocks = new Blocks(10_000, 4);
  for (const length of [1, 500, 5_000, 10_001]) {
    const { bytes, ...block } = blocks.copy(filled(length, 7));
    assert.deepEqual([bytes.length, block.length], [length, length]);
    assert.deepEqual(bytes, filled(length, 7));
    blocks.giveBack({ bytes, ...block });
  }
  assert.equal(blocks.copy(filled(10_000, 1)).bytes.length, 10_000);
});

test('no more spare blocks are kept than were allowed', () => {
  const blocks = new Blocks(10_000, 2);
  const given = [1, 2, 3].map((value) => blocks.copy(filled(10_000, value)));
  for (const block of given) blocks.giveBack(block);
  const again = [4, 5, 6].map((value) => blocks.copy(filled(10_000, value)).bytes);
  assert.equal(given.filter(({ bytes }) => again.includes(bytes)).length, 2);
});

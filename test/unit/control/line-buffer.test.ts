import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LineBuffer } from '../../../src/control/line-buffer.ts';
import { GateError } from '../../../src/kit/errors.ts';

const TEXT = Buffer.from('one\n\nthree é\r\nrest');

test('cuts the same lines wherever the bytes are split', () => {
  for (let first = 0; first <= TEXT.length; first += 1) {
    for (let second = first; second <= TEXT.length; second += 1) {
      const buffer = new LineBuffer(16);
      const pieces = [TEXT.subarray(0, first), TEXT.subarray(first, second), TEXT.subarray(second)];
      assert.deepEqual(
        pieces.flatMap((piece) => buffer.push(piece)),
        ['one', '', 'three é\r'],
      );
      assert.deepEqual(buffer.push(Buffer.from('\n')), ['rest']);
    }
  }
});

test('allows the longest line and refuses one byte more, in one piece or many', () => {
  const buffer = new LineBuffer(4);
  assert.deepEqual(buffer.push(Buffer.from('abcd\n')), ['abcd']);
  assert.throws(() => buffer.push(Buffer.from('abcde')), isTooLong);
  const slow = new LineBuffer(4);
  for (const letter of 'abcd') slow.push(Buffer.from(letter));
  assert.throws(() => slow.push(Buffer.from('e')), isTooLong);
});

function isTooLong(error: unknown): boolean {
  return error instanceof GateError && error.kind === 'limit' && error.code === 'control.line-too-long';
}

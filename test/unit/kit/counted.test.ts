import assert from 'node:assert/strict';
import { test } from 'node:test';
import { counted } from '../../../src/kit/counted.ts';

test('one is one, and everything else is many', () => {
  assert.deepEqual(
    [0, 1, 2, 11].map((count) => counted(count, 'peer')),
    ['0 peers', '1 peer', '2 peers', '11 peers'],
  );
  assert.deepEqual([counted(1, 'is', 'are'), counted(3, 'is', 'are')], ['1 is', '3 are']);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatPortRange, inRange, parsePortRange } from '../../../../src/wire/packet/port-range.ts';

test('ports are one or a range', () => {
  assert.deepEqual(parsePortRange('80'), { first: 80, last: 80 });
  assert.deepEqual(parsePortRange('1-65535'), { first: 1, last: 65_535 });
  for (const text of [
    '0',
    '65536',
    '9-8',
    '80-',
    '-80',
    '80 - 90',
    'http',
    '',
    '+80',
    '1e3',
    '0x50',
    '080',
    '080000',
  ]) {
    assert.equal(parsePortRange(text), undefined, text);
  }
  for (const text of ['80', '1-65535']) {
    const range = parsePortRange(text);
    assert.equal(range && formatPortRange(range), text);
  }
  const range = { first: 80, last: 90 };
  assert.deepEqual(
    [79, 80, 90, 91].map((port) => inRange(port, range)),
    [false, true, true, false],
  );
});

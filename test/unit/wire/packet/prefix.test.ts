import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  covers,
  formatPrefix,
  lastOf,
  type Prefix,
  parsePrefix,
  shortened,
} from '../../../../src/wire/packet/prefix.ts';

function prefix(text: string): Prefix {
  return parsePrefix(text) ?? assert.fail(text);
}

test('a prefix is read and printed', () => {
  for (const [text, shown, hex, bits] of [
    ['fd12:3456:789a::/48', 'fd12:3456:789a::/48', 'fd123456789a', 48],
    ['fd12:0:0::/32', 'fd12::/32', 'fd12', 32],
    ['::/0', '::/0', '', 0],
    ['2001:db8::1/128', '2001:db8::1/128', '20010db8000000000000000000000001', 128],
    ['fc00::/7', 'fc00::/7', 'fc', 7],
  ] as const) {
    const { bytes, bits: length } = prefix(text);
    assert.deepEqual([bytes.toString('hex'), length], [hex.padEnd(32, '0'), bits], text);
    assert.equal(formatPrefix({ bytes, bits: length }), shown);
  }
});

test('what is no prefix is none, and a bit behind it is a mistake', () => {
  for (const text of [
    '',
    'fd12::',
    'fd12::/',
    'fd12::/-1',
    'fd12::/129',
    'fd12::/048',
    'fd12::/4 8',
    'fd12::1/48',
    'fd12::/8',
    '10.0.0.0/8',
    'fd12::%eth0/16',
    '[fd12::]/16',
    'fd12::/16/16',
    ' fd12::/16',
  ]) {
    assert.equal(parsePrefix(text), undefined, text);
  }
});

const addresses = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => Buffer.from(bytes));

function bitsOf(bytes: Buffer): string {
  return [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('');
}

test('shortening, covering and the last address are what the bits say', () => {
  fc.assert(
    fc.property(
      addresses,
      addresses,
      fc.integer({ min: 0, max: 128 }),
      fc.integer({ min: 0, max: 128 }),
      (a, b, m, n) => {
        const outer = shortened({ bytes: a, bits: 128 }, m);
        assert.equal(bitsOf(outer.bytes), bitsOf(a).slice(0, m).padEnd(128, '0'));
        assert.equal(bitsOf(lastOf(outer)), bitsOf(a).slice(0, m).padEnd(128, '1'));
        // Half of the time an address that shares a start with the other.
        const near = Buffer.from(b);
        a.copy(near, 0, 0, m % 17);
        const inner = shortened({ bytes: near, bits: 128 }, n);
        assert.equal(covers(outer, inner), m <= n && bitsOf(near).startsWith(bitsOf(a).slice(0, m)));
      },
    ),
  );
});

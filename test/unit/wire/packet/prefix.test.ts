import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import ipaddr from 'ipaddr.js';
import {
  contains,
  covers,
  formatPrefix,
  lastOf,
  type Prefix,
  parseNetwork,
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

for (const [text, outcome] of [
  ['192.0.2.0/24', 'c0000200/24'],
  ['192.0.2.1', 'c0000201/32'],
  ['0.0.0.0/0', '00000000/0'],
  ['10.128.0.0/9', '0a800000/9'],
  ['::/0', `${'0'.repeat(32)}/0`],
  ['::1', `${'0'.repeat(31)}1/128`],
  ['FE80::/10', `fe80${'0'.repeat(28)}/10`],
  ['192.0.2.1/24', undefined],
  ['fe80::1/10', undefined],
  ['192.0.2.0/33', undefined],
  ['::/129', undefined],
  ['192.0.2.0/', undefined],
  ['192.0.2.0/024', undefined],
  ['192.0.2.0/24/24', undefined],
  ['192.0.2.0/-1', undefined],
  ['192.0.2/24', undefined],
  ['0300.0.2.1', undefined],
  ['3221225985', undefined],
  ['0xc0000201', undefined],
  ['[::1]', undefined],
  ['fe80::1%eth0', undefined],
  ['localhost', undefined],
  ['', undefined],
  ['/8', undefined],
] as const) {
  test(`the network ${JSON.stringify(text)} is ${outcome ?? 'none'}`, () => {
    const network = parseNetwork(text);
    const shown = network && `${network.bytes.toString('hex')}/${network.bits}`;
    assert.equal(shown, outcome);
  });
}

test('property: what is inside a network is what ipaddr.js says', () => {
  const bytes = fc
    .oneof(fc.uint8Array({ minLength: 4, maxLength: 4 }), fc.uint8Array({ minLength: 16, maxLength: 16 }))
    .map((array) => Buffer.from(array));
  fc.assert(
    fc.property(
      bytes,
      bytes,
      fc.integer({ min: 0, max: 128 }),
      fc.integer({ min: 0, max: 128 }),
      (a, b, bits, same) => {
        const most = Math.min(bits, 8 * a.length);
        // Close to each other more often than chance would have it.
        const near = Buffer.from(b);
        if (a.length === b.length) a.copy(near, 0, 0, Math.floor(same / 8));
        const [one, other] = [ipaddr.fromByteArray([...a]), ipaddr.fromByteArray([...near])];
        const expected =
          one.kind() === other.kind() &&
          ipaddr.parse(other.toString()).match(ipaddr.parseCIDR(`${one.toString()}/${most}`));
        assert.equal(contains(shortened({ bytes: a, bits: 8 * a.length }, most), near), expected);
      },
    ),
    { numRuns: 1000 },
  );
});

/** The rules of access lists: what can be written, and what fits. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import ipaddr from 'ipaddr.js';
import {
  admits,
  inNetwork,
  inRange,
  parseHostRule,
  parseNetwork,
  parsePortRange,
} from '../../../../src/wire/access/rules.ts';
import { madeUp } from '../i2p/fixtures.ts';

const B32 = 'ktmhezukbp6jyuldedcjmso6p4e6aegeikqli2mne67hnttgmvfa';
const B33 = `${'a'.repeat(56)}.b32.i2p`;

test('deny wins, and an empty allow means all', () => {
  const even = (rule: string) => rule === 'even';
  assert.equal(admits({ allow: [], deny: [] }, even), true);
  assert.equal(admits({ allow: [], deny: ['odd'] }, even), true);
  assert.equal(admits({ allow: [], deny: ['even'] }, even), false);
  assert.equal(admits({ allow: ['even'], deny: [] }, even), true);
  assert.equal(admits({ allow: ['odd'], deny: [] }, even), false);
  assert.equal(admits({ allow: ['odd', 'even'], deny: ['even'] }, even), false);
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
    const shown = network && `${Buffer.from(network.bytes).toString('hex')}/${network.bits}`;
    assert.equal(shown, outcome);
  });
}

test('property: what is inside a network is what ipaddr.js says', () => {
  const bytes = fc.oneof(
    fc.uint8Array({ minLength: 4, maxLength: 4 }),
    fc.uint8Array({ minLength: 16, maxLength: 16 }),
  );
  fc.assert(
    fc.property(
      bytes,
      bytes,
      fc.integer({ min: 0, max: 128 }),
      fc.integer({ min: 0, max: 128 }),
      (a, b, bits, same) => {
        const most = Math.min(bits, 8 * a.length);
        // Close to each other more often than chance would have it.
        const near = a.length === b.length ? b.map((byte, at) => (8 * (at + 1) <= same ? (a[at] ?? 0) : byte)) : b;
        const [one, other] = [ipaddr.fromByteArray([...a]), ipaddr.fromByteArray([...near])];
        const expected =
          one.kind() === other.kind() &&
          ipaddr.parse(other.toString()).match(ipaddr.parseCIDR(`${one.toString()}/${most}`));
        assert.equal(inNetwork(near, { bytes: a, bits: most }), expected);
      },
    ),
    { numRuns: 1000 },
  );
});

for (const [text, rule] of [
  ['.forum.i2p', { kind: 'below', name: 'forum.i2p' }],
  ['.I2P', { kind: 'below', name: 'i2p' }],
  ['.b32.i2p', { kind: 'below', name: 'b32.i2p' }],
  ['Forum.i2p', { kind: 'name', name: 'forum.i2p' }],
  [B33, { kind: 'name', name: B33 }],
  [`${B32}.b32.i2p`, { kind: 'b32', b32: B32 }],
  [madeUp(1).base64, { kind: 'b32', b32: madeUp(1).b32 }],
  ['Alice.peer.b32.i2p', { kind: 'peer', name: 'alice' }],
  ['fd60:db4d:ddb5:1::/64', { kind: 'network', bits: 64 }],
  ['fd60:db4d:ddb5::/48', { kind: 'network', bits: 48 }],
  ['fd60:db4d:ddb5::1', { kind: 'network', bits: 128 }],
  [`${B32.slice(0, 16)}.oc.b32.i2p`, { kind: 'network', bits: 128 }],
  ['fd60:db4d::/32', undefined],
  ['fd60:db4d:ddb4::/48', undefined],
  ['::/0', undefined],
  ['10.0.0.0/8', undefined],
  ['10.0.0.1', undefined],
  ['.com', undefined],
  ['.i2p.com', undefined],
  ['.', undefined],
  ['..i2p', undefined],
  ['.fo rum.i2p', undefined],
  ['*.i2p', undefined],
  ['example.com', undefined],
  ['', undefined],
] as const) {
  test(`the host rule ${JSON.stringify(text.slice(0, 70))} is ${rule?.kind ?? 'none'}`, () => {
    const found = parseHostRule(text);
    assert.deepEqual(found?.kind === 'network' ? { kind: found.kind, bits: found.network.bits } : found, rule);
  });
}

test('ports are one or a range', () => {
  assert.deepEqual(parsePortRange('80'), { first: 80, last: 80 });
  assert.deepEqual(parsePortRange('1-65535'), { first: 1, last: 65_535 });
  for (const text of ['0', '65536', '9-8', '80-', '-80', '80 - 90', 'http', '', '+80', '1e3', '0x50', '080000']) {
    assert.equal(parsePortRange(text), undefined, text);
  }
  const range = { first: 80, last: 90 };
  assert.deepEqual(
    [79, 80, 90, 91].map((port) => inRange(port, range)),
    [false, true, true, false],
  );
});

/** The rules of access lists: what can be written, and what fits. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { admits, parseHostRule } from '../../../../src/wire/access/rules.ts';
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

/** Destinations and private key blobs of every size that was seen, and what must not pass for one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import fc from 'fast-check';
import { GateError } from '../../../../src/kit/errors.ts';
import { parseB32, parseDestination, parsePrivateKeys } from '../../../../src/wire/i2p/destination.ts';
import { gateError, noise } from '../../kit/support.ts';
import { madeUp, plainBase64 } from './fixtures.ts';

/** Sizes in characters of base64 as DEST GENERATE of the three routers gave them, by SIGNATURE_TYPE and CRYPTO_TYPE. */
const KINDS: ReadonlyArray<
  readonly [name: string, certificate: string, privateLength: number, pub: number, priv: number]
> = [
  ['DSA, no certificate', '00 0000', 256 + 20, 516, 884],
  ['ECDSA P256', '05 0004 0001 0000', 288, 524, 908],
  ['ECDSA P384', '05 0004 0002 0000', 304, 524, 928],
  ['ECDSA P521, some of the key in the certificate', '05 0008 0003 0000 cec3e88c', 322, 528, 956],
  ['RSA 4096 of Java I2P', `05 0184 0006 0000 ${'ab'.repeat(384)}`, 256 + 1024, 1036, 2740],
  ['Ed25519', '05 0004 0007 0000', 288, 524, 908],
  ['Ed25519 with a 32-byte encryption key of i2pd', '05 0004 0007 0004', 64, 524, 608],
  ['RedDSA', '05 0004 000b 0000', 288, 524, 908],
];

for (const [index, [name, certificate, privateLength, pub, priv]] of KINDS.entries()) {
  test(`${name}: read, named by its hash, and found in front of its private keys`, () => {
    const { base64, b32, keys } = madeUp(index + 10, certificate, privateLength);
    assert.deepEqual([base64.length, keys.length], [pub, priv]);
    assert.deepEqual(parseDestination(base64), { base64, b32 });
    const read = parsePrivateKeys(keys);
    assert.deepEqual(read.destination, { base64, b32 });
    assert.equal(read.blob.reveal(), keys);
  });
}

test('an offline signature behind the private keys belongs to the blob, not to the destination', () => {
  const { base64, keys } = madeUp(3, '05 0004 0007 0000', 288 + 102);
  assert.equal(parsePrivateKeys(keys).destination.base64, base64);
  assert.equal(parsePrivateKeys(keys).blob.reveal(), keys);
});

test('a destination is exactly as long as its certificate says', () => {
  const { destination, keys } = madeUp(4);
  for (const wrong of [
    destination.subarray(0, -1),
    destination.subarray(0, 387),
    destination.subarray(0, 386),
    destination.subarray(0, 384),
    Buffer.alloc(0),
    Buffer.concat([destination, Buffer.alloc(1)]),
    Buffer.concat([noise(384, 4), Buffer.from('050005' + '00070000', 'hex')]),
    Buffer.concat([noise(384, 4), Buffer.from('050000' + '00070000', 'hex')]),
    Buffer.concat([noise(384, 4), Buffer.from('05ffff', 'hex'), Buffer.alloc(0xffff)]),
  ]) {
    gateError('name-invalid', () => parseDestination(plainBase64(wrong)));
  }
  gateError('name-invalid', () => parseDestination(keys));
});

test('a blob that ends before the private part is none', () => {
  const { base64, destination } = madeUp(5);
  gateError('name-invalid', () => parsePrivateKeys(base64));
  gateError('name-invalid', () => parsePrivateKeys(plainBase64(Buffer.concat([destination, noise(63, 1)]))));
});

test('no error about a blob quotes any of it, and the blob does not print', () => {
  const { keys } = madeUp(6);
  const wrong = [
    keys.slice(0, -1),
    keys.slice(0, 500),
    `${keys}!`,
    keys.replace(/.$/, '+'),
    keys.slice(1),
    keys.slice(0, 560),
  ];
  for (const text of wrong) {
    const error = gateError('name-invalid', () => parsePrivateKeys(text));
    assertHides(inspect(error, { depth: 9, showHidden: true }), keys);
  }
  const read = parsePrivateKeys(keys);
  const secret = keys.slice(read.destination.base64.length);
  assertHides(inspect(read, { depth: 9, showHidden: true }) + JSON.stringify(read), secret);
});

function assertHides(text: string, secret: string): void {
  for (let at = 0; at + 12 <= secret.length; at += 1) assert.ok(!text.includes(secret.slice(at, at + 12)), text);
}

test('a b32 name: 52 characters that stand for 256 bits, in either case, kept in lower case', () => {
  const name = 'ktmhezukbp6jyuldedcjmso6p4e6aegeikqli2mne67hnttgmvfa';
  assert.equal(parseB32(name), name);
  assert.equal(parseB32(name.toUpperCase()), name);
  assert.equal(parseB32(`${'7'.repeat(51)}q`), `${'7'.repeat(51)}q`);
});

test('the last letter can only be a or q, because 260 bits hold 256', () => {
  for (const letter of 'bcdefghijklmnoprstuvwxyz234567')
    gateError('name-invalid', () => parseB32('a'.repeat(51) + letter));
});

for (const text of [
  '',
  'a',
  'a'.repeat(51),
  'a'.repeat(53),
  'a'.repeat(56),
  `${'a'.repeat(52)}\n`,
  ` ${'a'.repeat(51)}`,
  `${'a'.repeat(52)}.b32.i2p`,
  `${'0'.repeat(51)}a`,
  `\u212a${'a'.repeat(51)}`,
  `${'a'.repeat(51)}Ａ`,
]) {
  test(`not a b32 name: ${JSON.stringify(text)}`, () => {
    gateError('name-invalid', () => parseB32(text));
  });
}

test('any text is read or refused as a name, and what is read has the name of its hash', () => {
  const text = fc.oneof(
    fc.string({ maxLength: 700 }),
    fc.uint8Array({ minLength: 380, maxLength: 420 }).map(plainBase64),
    fc
      .tuple(fc.uint8Array({ minLength: 384, maxLength: 384 }), fc.uint8Array({ maxLength: 12 }))
      .map(([keys, rest]) => plainBase64(Buffer.concat([keys, Buffer.from('050004', 'hex'), rest]))),
  );
  fc.assert(
    fc.property(text, (given) => {
      for (const parse of [parseDestination, parsePrivateKeys, parseB32]) {
        try {
          parse(given);
        } catch (error) {
          assert.ok(error instanceof GateError && error.kind === 'name-invalid');
        }
      }
    }),
    { numRuns: 300, interruptAfterTimeLimit: 800 },
  );
});

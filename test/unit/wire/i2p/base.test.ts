/** I2P's two alphabets: known vectors, node's own encoder, and every kind of text that must be refused. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeBase32, encodeBase32 } from '../../../../src/wire/i2p/base32.ts';
import { decodeBase64, encodeBase64 } from '../../../../src/wire/i2p/base64.ts';
import { gateError, hex } from '../../kit/support.ts';
import { plainBase32, plainBase64 } from './fixtures.ts';

const BRIEFLY = { numRuns: 400, interruptAfterTimeLimit: 800 };

/** RFC 4648, section 10, lower case and without padding for base32. */
const RFC_4648: ReadonlyArray<readonly [text: string, base64: string, base32: string]> = [
  ['', '', ''],
  ['f', 'Zg==', 'my'],
  ['fo', 'Zm8=', 'mzxq'],
  ['foo', 'Zm9v', 'mzxw6'],
  ['foob', 'Zm9vYg==', 'mzxw6yq'],
  ['fooba', 'Zm9vYmE=', 'mzxw6ytb'],
  ['foobar', 'Zm9vYmFy', 'mzxw6ytboi'],
];

for (const [text, base64, base32] of RFC_4648) {
  test(`RFC 4648: ${JSON.stringify(text)}`, () => {
    const bytes = Buffer.from(text);
    assert.equal(encodeBase64(bytes), base64);
    assert.deepEqual(decodeBase64(base64), bytes);
    assert.equal(encodeBase32(bytes), base32);
    assert.deepEqual(decodeBase32(base32), bytes);
    assert.deepEqual(decodeBase32(base32.toUpperCase()), bytes);
  });
}

test("I2P's own two letters stand for 62 and 63", () => {
  assert.equal(encodeBase64(hex('fb ef be')), '----');
  assert.equal(encodeBase64(hex('ff ff ff')), '~~~~');
  assert.deepEqual(decodeBase64('-~-~'), hex('fb ff bf'));
});

test('any bytes go there and back, and look like what plain encoders make', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
      const buffer = Buffer.from(bytes);
      assert.equal(encodeBase64(bytes), plainBase64(bytes));
      assert.equal(encodeBase32(bytes), plainBase32(bytes));
      assert.deepEqual(decodeBase64(plainBase64(bytes)), buffer);
      assert.deepEqual(decodeBase32(plainBase32(bytes)), buffer);
    }),
    BRIEFLY,
  );
});

test('one value has one spelling: what decodes, encodes to the same text again', () => {
  const letters64 = fc.string({ unit: fc.constantFrom(...'ABab01-~+/=_ \n'), maxLength: 12 });
  const letters32 = fc.string({ unit: fc.constantFrom(...'abcqyzAQZ2347018=- '), maxLength: 18 });
  fc.assert(
    fc.property(letters64, letters32, (text64, text32) => {
      for (const [decode, encode, text] of [
        [decodeBase64, encodeBase64, text64],
        [decodeBase32, encodeBase32, text32],
      ] as const) {
        let bytes: Buffer;
        try {
          bytes = decode(text);
        } catch {
          gateError('name-invalid', () => decode(text));
          continue;
        }
        assert.equal(encode(bytes), decode === decodeBase32 ? text.toLowerCase() : text);
      }
    }),
    { numRuns: 3000, interruptAfterTimeLimit: 1000 },
  );
});

const NOT_BASE64 = [
  'A',
  'AA',
  'AAA',
  'AAAAA',
  'AA=',
  'A===',
  '====',
  'AA==AAAA',
  'AA=A',
  '=AAA',
  'AAAA=',
  'AAAA==',
  'AB==',
  'AAB=',
  '++++',
  '////',
  '____',
  'AAA ',
  ' AAA',
  'AAAA\n',
  'AAA\n',
  'AA\nAA',
  'AAAA\0',
  'ÄAAA',
  'A\u017fAA',
];

for (const text of NOT_BASE64) {
  test(`not I2P base64: ${JSON.stringify(text)}`, () => {
    gateError('name-invalid', () => decodeBase64(text));
  });
}

/** Besides other letters: lengths that no number of bytes has, and bits behind the last whole byte. */
const NOT_BASE32 = [
  'a',
  'aaa',
  'aaaaaa',
  'mz',
  'mzxr',
  'ab======',
  '0a',
  '1a',
  '8a',
  '9a',
  'a-',
  'a ',
  'my\n',
  ' my',
  'ma\u212a',
  '\u212ay',
  'mü',
];

for (const text of NOT_BASE32) {
  test(`not base32: ${JSON.stringify(text)}`, () => {
    gateError('name-invalid', () => decodeBase32(text));
  });
}

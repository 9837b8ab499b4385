import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { plain, plainJson } from '../../../src/kit/plain.ts';

const OBEYED = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u;

test('nothing from elsewhere can move the cursor, turn text around, or begin a line', () => {
  assert.equal(plain('a\u001b[2J\r\n\u0007\u202e\u2066\u200b\u2028\u2029\u009bz'), 'a?[2J?????????z');
  assert.equal(plain('grün – ok'), 'grün – ok');
});

test('JSON says the same without a character that a terminal obeys, in its one line', () => {
  assert.equal(plainJson(JSON.stringify('\u009b\u202e\u{e0001}')), '"\\u009b\\u202e\\udb40\\udc01"');
  fc.assert(
    fc.property(fc.jsonValue(), fc.string({ unit: 'binary' }), (value, text) => {
      const json = plainJson(`${JSON.stringify([value, text])}\n`);
      assert.deepEqual(JSON.parse(json), JSON.parse(JSON.stringify([value, text])));
      assert.ok(json.endsWith('\n') && !OBEYED.test(json.slice(0, -1)));
    }),
  );
});

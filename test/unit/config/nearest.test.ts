import assert from 'node:assert/strict';
import { test } from 'node:test';
import { editDistance, nearest } from '../../../src/config/nearest.ts';

for (const [word, expected] of [
  ['sma', 'sam'],
  ['keyFile', 'key_file'],
  ['key-file', 'key_file'],
  ['pasword_file', 'password_file'],
  ['interfaces', 'interface'],
  ['x', undefined],
  ['completely', undefined],
  ['s'.repeat(10_000), undefined],
] as const) {
  test(`the nearest of ${word.slice(0, 20)} is ${expected}`, () => {
    assert.equal(nearest(word, ['sam', 'key_file', 'password_file', 'interface']), expected);
  });
}

for (const [from, to, edits] of [
  ['', '', 0],
  ['abc', '', 3],
  ['', 'abc', 3],
  ['abc', 'acb', 1],
  ['kitten', 'sitting', 3],
  ['ab', 'ba', 1],
] as const) {
  test(`${edits} edits from "${from}" to "${to}"`, () => assert.equal(editDistance(from, to), edits));
}

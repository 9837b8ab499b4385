/** docs/limits.md keeps its word: every bound has a test that drives it to its limit. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertShown, readDocument } from './helpers/shown-by.ts';

const [table = ''] = readDocument('docs/limits.md').split('\n## ');
const rows = table
  .split('\n')
  .map((line) => line.split('|').map((cell) => cell.trim()))
  .filter(([before, what = '', ...cells]) => before === '' && cells.length === 4 && !/^(-+|what)$/.test(what));

test('there are bounds', () => assert.ok(rows.length > 25));

for (const [, what, bound, whenFull, shown = ''] of rows) {
  test(`${what} has a bound, and a test that reaches it`, () => {
    assert.ok(bound !== '' && whenFull !== '');
    assertShown(shown);
  });
}

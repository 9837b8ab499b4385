/** docs/security.md keeps its word: every weakness of OnionCat has its row, and the tests that a row names exist. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertShown, names, readDocument } from './helpers/shown-by.ts';

const WEAKNESSES = 38;

const rows = readDocument('docs/security.md')
  .split('\n')
  .flatMap((line) => {
    const [, number, ...cells] = /^\| W(\d+) \|(.*)\|(.*)\|(.*)\|$/.exec(line) ?? [];
    return number === undefined ? [] : [{ number: Number(number), cells: cells.map((cell) => cell.trim()) }];
  });

test('each of the weaknesses has one row, in order, and all of its cells', () => {
  assert.deepEqual(
    rows.map(({ number }) => number),
    Array.from({ length: WEAKNESSES }, (_, index) => index + 1),
  );
  assert.ok(rows.every(({ cells }) => cells.length === 3 && cells.every((cell) => cell !== '')));
});

for (const { number, cells } of rows) {
  test(`the tests of W${number} exist`, () => {
    assertShown(cells[2] ?? '');
  });
}

test('a title that no test has would be noticed', () => {
  assert.equal(
    names(readDocument('test/security-docs.test.ts'), 'no such title, since it is written in two ' + 'parts'),
    false,
  );
});

test('the unit gives a user of its own, one capability, and no way to more', () => {
  const unit = readDocument('docs/examples/garligate.service');
  const settings = new Map(
    unit.split('\n').flatMap((line) => {
      const [, key, value] = /^(\w+)=(.*)$/.exec(line) ?? [];
      return key === undefined || value === undefined ? [] : [[key, value] as const];
    }),
  );
  assert.equal(settings.get('User'), 'garligate');
  for (const key of ['AmbientCapabilities', 'CapabilityBoundingSet']) assert.equal(settings.get(key), 'CAP_NET_ADMIN');
  assert.equal(settings.get('NoNewPrivileges'), 'yes');
});

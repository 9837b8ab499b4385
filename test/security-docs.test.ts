/** docs/security.md keeps its word: every weakness of OnionCat has its row, and the tests that a row names exist. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const ROOT = join(import.meta.dirname, '..');
const WEAKNESSES = 38;

const rows = read('docs/security.md')
  .split('\n')
  .flatMap((line) => {
    const [, number, ...cells] = /^\| W(\d+) \|(.*)\|(.*)\|(.*)\|$/.exec(line) ?? [];
    return number === undefined ? [] : [{ number: Number(number), cells: cells.map((cell) => cell.trim()) }];
  });

/** A file of tests and the whole title of one of them. */
interface Shown {
  readonly file: string;
  readonly title: string;
}

function shownBy(cell: string): readonly Shown[] {
  return cell.split('<br>').map((part) => {
    const [, file, title] = /^`(test\/[\w/.-]+\.ts)`: (.+)$/.exec(part) ?? [];
    assert.ok(file !== undefined && title !== undefined, `not a file and a title: ${part}`);
    return { file, title };
  });
}

function read(file: string): string {
  return readFileSync(join(ROOT, file), 'utf8');
}

/** As a whole string of the source: a test, a row of a table of tests, or a scenario. */
function names(source: string, title: string): boolean {
  return [`'${title}'`, `"${title}"`, `\`${title}\``].some((literal) => source.includes(literal));
}

test('each of the weaknesses has one row, in order, and all of its cells', () => {
  assert.deepEqual(
    rows.map(({ number }) => number),
    Array.from({ length: WEAKNESSES }, (_, index) => index + 1),
  );
  assert.ok(rows.every(({ cells }) => cells.length === 3 && cells.every((cell) => cell !== '')));
});

for (const { number, cells } of rows) {
  test(`the tests of W${number} exist`, () => {
    for (const { file, title } of shownBy(cells[2] ?? '')) {
      assert.ok(existsSync(join(ROOT, file)), `${file} does not exist`);
      assert.ok(names(read(file), title), `${file} has no test "${title}"`);
    }
  });
}

test('a title that no test has would be noticed', () => {
  assert.equal(
    names(read('test/security-docs.test.ts'), 'no such title, since it is written in two ' + 'parts'),
    false,
  );
});

test('the unit gives a user of its own, one capability, and no way to more', () => {
  const unit = read('docs/examples/garligate.service');
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

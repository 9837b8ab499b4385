/** The table of SOCKS rules in docs/socks.md: every rule is there, and every test that it names exists. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

const read = (file: string) => readFileSync(new URL(`../${file}`, import.meta.url), 'utf8');

const [, section = ''] = /^## Rules and their tests\n([\s\S]*)$/m.exec(read('docs/socks.md')) ?? [];
const ROWS = [...section.matchAll(/^\| (D\d+) \| (.*) \| `(.+?)` \| (.+) \|$/gm)].map(
  ([, rule = '', , file = '', name = '']) => ({ rule, file, name }),
);

/**
 * A name where it becomes that of a test: in its call, in a row of a table of tests, or as the key of a scenario. An ellipsis
 * stands for what differs from row to row.
 */
function declaration(name: string): RegExp {
  const parts = name.split('…').map((part) => part.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'));
  const quoted = `['"\`]${parts.join('\\$\\{[^}]+\\}')}['"\`]`;
  const calls = '\\b(?:test|it|refused|methods|command)\\(';
  return new RegExp(`(?:${calls}|\\brule:|\\n *\\[)\\s*${quoted}|\\n *${quoted}: \\{`);
}

for (const { rule, file, name } of ROWS) {
  test(`${rule} is shown by "${name}" in ${file}`, () => {
    assert.match(read(file), declaration(name));
  });
}

test('the table has all rules from D1 to D25', () => {
  const rules = new Set(ROWS.map(({ rule }) => rule));
  assert.deepEqual(
    [...rules],
    Array.from({ length: 25 }, (_, index) => `D${index + 1}`),
  );
  assert.equal(ROWS.length, section.split('\n').filter((line) => line.startsWith('| D')).length);
});

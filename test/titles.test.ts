/** Which texts of a source are titles of tests: what the documentation names as proof must be one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { titlesIn } from './helpers/titles.ts';

const SOURCES: readonly (readonly [what: string, source: string, titles: readonly string[]])[] = [
  ['tests and suites', "describe('a', () => { it('b', f); test(\"it's c\", f); });", ['a', 'b', "it's c"]],
  ['tests inside of tests', "test('a', (context) => context.test('b', f));", ['a', 'b']],
  ['a template as it is written', `test(\`a \${b} c\`, f);`, [`a \${b} c`]],
  ['rows of a table', "for (const [title, x] of [['a', 'b'], ['c', 'd']]) test(title, f);", ['a', 'c']],
  [
    'rows of a constant, and the column that is used',
    `const ROWS = [{ what: 'a', bytes: 'b' }] as const; for (const { what } of ROWS) test(\`is \${what}\`, f);`,
    [`is \${what}`, 'a'],
  ],
  ['a plain list', "for (const title of ['a', 'b']) test(title, f);", ['a', 'b']],
  ['scenarios', `await declareScenarios(file, { 'a': { run }, [\`b \${c}\`]: of('d') });`, ['a', `b \${c}`]],
  [
    'scenarios of a function, or of pairs',
    "const all = (x): Readonly<Record<string, Scenario>> => ({ 'a': { run: () => log('b') } });" +
      `declareScenarios(file, Object.fromEntries(LIST.map((n) => [\`c \${n}\`, { run }])));`,
    ['a', `c \${n}`],
  ],
  ['a text that is only used', "const a = 'a'; assert.equal(b, 'c', 'd'); test('e', () => log('f'));", ['e']],
  ['a table for something else', "for (const [what] of [['a']]) log(what); test('b', f);", ['b']],
  ['a name in a comment', "// test('a', f)\ntest('b', f);", ['b']],
];

for (const [what, source, titles] of SOURCES) {
  test(`${what}: exactly the titles`, () => {
    assert.deepEqual([...titlesIn(source)].sort(), [...titles].sort());
  });
}

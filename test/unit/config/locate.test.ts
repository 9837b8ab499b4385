import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parse, stringify } from 'smol-toml';
import { type KeyPath, locateKeys } from '../../../src/config/locate.ts';

const TEXT = `# a comment = 1
top = "line 2"
dotted.inner.key = 3

[table] # [not.this]
key = """
= 7 [x]
""" # still 6 to 8
'quoted key' = 9
"escaped \\u0041" = 10
list = [
  1, # [
  { deep = 13 },
  [ "a]", 'b' ],
]
inline = { one = 16, two = { three = "}" } }
[[items]]
name = "first"
[items.sub]
x = 20
[[items]]
name = "second"
[[items.nested]]
y = 24
[[items.nested]]
y = 26
[other . "spaced key"]
z = 28
`;

for (const [path, line] of [
  [['top'], 2],
  [['dotted'], 3],
  [['dotted', 'inner', 'key'], 3],
  [['table'], 5],
  [['table', 'key'], 6],
  [['table', 'quoted key'], 9],
  [['table', 'escaped A'], 10],
  [['table', 'list'], 11],
  [['table', 'list', 0], 12],
  [['table', 'list', 1, 'deep'], 13],
  [['table', 'list', 2], 14],
  [['table', 'inline', 'two', 'three'], 16],
  [['items'], 17],
  [['items', 0, 'name'], 18],
  [['items', 0, 'sub', 'x'], 20],
  [['items', 1], 21],
  [['items', 1, 'name'], 22],
  [['items', 1, 'nested', 0, 'y'], 24],
  [['items', 1, 'nested', 1, 'y'], 26],
  [['other', 'spaced key', 'z'], 28],
  [['items', 1, 'missing'], 21],
  [['table', 'missing', 'deeper'], 5],
  [['missing'], 1],
] as ReadonlyArray<readonly [KeyPath, number]>) {
  test(`finds ${path.join('.')} on line ${line}`, () => {
    assert.doesNotThrow(() => parse(TEXT));
    assert.equal(locateKeys(TEXT)(path), line);
  });
}

test('lines may end with CR LF', () => {
  assert.equal(locateKeys('[a]\r\nb = 1\r\nc = 2\r\n')(['a', 'c']), 3);
});

test('ends with any text, and answers with a line of it', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...'[]{}=,.#"\'\n ab1\\') }), (text) => {
      const line = locateKeys(text)(['a', 0, 'b']);
      assert.ok(line >= 1 && line <= text.split('\n').length);
    }),
    { numRuns: 3000 },
  );
});

test('finds every key of what a writer of TOML writes', () => {
  const key = fc.string({ unit: fc.constantFrom(...'ab. "=#['), minLength: 1, maxLength: 6 });
  const leaf = fc.oneof(fc.string(), fc.integer(), fc.boolean());
  const tables = fc.dictionary(
    key,
    fc.dictionary(key, fc.oneof(leaf, fc.array(leaf, { maxLength: 3 })), { minKeys: 1 }),
  );
  fc.assert(
    fc.property(tables, (value) => {
      const text = stringify(value);
      const lines = text.split('\n');
      const locate = locateKeys(text);
      for (const [section, keys] of Object.entries(value)) {
        for (const name of Object.keys(keys)) {
          const line = lines[locate([section, name]) - 1] ?? '';
          assert.deepEqual(Object.keys(parse(line)), [name]);
        }
      }
    }),
    { numRuns: 500 },
  );
});

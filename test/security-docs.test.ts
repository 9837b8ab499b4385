/** docs/security.md keeps its word: threats and OnionCat's weaknesses have their rows, and the tests that a row names exist. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertShown, readDocument } from './helpers/shown-by.ts';

const WEAKNESSES = 38;

const lines = readDocument('docs/security.md').split('\n');

/** The first table is that of the threats. */
const tableAt = lines.findIndex((line) => line.startsWith('|'));
const [heading, , ...threats] = lines
  .slice(tableAt, lines.indexOf('', tableAt))
  .map((line) => line.split('|').map((cell) => cell.trim()));

test('each threat has one row, with what stands against it', () => {
  assert.deepEqual(heading, ['', 'threat', 'what stands against it', 'shown by', '']);
  assert.ok(threats.every((cells) => cells.length === 5 && cells.slice(1, 4).every((cell) => cell !== '')));
  assert.equal(new Set(threats.map(([, threat]) => threat)).size, threats.length);
});

for (const [, threat = '', , shown = ''] of threats) {
  test(`the tests against this exist: ${threat}`, () => {
    assertShown(shown);
  });
}

const rows = lines.flatMap((line) => {
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

test('a title that no test has would be noticed, also where the file has the text', () => {
  const file = 'test/security-docs.test.ts';
  assert.doesNotThrow(() => assertShown(`\`${file}\`: each threat has one row, with what stands against it`));
  assert.throws(() => assertShown(`\`${file}\`: what stands against it`), /has no test/);
  assert.throws(() => assertShown('`test/none.test.ts`: anything'), /does not exist/);
});

test('the unit gives root what it takes to become another user, and no way to more', () => {
  const unit = readDocument('docs/examples/garligate.service');
  const values = (key: string) =>
    [...unit.matchAll(new RegExp(`^${key}=(.*)$`, 'gm'))].flatMap(([, value = '']) => value.split(' '));
  for (const key of ['User', 'Group', 'AmbientCapabilities']) assert.deepEqual(values(key), []);
  // That each of them is needed shows where it is started with them: test/net/privileges.test.ts.
  assert.deepEqual(values('CapabilityBoundingSet').sort(), [
    'CAP_CHOWN',
    'CAP_DAC_OVERRIDE',
    'CAP_FOWNER',
    'CAP_NET_ADMIN',
    'CAP_NET_BIND_SERVICE',
    'CAP_SETGID',
    'CAP_SETPCAP',
    'CAP_SETUID',
  ]);
  assert.deepEqual(values('NoNewPrivileges'), ['yes']);
  // Where it may not be called, rights are not given up, and the gateway does not start.
  assert.deepEqual(values('SystemCallFilter'), ['@system-service', 'seccomp']);
});

/** The table of clients in docs/socks.md: exactly what test/live/clients.test.ts tries, and what it expects. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { describeExpectation } from './live/clients/entry.ts';
import { CLIENT_MATRIX } from './live/clients/matrix.ts';

test('the table of clients is what the client matrix tries, in its order', () => {
  const document = readFileSync(new URL('../docs/socks.md', import.meta.url), 'utf8');
  const section = /^## Clients\n([\s\S]*?)^## /m.exec(document)?.[1] ?? '';
  const [, , ...rows] = section.split('\n').filter((line) => line.startsWith('|'));
  assert.deepEqual(
    rows,
    CLIENT_MATRIX.map(({ client, way, expected }) => `| ${client} | ${way} | ${describeExpectation(expected)} |`),
  );
});

test('no two entries of the client matrix are the same', () => {
  const names = CLIENT_MATRIX.map(({ client, way }) => `${client} ${way}`);
  assert.deepEqual([...new Set(names)], names);
});

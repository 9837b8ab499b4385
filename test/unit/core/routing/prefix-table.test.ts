import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { PrefixTable } from '../../../../src/core/routing/prefix-table.ts';
import { lastOf, parsePrefix } from '../../../../src/wire/packet/prefix.ts';
import { crowdedAddress, crowdedPrefixes, slowMatch } from './prefixes.ts';

test('finds what the slow search finds', () => {
  fc.assert(
    fc.property(
      crowdedPrefixes,
      fc.array(crowdedAddress, { maxLength: 30 }),
      fc.nat(40),
      (prefixes, others, offset) => {
        const table = new PrefixTable(prefixes);
        const edges = prefixes.flatMap(([prefix]) => [prefix.bytes, lastOf(prefix)]);
        for (const address of [...edges, ...others]) {
          const packet = Buffer.concat([Buffer.alloc(offset, 0xaa), address, Buffer.alloc(8, 0xaa)]);
          assert.equal(table.find(packet, offset), slowMatch(prefixes, address), address.toString('hex'));
        }
      },
    ),
    { numRuns: 300 },
  );
});

test('an empty table holds nothing, and of equal prefixes the last one counts', () => {
  assert.equal(new PrefixTable([]).find(Buffer.alloc(16), 0), undefined);
  const prefix = parsePrefix('fd12::/16') ?? assert.fail();
  const twice = new PrefixTable([
    [prefix, 'first'],
    [prefix, 'last'],
  ]);
  assert.equal(twice.find(prefix.bytes, 0), 'last');
});

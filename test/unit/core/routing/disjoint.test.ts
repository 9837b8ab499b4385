import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { disjointRanges } from '../../../../src/core/routing/disjoint.ts';
import { lastOf } from '../../../../src/wire/packet/prefix.ts';
import { crowdedAddress, crowdedPrefixes, slowMatch } from './prefixes.ts';

test('ranges never overlap, and say of every address what its longest prefix says', () => {
  fc.assert(
    fc.property(crowdedPrefixes, fc.array(crowdedAddress, { maxLength: 30 }), (prefixes, others) => {
      const ranges = disjointRanges(prefixes);
      for (const [at, { first, last }] of ranges.entries()) {
        assert.ok(first.compare(last) <= 0);
        const before = ranges[at - 1];
        assert.ok(before === undefined || before.last.compare(first) < 0);
      }
      const edges = prefixes.flatMap(([prefix]) => [prefix.bytes, lastOf(prefix)]);
      for (const address of [...edges, ...others, Buffer.alloc(16, 0), Buffer.alloc(16, 0xff)]) {
        const range = ranges.find(({ first, last }) => first.compare(address) <= 0 && address.compare(last) <= 0);
        assert.equal(range?.value, slowMatch(prefixes, address), address.toString('hex'));
      }
    }),
    { numRuns: 300 },
  );
});

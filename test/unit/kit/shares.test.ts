/** Places that several share: never too many, never all for one, and always as many as are free for who has fewer. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Shares } from '../../../src/kit/shares.ts';

/** Takes until it is refused. @returns how many it got */
function takeAll(shares: Shares, who: string): number {
  let count = 0;
  while (shares.take(who) !== undefined) count += 1;
  return count;
}

test('one alone has half of them, and each that comes later half of what is left', () => {
  const shares = new Shares(64);
  const had = ['a', 'b', 'c', 'd', 'e', 'f', 'g'].map((who) => takeAll(shares, who));
  assert.deepEqual(had, [32, 16, 8, 4, 2, 1, 1]);
  const { counts, taken } = shares.snapshot();
  assert.deepEqual([taken, counts], [64, { refusedShare: 6, refusedFull: 1 }]);
});

test('a single place can be had', () => {
  assert.equal(takeAll(new Shares(1), 'a'), 1);
});

test('whoever takes turns with others gets as much as they', () => {
  const shares = new Shares(64);
  const who = ['a', 'b', 'c'];
  for (let turn = 0; turn < 64; turn += 1) shares.take(who[turn % 3] ?? '');
  assert.deepEqual([shares.snapshot().taken, who.map((one) => takeAll(shares, one))], [48, [0, 0, 0]]);
});

test('property: whatever is taken and given back, nobody has more than is free to others, and who has nothing gets some', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 40 }),
      fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c', 'd'), fc.boolean()), { maxLength: 200 }),
      (most, steps) => {
        const shares = new Shares(most);
        const held = new Map<string, Array<() => void>>();
        const taken = () => [...held.values()].reduce((sum, of) => sum + of.length, 0);
        for (const [who, wants] of steps) {
          const own = held.get(who) ?? [];
          held.set(who, own);
          if (!wants) {
            const giveBack = own.pop();
            giveBack?.();
            giveBack?.();
          } else {
            const free = most - taken();
            const place = shares.take(who);
            assert.equal(place !== undefined, own.length < free);
            if (place !== undefined) own.push(place);
          }
          assert.equal(shares.snapshot().taken, taken());
          assert.ok(taken() <= most);
        }
      },
    ),
    { numRuns: 300, interruptAfterTimeLimit: 2000 },
  );
});

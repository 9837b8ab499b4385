/** When the session is built anew for the sake of a peer, and when it is left alone for the sake of all others. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { LinkReach } from '../../../../src/front/vpn/link-report.ts';
import {
  ALIVE_MS,
  FIRST_PAUSE_MS,
  LONGEST_PAUSE_MS,
  LOST_DIALS,
  LOST_MS,
  peersToWinBack,
  rebuildPause,
  type SessionFacts,
} from '../../../../src/front/vpn/rebuild-policy.ts';
import { SessionWatch } from '../../../../src/front/vpn/session-watch.ts';
import { silentLogger } from '../../../../src/kit/log.ts';
import { FakeClock } from '../../../helpers/fake-clock.ts';

const NOW = 10_000_000;
const LOST: LinkReach = { wanted: true, up: false, heardAt: NOW - LOST_MS, isKnown: true, vainDials: LOST_DIALS };
const FACTS: SessionFacts = {
  now: NOW,
  readySince: NOW - 3_600_000,
  links: [LOST],
  heardElsewhereAt: undefined,
  lastRebuildAt: undefined,
  rebuilds: 0,
};

const CASES: ReadonlyArray<readonly [name: string, facts: Partial<SessionFacts>, lost: number]> = [
  ['one peer, lost', {}, 1],
  ['two of them', { links: [LOST, LOST] }, 2],
  ['no peers', { links: [] }, 0],
  ['silent, but not for long', { links: [{ ...LOST, heardAt: NOW - LOST_MS + 1 }] }, 0],
  ['silent, but not yet dialled often enough', { links: [{ ...LOST, vainDials: LOST_DIALS - 1 }] }, 0],
  ['nobody wants it', { links: [{ ...LOST, wanted: false }] }, 0],
  ['it may have been a stranger', { links: [{ ...LOST, isKnown: false }] }, 0],
  ['never heard', { links: [{ ...LOST, heardAt: undefined }] }, 0],
  ['not heard on this build: a new one would be as good', { readySince: NOW - LOST_MS + 1 }, 0],
  ['another peer is alive', { links: [LOST, { ...LOST, up: true, heardAt: NOW - ALIVE_MS + 1 }] }, 0],
  [
    'another peer is up and has not been heard for long',
    { links: [LOST, { ...LOST, up: true, heardAt: NOW - ALIVE_MS }] },
    1,
  ],
  ['a client has been heard', { heardElsewhereAt: NOW - ALIVE_MS + 1 }, 0],
  ['a client was heard long ago', { heardElsewhereAt: NOW - ALIVE_MS }, 1],
  ['it was built anew a moment ago', { lastRebuildAt: NOW - FIRST_PAUSE_MS + 1, rebuilds: 1 }, 0],
  ['it was built anew some time ago', { lastRebuildAt: NOW - FIRST_PAUSE_MS, rebuilds: 1 }, 1],
  ['again and again', { lastRebuildAt: NOW - 2 * FIRST_PAUSE_MS, rebuilds: 3 }, 0],
];
for (const [name, facts, lost] of CASES) {
  test(name, () => assert.equal(peersToWinBack({ ...FACTS, ...facts }), lost));
}

test('the pauses double, and end at the longest', () => {
  const pauses = [1, 2, 3, 4, 5, 50].map(rebuildPause);
  assert.deepEqual(
    pauses.slice(0, 4),
    [1, 2, 4, 8].map((factor) => factor * FIRST_PAUSE_MS),
  );
  assert.deepEqual(pauses.slice(4), [LONGEST_PAUSE_MS, LONGEST_PAUSE_MS]);
});

test('whatever peers do, no rebuild comes within the pause, and none while somebody else is heard', async () => {
  const event = fc.record({
    ms: fc.integer({ min: 1_000, max: 200_000 }),
    do: fc.constantFrom('peer is heard', 'peer is lost', 'other is heard', 'client is heard'),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(event, { maxLength: 40 }), async (events) => {
      const clock = new FakeClock();
      let readySince: number | undefined = 0;
      let received = 0;
      let clientAt = Number.NEGATIVE_INFINITY;
      let one: LinkReach = { wanted: true, up: true, heardAt: 0, isKnown: true, vainDials: 0 };
      let other: LinkReach = { wanted: false, up: false, heardAt: undefined, isKnown: true, vainDials: 0 };
      const rebuilds: number[] = [];
      const watch = new SessionWatch({
        clock,
        log: silentLogger,
        links: () => [one, other],
        session: {
          readySince: () => readySince,
          receivedElsewhere: () => received,
          rebuild: () => {
            const now = clock.now();
            assert.ok(now - (rebuilds.at(-1) ?? Number.NEGATIVE_INFINITY) >= FIRST_PAUSE_MS);
            assert.ok(!other.up || now - (other.heardAt ?? 0) >= ALIVE_MS);
            assert.ok(now - clientAt >= ALIVE_MS - 5_000);
            rebuilds.push(now);
            readySince = undefined;
            clock.after(20_000, () => {
              readySince = clock.now();
            });
          },
        },
      });
      watch.start();
      for (const { ms, do: act } of events) {
        const now = clock.now();
        if (act === 'peer is heard') one = { ...one, up: true, heardAt: now, vainDials: 0 };
        if (act === 'peer is lost') one = { ...one, up: false, vainDials: 5 };
        if (act === 'other is heard') other = { ...other, up: true, heardAt: now };
        if (act === 'client is heard') {
          received += 1;
          clientAt = now;
        }
        await clock.advance(ms);
      }
      watch.stop();
      assert.equal(watch.rebuilds, rebuilds.length);
      // Each cost a peer that had been heard since the one before.
      assert.ok(rebuilds.length <= events.filter((one) => one.do === 'peer is lost').length);
    }),
    { numRuns: 40, interruptAfterTimeLimit: 3_000 },
  );
});

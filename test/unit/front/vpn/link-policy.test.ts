import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  chooseStream,
  type Direction,
  fateOf,
  leastUseful,
  longestPauseMs,
  preferredDirection,
  type StreamFacts,
  UNHEARD_MS,
} from '../../../../src/front/vpn/link-policy.ts';
import { own } from '../../core/support.ts';

const FACTS: StreamFacts = {
  direction: 'out',
  standing: 'heard',
  openedAt: 0,
  firstHeardAt: 0,
  lastHeardAt: 0,
  lastSentAt: 0,
  probedAt: undefined,
  answers: true,
  lastPacketSentAt: 0,
  mayCarry: true,
  isVouched: false,
};

test('both sides prefer the stream of the same side', () => {
  const [one, other] = [own(1).b32, own(2).b32];
  assert.notEqual(preferredDirection(one, other), preferredDirection(other, one));
  assert.equal(preferredDirection(one, other), one < other ? 'out' : 'in');
});

test('chooses among streams', () => {
  const cases: ReadonlyArray<readonly [name: string, streams: ReadonlyArray<Partial<StreamFacts>>, chosen: number]> = [
    ['none', [], -1],
    ['one that nobody spoke on', [{ standing: 'new' }], -1],
    ['the only one heard, whatever its direction', [{ direction: 'in' }, { standing: 'new' }], 0],
    ['the preferred direction', [{ direction: 'in', firstHeardAt: 9 }, { direction: 'out' }, { direction: 'in' }], 1],
    ['the newest of one direction', [{ firstHeardAt: 5 }, { firstHeardAt: 7 }, { firstHeardAt: 6 }], 1],
    ['one that was opened long before it was heard', [{ firstHeardAt: 5 }, { openedAt: -90_000, firstHeardAt: 7 }], 1],
    ['not one that we have ended', [{ firstHeardAt: 5, standing: 'retired' }, { firstHeardAt: 4 }], 1],
    ['not one that is doubted', [{ firstHeardAt: 5, standing: 'doubted' }, { firstHeardAt: 4 }], 1],
    ['nothing when all are ended', [{ standing: 'retired' }], -1],
  ];
  for (const [name, list, chosen] of cases) {
    const streams = list.map((one) => ({ ...FACTS, ...one }));
    assert.equal(chooseStream(streams, 'out'), streams[chosen], name);
  }
});

test('gives up for a newer stream what is of the least use', () => {
  const cases: ReadonlyArray<readonly [name: string, streams: ReadonlyArray<Partial<StreamFacts>>, victim: number]> = [
    ['one that we have ended', [{ direction: 'in', standing: 'new' }, { mayCarry: false }, { standing: 'retired' }], 2],
    ["a stranger's", [{ direction: 'in', standing: 'new' }, { mayCarry: false }], 1],
    [
      'the oldest on which the peer has not answered, before our dial and the old stream that may come back',
      [
        { standing: 'doubted' },
        { standing: 'new' },
        { direction: 'in', standing: 'new' },
        { direction: 'in', standing: 'new' },
      ],
      2,
    ],
    ['the oldest', [{}, { direction: 'in' }], 0],
    ['nobody', [], -1],
  ];
  for (const [name, list, victim] of cases) {
    const streams = list.map((one) => ({ ...FACTS, ...one }));
    assert.equal(leastUseful(streams, undefined), streams[victim], name);
  }
  const [chosen, other] = [{ ...FACTS }, { ...FACTS }];
  assert.equal(leastUseful([chosen, other], chosen), other, 'never the one in use');
});

test('decides what becomes of a stream', () => {
  const other: StreamFacts = { ...FACTS, direction: 'in' };
  const cases: ReadonlyArray<
    readonly [
      name: string,
      stream: Partial<StreamFacts>,
      chosen: 'itself' | StreamFacts | undefined,
      at: number,
      ReturnType<typeof fateOf>,
    ]
  > = [
    ['unheard, young', { standing: 'new' }, undefined, UNHEARD_MS, 'keep'],
    ['unheard, old', { standing: 'new' }, undefined, UNHEARD_MS + 1, 'give-up'],
    ['unheard beside a good one', { standing: 'new' }, other, UNHEARD_MS + 1, 'give-up'],
    ['ended by us', { standing: 'retired' }, undefined, 10 * UNHEARD_MS, 'keep'],
    ['doubted, and nothing better', { standing: 'doubted' }, undefined, 330_000, 'keep'],
    ['doubted for too long', { standing: 'doubted' }, undefined, 330_001, 'give-up'],
    [
      'doubted beside one that is new in use',
      { standing: 'doubted' },
      { ...other, firstHeardAt: 90_000 },
      105_000,
      'keep',
    ],
    ['doubted beside one in use', { standing: 'doubted' }, { ...other, firstHeardAt: 90_000 }, 105_001, 'give-up'],
    ['doubted, of an OnionCat', { standing: 'doubted', answers: false }, undefined, 1, 'give-up'],
    ['of a stranger, idle', { mayCarry: false }, other, 200_000, 'keep'],
    ['of a stranger, idle for too long', { mayCarry: false }, other, 200_001, 'doubt'],
    ['our own dial, not chosen', {}, other, 15_001, 'retire'],
    ['our own dial, not chosen, lately used', { lastSentAt: 10_000 }, other, 15_001, 'keep'],
    ['their dial, not chosen', { direction: 'in' }, { ...FACTS, direction: 'out' }, 90_000, 'keep'],
    ['their dial, replaced by a newer', { direction: 'in' }, { ...other, firstHeardAt: 20_000 }, 35_001, 'retire'],
    ['chosen and lively', { lastHeardAt: 100_000, lastSentAt: 100_000 }, 'itself', 120_000, 'keep'],
    ['chosen, sent to and silent', { lastPacketSentAt: 1 }, 'itself', 8_001, 'probe'],
    ['chosen, sent to and not silent for long', { lastPacketSentAt: 1 }, 'itself', 8_000, 'keep'],
    ['chosen, sent nothing but keepalives', { lastSentAt: 1 }, 'itself', 60_000, 'keep'],
    ['chosen, nothing said by either', {}, 'itself', 60_001, 'probe'],
    ['chosen, asked, in time', { probedAt: 100_000 }, 'itself', 118_000, 'keep'],
    ['chosen, asked, too late', { probedAt: 100_000 }, 'itself', 118_001, 'doubt'],
    ['an OnionCat that we have not written to', { answers: false }, 'itself', 60_001, 'probe'],
    ['an OnionCat that we write to', { answers: false, lastSentAt: 50_000 }, 'itself', 60_001, 'keep'],
    [
      'an OnionCat unheard for long',
      { answers: false, lastSentAt: 299_000, lastPacketSentAt: 1 },
      'itself',
      300_000,
      'keep',
    ],
    [
      'an OnionCat unheard for too long',
      { answers: false, lastSentAt: 299_000, lastPacketSentAt: 1 },
      'itself',
      300_001,
      'doubt',
    ],
    [
      'an OnionCat that nothing but keepalives went to',
      { answers: false, lastSentAt: 900_000 },
      'itself',
      900_001,
      'keep',
    ],
  ];
  for (const [name, facts, chosen, now, fate] of cases) {
    const stream = { ...FACTS, ...facts };
    assert.equal(fateOf(stream, chosen === 'itself' ? stream : chosen, now), fate, name);
  }
});

interface Stream {
  readonly by: 'left' | 'right';
  readonly firstHeardAt: number;
}

/** In which order the two sides come to know the same streams. */
test('whatever the order of events, both sides settle on the same stream', () => {
  const streams = fc.array(fc.record({ by: fc.constantFrom('left' as const, 'right' as const) }), {
    minLength: 1,
    maxLength: 5,
  });
  fc.assert(
    fc.property(streams, fc.integer(), fc.boolean(), (opened, seed, leftIsFirst) => {
      const all: Stream[] = opened.map((one, index) => ({ ...one, firstHeardAt: index }));
      const seen = (side: 'left' | 'right', order: readonly Stream[]) => {
        const preferred: Direction = (side === 'left') === leftIsFirst ? 'out' : 'in';
        const facts = order.map((one) => ({
          ...FACTS,
          one,
          firstHeardAt: one.firstHeardAt,
          direction: one.by === side ? ('out' as const) : ('in' as const),
        }));
        return chooseStream(facts, preferred)?.one;
      };
      const shuffled = [...all].sort(
        (a, b) => ((a.firstHeardAt * 7919 + seed) % 13) - ((b.firstHeardAt * 7919 + seed) % 13),
      );
      assert.equal(seen('left', all), seen('right', shuffled));
      assert.notEqual(seen('left', all), undefined);
    }),
  );
});

test('of two streams exactly one is given up, by the side that dialled it: the earlier, or the less preferred one', () => {
  fc.assert(
    fc.property(fc.boolean(), fc.integer({ min: 0, max: 20_000 }), (leftIsFirst, later) => {
      const preferred = { left: leftIsFirst ? 'out' : 'in', right: leftIsFirst ? 'in' : 'out' } as const;
      const retired: string[] = [];
      for (const side of ['left', 'right'] as const) {
        const mine = { ...FACTS, by: side, direction: 'out' as const, firstHeardAt: side === 'left' ? 0 : later };
        const theirs = {
          ...FACTS,
          by: side === 'left' ? 'right' : 'left',
          direction: 'in' as const,
          firstHeardAt: side === 'left' ? later : 0,
        };
        const chosen = chooseStream([mine, theirs], preferred[side]);
        for (const stream of [mine, theirs]) {
          if (fateOf(stream, chosen, 1_000_000) === 'retire') retired.push(`${side} retires ${stream.by}`);
        }
      }
      const crossed = later <= 10_000;
      const loser = crossed && leftIsFirst ? 'right' : 'left';
      assert.deepEqual(retired, [`${loser} retires ${loser}`]);
    }),
  );
});

test('a peer that was there a while ago is dialled more often than one that is off for long', () => {
  assert.equal(longestPauseMs(undefined), 30_000);
  assert.equal(longestPauseMs(0), 10_000);
  assert.equal(longestPauseMs(10 * 60_000 - 1), 10_000);
  assert.equal(longestPauseMs(10 * 60_000), 30_000);
});

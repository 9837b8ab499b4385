/** When the fault lab calls a row bad, and what it counts to know that. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { FAULTS } from '../scripts/chaos/faults.ts';
import { Meter } from '../scripts/chaos/meter.ts';
import { pingNews } from '../scripts/chaos/ping.ts';
import { connectionsOf, lostOn, verdict } from '../scripts/chaos/table.ts';
import {
  changesOf,
  type Findings,
  isGood,
  isTooMuch,
  judge,
  judgeTogether,
  medianTimes,
  summaryOf,
} from '../scripts/chaos/verdict.ts';

const GOOD: Findings = {
  away: { ping: 300, tcp: 5_000, socks: 2_000 },
  bareAway: 200,
  blockedMs: 0,
  wrong: { ping: undefined, tcp: undefined },
  broken: [],
  mayBreak: [],
  changes: [{ what: 'descriptors of a', before: 30, after: 34, mayGrow: 4 }],
};

const WRITER = { inFlight: 3_000, pace: 1_000 } as const;

describe('a row of the fault lab', () => {
  test('is good when all came back, nothing was wrong, nothing broke that need not, and as little is held as before', () => {
    const good = { failures: [], late: [] };
    assert.deepEqual(judge(GOOD), good);
    const broken = [{ stream: 'socks', why: 'read ECONNRESET', lost: 6_000, ...WRITER }] as const;
    assert.deepEqual(judge({ ...GOOD, broken, mayBreak: ['socks'] }), good);
  });

  const bad: readonly (readonly [string, Partial<Findings>, RegExp])[] = [
    ['a wrong byte', { wrong: { tcp: 'a byte between 0 and 9 is wrong' } }, /^tcp: a byte between 0 and 9 is wrong$/],
    ['a kind that does not come back', { away: { ping: 300, udp: undefined } }, /^udp did not come back$/],
    [
      'a connection that breaks and need not',
      { broken: [{ stream: 'tcp', why: 'read ETIMEDOUT', lost: 0, ...WRITER }], mayBreak: ['socks'] },
      /^tcp broke: read ETIMEDOUT$/,
    ],
    [
      'more bytes lost than were in flight and written while nothing came, even where it may break',
      { broken: [{ stream: 'socks', why: 'read ECONNRESET', lost: 6_001, ...WRITER }], mayBreak: ['socks'] },
      /^socks lost 6001 bytes, and 6000 can have been under way$/,
    ],
    [
      'many bytes lost on a connection that began after the fault',
      {
        broken: [{ stream: 'socks', why: 'read ECONNRESET', lost: 3_001, inFlight: 0, pace: 1_000 }],
        mayBreak: ['socks'],
      },
      /^socks lost 3001 bytes, and 3000 can have been under way$/,
    ],
    [
      'one descriptor too many',
      { changes: [{ what: 'descriptors of a', before: 30, after: 35, mayGrow: 4 }] },
      /^descriptors of a 30 → 35$/,
    ],
    ['a timer that stays', { changes: [{ what: 'timers', before: 9, after: 10, mayGrow: 0 }] }, /^timers 9 → 10$/],
    [
      'a gateway that has died',
      { changes: [{ what: 'descriptors of b', before: 30, after: undefined, mayGrow: 4 }] },
      /^descriptors of b 30 → -$/,
    ],
  ];
  for (const [what, findings, failure] of bad) {
    test(`is bad with ${what}, and says so`, () => {
      const { failures, late } = judge({ ...GOOD, ...findings });
      assert.deepEqual(late, []);
      assert.equal(failures.length, 1);
      assert.match(failures[0] ?? '', failure);
    });
  }

  test('lets TCP through the interface break with the address alone, and nothing at all break where every session lives', () => {
    const breaking = (stream: 'tcp' | 'download' | 'socks') =>
      FAULTS.filter(({ mayBreak = [] }) => mayBreak.includes(stream)).map(({ name }) => name);
    assert.deepEqual([breaking('tcp'), breaking('download')], [['new-key'], ['new-key']]);
    for (const name of ['cut-5', 'cut-60', 'hop', 'stopped-10', 'route', 'rules-flushed', 'descriptors', 'clock']) {
      assert.ok(!breaking('socks').includes(name), name);
    }
  });
});

describe('what is held', () => {
  const held = (timers: number) => ({ timers });
  const measures = [{ what: 'timers', of: ({ timers }: { timers: number }) => timers, mayGrow: 2 }];
  const tooMuch = (first: number, before: number, after: number) => {
    const holding = { first: held(first), before: held(before), after: held(after) };
    return judge({ ...GOOD, changes: changesOf(measures, holding) }).failures;
  };

  test('may grow a little from one row to the next', () => assert.deepEqual(tooMuch(10, 10, 12), []));

  test('may not do so in each of them: a slow leak is seen beside the time before the first fault', () => {
    assert.deepEqual(tooMuch(10, 12, 13), ['timers since before the first fault 10 → 13']);
  });

  test('is bad beside the row before as well, where it was more at first', () => {
    assert.deepEqual(tooMuch(20, 10, 13), ['timers 10 → 13']);
  });

  test('is told once in the first row, which has no row before it', () => {
    const before = held(10);
    const changes = changesOf(measures, { first: before, before, after: held(13) });
    assert.deepEqual(judge({ ...GOOD, changes }).failures, ['timers 10 → 13']);
  });

  test('is too much where nothing runs any more', () => {
    assert.ok(changesOf(measures, { first: held(1), before: held(1), after: undefined }).every(isTooMuch));
  });
});

describe('the time until all is back', () => {
  const lateIn = (findings: Partial<Findings>) => judge({ ...GOOD, ...findings }).late;
  const times: readonly (readonly [string, Partial<Findings>, readonly string[]])[] = [
    ['may always be 10 s', { away: { ping: 10_000 }, bareAway: 200 }, []],
    [
      'misses the goal after that',
      { away: { ping: 10_100 }, bareAway: 200 },
      ['ping needed 10.1 s, and the goal is 10.0 s'],
    ],
    ["may be 1.2 times the bare stream's", { away: { ping: 120_000 }, bareAway: 100_000 }, []],
    [
      'misses the goal after that too, each kind for itself',
      { away: { ping: 120_100, udp: 5_000, tcp: 130_000 }, bareAway: 100_000 },
      ['ping needed 120.1 s, and the goal is 120.0 s', 'tcp needed 130.0 s, and the goal is 120.0 s'],
    ],
    ['begins when the fault lets something through', { away: { ping: 20_000 }, bareAway: 100, blockedMs: 10_000 }, []],
    [
      'does so for the bare stream as well, so that a long fault excuses nothing',
      { away: { tcp: 352_000 }, bareAway: 320_000, blockedMs: 300_000 },
      ['tcp needed 52.0 s, and the goal is 24.0 s'],
    ],
    [
      'is compared with all that the bare stream was away, where the fault cut that one only at its end',
      { away: { tcp: 27_000, ping: 28_000 }, bareAway: 20_000, blockedMs: 3_000, bareBlockedMs: 0 },
      ['ping needed 25.0 s, and the goal is 24.0 s'],
    ],
    [
      'has to be 10 s where the bare stream says nothing about the routers',
      { away: { ping: 9_000, tcp: 11_000 }, bareAway: undefined },
      ['tcp needed 11.0 s, and the goal is 10.0 s, as the bare stream did not come back'],
    ],
    ['is none of what never came back', { away: { ping: undefined } }, []],
  ];
  for (const [what, findings, late] of times) test(what, () => assert.deepEqual(lateIn(findings), late));

  test('alone is no failure, and not good either', () => {
    const judgement = judge({ ...GOOD, away: { ping: 11_000 } });
    assert.deepEqual(judgement.failures, []);
    assert.ok(!isGood(judgement));
  });
});

describe('a fault that happened several times', () => {
  const time = (ping: number | undefined, bareAway: number | undefined): Findings => ({
    ...GOOD,
    away: { ping },
    bareAway,
  });

  test('is judged by the medians of its times, those of the routers themselves too', () => {
    const times = [time(95_000, 40_000), time(20_000, 100_000), time(70_000, 60_000)] as const;
    assert.deepEqual(medianTimes(times), { away: { ping: 70_000 }, bareAway: 60_000 });
    assert.deepEqual(judgeTogether(times), { failures: [], late: [] });
    assert.deepEqual(judgeTogether([...times, time(90_000, 50_000)]).late, [
      'ping needed 90.0 s, and the goal is 72.0 s',
    ]);
  });

  test('was away for longest where it did not come back', () => {
    const times = [time(9_000, 1_000), time(undefined, undefined), time(10_000, 2_000)] as const;
    assert.deepEqual(medianTimes(times), { away: { ping: 10_000 }, bareAway: 2_000 });
    assert.deepEqual(medianTimes([times[1], times[1], times[0]]), { away: { ping: undefined }, bareAway: undefined });
  });

  test('fails as soon as it failed once', () => {
    const times = [time(9_000, 1_000), time(undefined, 1_000), time(9_000, 1_000)] as const;
    assert.deepEqual(judgeTogether(times), { failures: ['ping did not come back'], late: [] });
  });
});

test('a verdict says in words what failed, and apart from it what only came late', () => {
  assert.equal(verdict({ failures: [], late: [] }), 'good');
  assert.equal(verdict({ failures: ['a', 'b'], late: [] }), '**FAILED**: a; b');
  assert.equal(verdict({ failures: [], late: ['c'] }), '**MISSED** the goal for the time: c');
  assert.equal(verdict({ failures: ['a'], late: ['c'] }), '**FAILED**: a; **MISSED** the goal for the time: c');
});

test('the last words name the rows that failed, and apart from them those that were only late', () => {
  const [good, late] = [
    { failures: [], late: [] },
    { failures: [], late: ['c'] },
  ];
  const failed = { failures: ['a'], late: ['c'] };
  assert.equal(summaryOf(new Map([['one', good]])), 'all rows are good');
  assert.equal(
    summaryOf(
      new Map([
        ['one', good],
        ['two', late],
      ]),
    ),
    'MISSED only the goal for the time: two',
  );
  assert.equal(
    summaryOf(
      new Map([
        ['one', failed],
        ['two', late],
        ['three', failed],
      ]),
    ),
    'FAILED: one, three\nMISSED only the goal for the time: two',
  );
});

test('connections that broke are told once each with how often, and their bytes together', () => {
  const ended = { stream: 'socks', why: 'read ECONNRESET', lost: 1_000, ...WRITER } as const;
  const broken = [ended, { ...ended, stream: 'tcp' } as const, ended];
  assert.equal(connectionsOf(broken), 'SOCKS: read ECONNRESET, 2 times; TCP: read ECONNRESET');
  assert.equal(lostOn(broken), '3000');
  assert.deepEqual([connectionsOf([]), lostOn([])], ['the same ones', '0']);
});

describe('a meter', () => {
  const measure = () => {
    let now = 0;
    const meter = new Meter(() => now);
    const at = (time: number) => {
      now = time;
      return meter;
    };
    return { meter, at };
  };

  test('tells the longest time without anything, the fault itself included, and nothing of the time before', () => {
    const { meter, at } = measure();
    at(0).heard();
    at(9_000).heard();
    at(9_100).begin();
    at(9_200).heard();
    at(12_200).heard();
    at(12_300).heard();
    assert.equal(meter.away(12_000), 3_000);
    assert.equal(meter.away(12_300), undefined);
  });

  test('counts what was sent and never came back, however late, and not what had no time to', () => {
    const { meter, at } = measure();
    at(0).sent(1);
    at(5).begin();
    for (const number of [2, 3, 4]) at(10 * number).sent(number);
    at(5_000).heard(3);
    at(5_010).sent(5);
    assert.equal(meter.lost(5_000), 2);
  });

  test('keeps the first wrong thing until it begins anew', () => {
    const { meter } = measure();
    meter.isWrong('a byte');
    meter.isWrong('another');
    assert.equal(meter.wrong, 'a byte');
    meter.begin();
    assert.equal(meter.wrong, undefined);
  });
});

describe('what ping says', () => {
  for (const [line, news] of [
    ['64 bytes from fd60::7: icmp_seq=7 ttl=64 time=0.044 ms', { kind: 'answered', number: 7 }],
    ['64 bytes from fd60::7: icmp_seq=8 ttl=64 time=3100 ms (DUP!)', { kind: 'answered', number: 8 }],
    ['no answer yet for icmp_seq=6', { kind: 'unanswered', number: 6 }],
    ['From fd60::1 icmp_seq=6 Destination unreachable: Address unreachable', undefined],
    ['PING fd60::7(fd60::7) 56 data bytes', undefined],
    [
      'wrong data byte #17 should be 0x11 but was 0x1',
      { kind: 'wrong', why: 'wrong data byte #17 should be 0x11 but was 0x1' },
    ],
  ] as const) {
    test(`"${line}"`, () => assert.deepEqual(pingNews(line), news));
  }
});

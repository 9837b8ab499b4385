/**
 * The bound of what is under way, against a line that is computed: how long what was sent waits on it, how much of it is
 * used, and how soon both follow when the line changes.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { InFlight } from '../../../../src/front/vpn/in-flight.ts';
import { randomNumbers } from '../../../helpers/random.ts';

const PACKET = 1_500;
const KEEPALIVE = 122;

/** A line with a rate and a round trip that queues without end, and a peer that answers as soon as it can. */
class Line {
  readonly bound = new InFlight();
  bytesPerMs: number;
  roundTripMs: number;
  now = 1_000;
  delivered = 0;
  /** Longest wait in the queue of the line since it was last set to 0. */
  longestWaitMs = 0;
  /** What a round trip takes beyond the shortest; bytes stay in order. Milliseconds. */
  uneven = () => 0;
  #free = 0;
  #lastAt = 0;
  #stamp = 0;
  #sent = 0;
  readonly #answers: Array<{ readonly at: number; readonly stamp: number; readonly received: number }> = [];

  constructor(bytesPerMs: number, roundTripMs: number) {
    this.bytesPerMs = bytesPerMs;
    this.roundTripMs = roundTripMs;
  }

  /** @param offered bytes that the sender has at most in each millisecond */
  run(ms: number, offered = Number.POSITIVE_INFINITY): void {
    for (const end = this.now + ms; this.now < end; this.now += 1) {
      while ((this.#answers[0]?.at ?? Number.POSITIVE_INFINITY) <= this.now) {
        const answer = this.#answers.shift();
        if (answer !== undefined) this.bound.answered(answer.stamp, answer.received, this.now);
      }
      let left = offered;
      while (left > 0 && this.bound.requestRoom() > 0) {
        const bytes = Math.min(PACKET, left);
        left -= bytes;
        this.#carry(bytes);
        this.delivered += bytes;
        if (this.bound.wantsAsk) this.ask();
      }
    }
  }

  ask(): void {
    const at = this.#carry(KEEPALIVE);
    this.#stamp += 1;
    this.bound.asked(this.#stamp, this.now);
    this.#answers.push({ at, stamp: this.#stamp, received: this.#sent });
  }

  #carry(bytes: number): number {
    this.bound.sent(bytes, this.now);
    this.#sent += bytes;
    this.longestWaitMs = Math.max(this.longestWaitMs, this.#free - this.now);
    this.#free = Math.max(this.#free, this.now) + bytes / this.bytesPerMs;
    this.#lastAt = Math.max(this.#lastAt, this.#free + this.roundTripMs + this.uneven());
    return this.#lastAt;
  }
}

const LINES: ReadonlyArray<readonly [name: string, bytesPerMs: number, roundTripMs: number]> = [
  ['1 MB/s, 100 ms', 1_000, 100],
  ['1 MB/s, 40 ms', 1_000, 40],
  ['100 kB/s, 800 ms', 100, 800],
  ['50 kB/s, 3 s', 50, 3_000],
  ['20 MB/s, 20 ms', 20_000, 20],
];

for (const [name, rate, roundTrip] of LINES) {
  test(`${name}: the line stays busy, and what is sent waits for less than half a round trip`, () => {
    const line = new Line(rate, roundTrip);
    line.ask();
    line.run(roundTrip * 2, 0);
    line.run(roundTrip * 25);
    line.delivered = 0;
    line.longestWaitMs = 0;
    const ms = Math.max(roundTrip * 40, 30_000);
    line.run(ms);
    const used = line.delivered / (ms * rate);
    assert.ok(used > 0.97, `${(used * 100).toFixed(1)} % of the line`);
    const bound = roundTrip / 2 + (2 * PACKET) / rate;
    assert.ok(line.longestWaitMs < bound, `waits ${line.longestWaitMs.toFixed(0)} of ${roundTrip} ms`);
  });
}

test('a line of 20 kB/s is never given more than it can carry in a moment, from the first byte on', () => {
  const line = new Line(20, 200);
  line.ask();
  line.run(60_000);
  assert.ok(line.longestWaitMs < 2_000, `${line.longestWaitMs.toFixed(0)} ms`);
});

test('a line that becomes ten times slower, or faster, is noticed within some round trips', () => {
  const line = new Line(1_000, 100);
  line.run(10_000);
  line.bytesPerMs = 100;
  line.run(8_000);
  line.longestWaitMs = 0;
  line.run(20_000);
  assert.ok(line.longestWaitMs < 150, `slower: waits ${line.longestWaitMs.toFixed(0)} ms`);
  line.bytesPerMs = 1_000;
  line.run(6_000);
  line.delivered = 0;
  line.run(20_000);
  assert.ok(line.delivered > 0.95 * 20_000 * 1_000, `faster: ${line.delivered}`);
});

test('a way that becomes longer is noticed too', () => {
  const line = new Line(1_000, 100);
  line.run(10_000);
  line.roundTripMs = 600;
  line.run(60_000);
  line.delivered = 0;
  line.run(20_000);
  assert.ok(line.delivered > 0.95 * 20_000 * 1_000, `${line.delivered}`);
});

/**
 * How uneven the round trips of a way through other people's routers may be, beyond so many ms, and how much of the line is
 * used at the least. With the last two they grow with what is sent, and part of that looks like a queue.
 */
const UNEVEN: ReadonlyArray<
  readonly [name: string, uneven: (random: () => number, ms: number) => () => number, used: number]
> = [
  ['by up to three times as much', (random, ms) => () => 3 * ms * random(), 0.9],
  ['by as much on the average, without a bound', (random, ms) => () => -ms * Math.log(1 - random()), 0.4],
  ['now and then, by up to five times as much', (random, ms) => () => (random() < 0.05 ? 5 * ms * random() : 0), 0.5],
];

for (const [name, uneven, least] of UNEVEN) {
  test(`a way whose round trips differ ${name} is kept busy all the same`, () => {
    for (const seed of [1, 2, 3]) {
      const line = new Line(1_000, 100);
      line.uneven = uneven(randomNumbers(seed), line.roundTripMs);
      line.ask();
      line.run(20_000);
      line.delivered = 0;
      line.run(60_000);
      const used = line.delivered / (60_000 * line.bytesPerMs);
      assert.ok(used > least, `${(used * 100).toFixed(0)} % of the line with seed ${seed}`);
    }
  });
}

test('somebody who sends little is not bounded by having sent little', () => {
  const line = new Line(1_000, 100);
  line.run(10_000);
  const { limit } = line.bound;
  line.run(120_000, 20);
  assert.ok(line.bound.limit > limit / 2, `${limit} became ${line.bound.limit}`);
  line.delivered = 0;
  line.run(5_000);
  assert.ok(line.delivered > 0.9 * 5_000 * 1_000);
});

test('a peer that stops answering gets the limit and nothing more', () => {
  const bound = new InFlight();
  for (let now = 0; now < 60_000; now += 1) {
    while (bound.requestRoom() > 0) {
      bound.sent(PACKET, now);
      if (bound.wantsAsk) bound.asked(now + 1, now);
    }
  }
  assert.ok(bound.underWay < 16 * 1024 + PACKET);
});

test('a peer that owes 64 answers is not asked, until it gives one', () => {
  const bound = new InFlight();
  let asked = 0;
  const send = () => {
    for (let packets = 0; packets < 1_000; packets += 1) {
      bound.sent(PACKET, 0);
      if (bound.wantsAsk) bound.asked(asked++, 0);
    }
  };
  send();
  assert.equal(asked, 64);
  bound.answered(9, 0, 1);
  send();
  assert.equal(asked, 74);
});

test('whatever a peer answers, the limit stays within its bounds and nothing arrives that was not sent', () => {
  const answer = fc.record({
    stamp: fc.integer({ min: 0, max: 60 }),
    received: fc.oneof(fc.constantFrom(0, 2 ** 48 - 1), fc.integer({ min: 0, max: 200_000 })),
    wait: fc.integer({ min: 0, max: 3_000 }),
  });
  fc.assert(
    fc.property(fc.array(answer, { maxLength: 60 }), (answers) => {
      const bound = new InFlight();
      let now = 0;
      answers.forEach(({ stamp, received, wait }, index) => {
        for (let packets = 0; packets < 8 && bound.requestRoom() > 0; packets += 1) bound.sent(PACKET, now);
        bound.asked(index, now);
        now += wait;
        bound.answered(stamp, received, now);
        assert.ok(bound.underWay >= 0);
        assert.ok(bound.limit >= 6_000 && bound.limit <= 16 * 1024 * 1024);
        assert.ok((bound.roundTripMs ?? 0) >= 0);
      });
    }),
    { numRuns: 300, interruptAfterTimeLimit: 1_500 },
  );
});

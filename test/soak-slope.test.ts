/** The line through figures of a soak: exact where they lie on one, and honest about how far they scatter. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { grows, type Sample, slopeOf } from '../scripts/soak/slope.ts';
import { randomNumbers } from './helpers/random.ts';

function series(count: number, value: (minute: number) => number): readonly Sample[] {
  return Array.from({ length: count }, (_, minute) => ({ seconds: 60 * minute, value: value(minute) }));
}

test('figures on a line give its slope for an hour, without error', () => {
  const { perHour, error } = slopeOf(series(30, (minute) => 100 + minute / 10));
  assert.ok(Math.abs(perHour - 6) < 1e-9, `${perHour}`);
  assert.ok(error < 1e-9, `${error}`);
});

test('three figures give the error that the textbook has', () => {
  // Residuals 1/6, -1/3, 1/6 around 5/6 + x: s = sqrt(1/6), divided by sqrt(2).
  const { perHour, error } = slopeOf([1, 1.5, 3].map((value, at) => ({ seconds: 3_600 * at, value })));
  assert.ok(Math.abs(perHour - 1) < 1e-9 && Math.abs(error - Math.sqrt(1 / 12)) < 1e-9, `${perHour} ± ${error}`);
});

test('noise does not grow, a leak beneath it does', () => {
  let [quiet, leaking] = [0, 0];
  for (let seed = 0; seed < 200; seed += 1) {
    const random = randomNumbers(seed);
    const noise = series(60, () => 100 + 5 * random());
    if (grows(slopeOf(noise))) quiet += 1;
    if (grows(slopeOf(noise.map(({ seconds, value }) => ({ seconds, value: value + seconds / 900 }))))) leaking += 1;
  }
  // One in forty by chance.
  assert.ok(quiet < 12, `${quiet} of 200`);
  assert.equal(leaking, 200);
});

test('noise that remembers itself is not taken for growth', () => {
  let growing = 0;
  for (let seed = 0; seed < 200; seed += 1) {
    const random = randomNumbers(seed);
    let level = 0;
    const wandering = series(180, () => {
      level = 0.8 * level + random() - 0.5;
      return 100 + level;
    });
    if (grows(slopeOf(wandering))) growing += 1;
  }
  // Taken for independent, these figures would grow in 54 of 200.
  assert.ok(growing < 16, `${growing} of 200`);
});

test('two figures are too few', () => {
  assert.throws(() => slopeOf(series(2, () => 1)), RangeError);
});

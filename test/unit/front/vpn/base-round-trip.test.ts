/** What a round trip takes by the way itself, by answers that nothing of ours has delayed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BaseRoundTrip } from '../../../../src/front/vpn/base-round-trip.ts';

test('begins with the first answers, and keeps that while more is sent', () => {
  for (const [samples, ms] of [
    [[100, 200, 100, 200, 900], 150],
    [[110, 100, 120, 130, 900], 100],
  ] as const) {
    const base = new BaseRoundTrip();
    assert.equal(base.ms, undefined);
    for (const sample of samples) base.noteEarly(sample, 0);
    assert.equal(base.ms, ms);
  }
});

test('is measured on what was sent when no more than the share was under way', () => {
  const base = new BaseRoundTrip();
  base.noteEarly(500, 0);
  base.measure(0.85);
  assert.equal(base.share, 0.85);
  assert.equal(base.answered(900, 0, 1_000, 0), false, 'not drained yet');
  base.noteDrained(1_000);
  base.noteDrained(1_500);
  assert.equal(base.answered(900, 900, 1_001, 0), false, 'asked before');
  const answers = Array.from({ length: 32 }, (_, index) =>
    base.answered(index % 2 === 0 ? 100 : 300, 1_000, 1_010, 20),
  );
  assert.equal(answers.indexOf(true), 31);
  // The shortest, and twice what the mean is above it but for our own piece.
  assert.deepEqual([base.ms, base.share], [100 + 2 * (100 - 20), undefined]);
});

test('what our own bytes wait for each other, and a little unevenness, do not count', () => {
  for (const [samples, pieceMs] of [
    [[100, 140], 0],
    [[100, 300], 100],
  ] as const) {
    const base = new BaseRoundTrip();
    base.measure(0.9);
    base.noteDrained(0);
    for (let index = 0; index < 32; index += 1) base.answered(samples[index % 2] ?? 0, 0, 10, pieceMs);
    assert.equal(base.ms, 100);
  }
});

test('takes no longer than one and a half round trips to be measured, however few answers come', () => {
  const base = new BaseRoundTrip();
  base.measure(0.5);
  base.noteDrained(0);
  assert.equal(base.answered(1_000, 0, 1_000, 0), false);
  assert.equal(base.answered(1_000, 400, 1_400, 0), false);
  assert.equal(base.answered(1_000, 500, 1_500, 0), true);
  assert.equal(base.ms, 1_000);
});

test('is old after 30 s, on a slow way after 20 round trips', () => {
  const [quick, slow] = [new BaseRoundTrip(), new BaseRoundTrip()];
  for (const [base, ms] of [
    [quick, 100],
    [slow, 3_000],
  ] as const) {
    base.answered(ms, 0, 0, 0);
    base.noteEarly(ms, 0);
  }
  assert.deepEqual(
    [30_000, 30_001].map((now) => quick.isOld(now)),
    [false, true],
  );
  assert.deepEqual(
    [60_000, 60_001].map((now) => slow.isOld(now)),
    [false, true],
  );
  quick.adoptSmoothed(30_001);
  assert.equal(quick.isOld(30_001), false);
});

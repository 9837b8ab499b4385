/** Sleeping and deadlines, on a clock that moves by hand: nothing is left behind on the clock or on the signals. */
import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { test } from 'node:test';
import { type Clock, deadline, isOverWithin, sleep, within } from '../../../src/kit/clock.ts';
import { GateError } from '../../../src/kit/errors.ts';
import { gateRejection } from './support.ts';

/** Moves only when told to. */
class HandClock implements Clock {
  #now = 0;
  readonly #timers = new Set<{ readonly at: number; readonly run: () => void }>();

  get timers(): number {
    return this.#timers.size;
  }

  now(): number {
    return this.#now;
  }

  after(ms: number, run: () => void) {
    const timer = { at: this.#now + ms, run };
    this.#timers.add(timer);
    return { cancel: () => void this.#timers.delete(timer) };
  }

  advance(ms: number): void {
    this.#now += ms;
    for (const timer of [...this.#timers].sort((one, other) => one.at - other.at)) {
      if (timer.at <= this.#now && this.#timers.delete(timer)) timer.run();
    }
  }
}

const listeners = (signal: AbortSignal) => getEventListeners(signal, 'abort').length;
const LATE = new GateError('peer-timeout', 'test.late', 'too late');
const STOP = new GateError('shutdown', 'shutdown', 'stopping');

test('sleep wakes after its time and leaves nothing behind', async () => {
  const clock = new HandClock();
  const { signal } = new AbortController();
  let awake = false;
  const slept = sleep(clock, 100, signal).then(() => {
    awake = true;
  });
  clock.advance(99);
  await new Promise(setImmediate);
  assert.equal(awake, false);
  clock.advance(1);
  await slept;
  assert.deepEqual([clock.timers, listeners(signal)], [0, 0]);
});

test('sleep ends with the reason of the abort and takes its timer off the clock', async () => {
  const clock = new HandClock();
  const controller = new AbortController();
  const slept = sleep(clock, 100, controller.signal);
  controller.abort(STOP);
  assert.equal(await gateRejection('shutdown', slept), STOP);
  assert.deepEqual([clock.timers, listeners(controller.signal)], [0, 0]);
  await gateRejection('shutdown', sleep(clock, 100, controller.signal));
  assert.equal(clock.timers, 0, 'nothing is started for a signal that is over');
  await gateRejection('cancelled', sleep(clock, 1, AbortSignal.abort()));
});

test('a deadline aborts with its error, once its time has come', () => {
  const clock = new HandClock();
  const limit = deadline(clock, 50, LATE);
  clock.advance(49);
  assert.equal(limit.signal.aborted, false);
  clock.advance(1);
  assert.equal(limit.signal.reason, LATE);
});

test("a deadline aborts with its parent's reason and holds on to neither parent nor timer", () => {
  const clock = new HandClock();
  const parent = new AbortController();
  const limit = deadline(clock, 50, LATE, parent.signal);
  assert.deepEqual([clock.timers, listeners(parent.signal)], [1, 1]);
  parent.abort(STOP);
  assert.equal(limit.signal.reason, STOP);
  assert.equal(clock.timers, 0);

  const stillborn = deadline(clock, 50, LATE, parent.signal);
  assert.equal(stillborn.signal.reason, STOP);
  assert.deepEqual([clock.timers, listeners(parent.signal)], [0, 0]);
});

test('a deadline that was cleared never aborts, and clearing twice does no harm', () => {
  const clock = new HandClock();
  const parent = new AbortController();
  const limit = deadline(clock, 50, LATE, parent.signal);
  limit.clear();
  limit.clear();
  assert.deepEqual([clock.timers, listeners(parent.signal)], [0, 0]);
  clock.advance(100);
  parent.abort(STOP);
  assert.equal(limit.signal.aborted, false);
});

test('within gives the result, or the error of the work, and frees the deadline either way', async () => {
  const clock = new HandClock();
  const parent = new AbortController();
  assert.equal(await within(clock, 50, LATE, parent.signal, async () => 7), 7);
  const bad = new GateError('policy', 'test', 'no');
  assert.equal(
    await gateRejection(
      'policy',
      within(clock, 50, LATE, parent.signal, () => Promise.reject(bad)),
    ),
    bad,
  );
  const sync = () => {
    throw bad;
  };
  assert.equal(await gateRejection('policy', within(clock, 50, LATE, parent.signal, sync)), bad);
  assert.deepEqual([clock.timers, listeners(parent.signal)], [0, 0]);
});

test('within tells the work when its time is over', async () => {
  const clock = new HandClock();
  const work = within(clock, 50, LATE, undefined, (signal) => sleep(clock, 1000, signal));
  clock.advance(50);
  assert.equal(await gateRejection('peer-timeout', work), LATE);
  assert.equal(clock.timers, 0);
});

test('work that heeds no signal is waited for as long as was said, and leaves no timer', async () => {
  const clock = new HandClock();
  assert.equal(await isOverWithin(clock, 50, Promise.resolve(7)), true);
  const bad = new GateError('policy', 'test', 'no');
  assert.equal(await gateRejection('policy', isOverWithin(clock, 50, Promise.reject(bad))), bad);
  assert.equal(clock.timers, 0);
  const endless = isOverWithin(clock, 50, new Promise(() => {}));
  clock.advance(50);
  assert.equal(await endless, false);
  assert.equal(clock.timers, 0);
});

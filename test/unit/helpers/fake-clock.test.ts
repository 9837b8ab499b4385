/** The clock that tests advance: order, and what timers set by timers do. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sleep } from '../../../src/kit/clock.ts';
import { FakeClock } from '../../helpers/fake-clock.ts';

test('runs what falls due, by time and then by order of setting, and nothing later', async () => {
  const clock = new FakeClock();
  const seen: string[] = [];
  const note = (name: string) => () => seen.push(`${name}@${clock.now()}`);
  clock.after(20, note('c'));
  clock.after(10, note('a'));
  clock.after(10, note('b'));
  clock.after(31, note('late'));
  clock.after(15, note('never')).cancel();
  await clock.advance(30);
  assert.deepEqual(seen, ['a@10', 'b@10', 'c@20']);
  assert.equal(clock.now(), 30);
  assert.equal(clock.pending, 1);
});

test('while it stands still nothing runs, and what fell due meanwhile runs when it goes on, at the time that it is then', async () => {
  const clock = new FakeClock();
  const ran: string[] = [];
  for (const ms of [200, 100, 900]) clock.after(ms, () => ran.push(`${ms} at ${clock.now()}`));
  clock.stand(500);
  await clock.settle();
  assert.deepEqual(ran, []);
  await clock.advance(0);
  assert.deepEqual(ran, ['100 at 500', '200 at 500']);
});

test('lets promises settle between timers, so that a chain of sleeps is as long as their sum', async () => {
  const clock = new FakeClock();
  const { signal } = new AbortController();
  const woken: number[] = [];
  const chain = async () => {
    for (let count = 0; count < 3; count += 1) {
      await sleep(clock, 10, signal);
      woken.push(clock.now());
    }
  };
  void chain();
  await clock.advance(29);
  assert.deepEqual(woken, [10, 20]);
  await clock.advance(1);
  assert.deepEqual(woken, [10, 20, 30]);
  assert.equal(clock.pending, 0);
});

/** The watch for silence: each is told in time, whatever the others do, and a single timer runs for all of them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IdleWatch, type Silent } from '../../../../src/core/relay/idle-watch.ts';
import { FakeClock } from '../../../helpers/fake-clock.ts';

interface Speaker extends Silent {
  lastHeard: number;
  readonly toldAt: number[];
}

function setUp() {
  const clock = new FakeClock();
  const watch = new IdleWatch(clock);
  const speaker = (idleMs: number): Speaker => {
    const toldAt: number[] = [];
    const made = { idleMs, lastHeard: clock.now(), toldAt, onIdle: () => void toldAt.push(clock.now()) };
    watch.add(made);
    return made;
  };
  return { clock, watch, speaker };
}

test('each is told when its own time is over, and only once', async () => {
  const { clock, speaker } = setUp();
  const long = speaker(60_000);
  await clock.advance(10_000);
  const short = speaker(5_000);
  await clock.advance(120_000);
  assert.deepEqual([long.toldAt, short.toldAt], [[60_000], [15_000]]);
  assert.equal(clock.pending, 0);
});

test('whoever is heard again gets all of its time anew', async () => {
  const { clock, speaker } = setUp();
  const [quiet, heard] = [speaker(60_000), speaker(60_000)];
  await clock.advance(40_000);
  heard.lastHeard = clock.now();
  await clock.advance(60_000);
  assert.deepEqual([quiet.toldAt, heard.toldAt], [[60_000], [100_000]]);
});

test('a thousand have one timer, and are looked at no more than once a second', async () => {
  const { clock, watch, speaker } = setUp();
  const all = [];
  for (let index = 0; index < 1_000; index += 1) {
    all.push(speaker(60_000));
    await clock.advance(3);
  }
  assert.equal(clock.pending, 1);
  let looks = 0;
  const counting = {
    idleMs: 120_000,
    onIdle: () => {},
    get lastHeard() {
      looks += 1;
      return 0;
    },
  };
  watch.add(counting);
  await clock.advance(61_000);
  assert.ok(all.every(({ toldAt: [at = 0] }, index) => at >= 60_000 + 3 * index && at <= 61_000 + 3 * index));
  assert.ok(looks <= 6, `${looks} looks for three seconds in which somebody's time was over`);
});

test('who is taken out is told nothing, and with the last of them the timer goes', async () => {
  const { clock, watch, speaker } = setUp();
  const gone = speaker(60_000);
  watch.delete(gone);
  assert.equal(clock.pending, 0);
  await clock.advance(120_000);
  assert.deepEqual(gone.toldAt, []);
});

test('a timer that comes a little early makes nobody wait for another second', async () => {
  const clock = new FakeClock();
  const watch = new IdleWatch({ now: () => clock.now(), after: (ms, run) => clock.after(Math.trunc(ms) - 1, run) });
  let toldAt = 0;
  watch.add({
    idleMs: 60_000.4,
    lastHeard: 0,
    onIdle: () => {
      toldAt = clock.now();
    },
  });
  await clock.advance(70_000);
  assert.ok(Math.abs(toldAt - 60_000.4) <= 2, `told after ${toldAt} ms`);
});

/**
 * A way between two routers that is cut and mended: nobody is told, what was sent is repeated by the routers, and either the
 * old stream or a new one is heard first.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeClock } from '../../../helpers/fake-clock.ts';
import { Network } from './packets.ts';

/** Silence under traffic is found out within this. */
const FOUND_OUT_MS = 32_000;
const DOUBTED_MS = 330_000;
const TICK_MS = 2_000;
/** A peer that only listens is asked for a sign of life at least so often. */
const HEARD_AGO_MS = 30_000;
/** Streams that are not used any more have been ended by then. */
const SETTLED_MS = 60_000;

type Seeds = readonly [number, number];
const SEEDS: readonly Seeds[] = [
  [1, 2],
  [2, 1],
];

/** Ten times a second, tags from `from` on. @returns the next tag */
async function talk(
  clock: FakeClock,
  network: Network,
  ms: number,
  from: number,
  sides: readonly ('left' | 'right')[] = ['left', 'right'],
): Promise<number> {
  let tag = from;
  for (const end = clock.now() + ms; clock.now() < end; tag += 1) {
    for (const side of sides) network.send(side, tag);
    await clock.advance(100);
  }
  return tag;
}

/** A link that is up and has been used. */
async function settled(seeds: Seeds, connect: 'always' | 'demand' = 'always') {
  const clock = new FakeClock();
  const network = new Network(clock, { left: 'always', right: connect }, seeds);
  network.start();
  const next = await talk(clock, network, SETTLED_MS, 0);
  assert.equal(network.open, 1);
  return { clock, network, next };
}

function states(network: Network): string {
  return [network.nodes.left, network.nodes.right]
    .map(({ link }) => link.report().state)
    .map((state) => (state.kind === 'up' ? state.direction : state.kind))
    .sort()
    .join();
}

function lacking(network: Network, from: number, to: number): number[] {
  const [left, right] = [new Set(network.tags('left')), new Set(network.tags('right'))];
  return Array.from({ length: to - from }, (_, index) => from + index).filter(
    (tag) => !left.has(tag) || !right.has(tag),
  );
}

async function checkStopped(clock: FakeClock, network: Network): Promise<void> {
  await network.stop();
  await clock.settle();
  assert.deepEqual([clock.pending, network.open], [0, 0]);
}

for (const seeds of SEEDS) {
  test(`after a cut of 60 s the old stream carries on at once, where no dial gets through (${seeds})`, async () => {
    const { clock, network, next } = await settled(seeds);
    network.cut();
    network.weather = { left: 'silent', right: 'silent' };
    let tag = await talk(clock, network, 60_000, next);
    assert.match(states(network), /^(dialing|waiting),(dialing|waiting)$/);
    assert.equal(network.nodes.left.link.report().lastError?.error.code, 'link.silent');
    network.mend();
    await clock.advance(100);
    assert.equal(states(network), 'in,out');
    assert.equal(network.nodes.left.link.report().lastError, undefined);
    const back = tag;
    tag = await talk(clock, network, 10_000, tag);
    assert.deepEqual(lacking(network, back, tag), []);
    network.weather = { left: 'open', right: 'open' };
    tag = await talk(clock, network, 120_000, tag);
    assert.deepEqual(lacking(network, back, tag), []);
    assert.equal(states(network), 'in,out');
    await checkStopped(clock, network);
  });

  for (const cutMs of [5_000, 27_000, 40_000, 60_000, 300_000]) {
    test(`after a cut of ${cutMs / 1000} s, with all that was dialled meanwhile, both settle on one stream (${seeds})`, async () => {
      const { clock, network, next } = await settled(seeds);
      network.cut();
      const mended = await talk(clock, network, cutMs, next);
      network.mend();
      // Dials that were given up arrive too, and seem alive until their end comes.
      const calm = await talk(clock, network, 5_000, mended);
      const end = await talk(clock, network, SETTLED_MS, calm);
      assert.deepEqual(lacking(network, calm, end), []);
      assert.equal(states(network), 'in,out');
      assert.equal(network.lines.filter((one) => !one.destroyed).length, 1);
      await checkStopped(clock, network);
    });
  }
}

test('a side that had nothing to say, and has doubted nothing, agrees with the one that has dialled anew', async () => {
  const { clock, network, next } = await settled([1, 2], 'demand');
  network.cut();
  const mended = await talk(clock, network, 55_000, next, ['left']);
  network.mend();
  const calm = await talk(clock, network, 5_000, mended);
  const end = await talk(clock, network, SETTLED_MS, calm);
  assert.deepEqual(lacking(network, calm, end), []);
  assert.equal(states(network), 'in,out');
  assert.equal(network.open, 1);
  await checkStopped(clock, network);
});

test('one silent stream is kept, not several, and not for ever', async () => {
  const { clock, network, next } = await settled([1, 2], 'demand');
  const held = () => network.nodes.left.relay.active;
  // Each stream that comes up falls silent too.
  let tag = next;
  for (let round = 0; round < 5; round += 1) {
    for (const one of network.lines) one.silence();
    tag = await talk(clock, network, FOUND_OUT_MS + 5_000, tag, ['left']);
    assert.equal(network.nodes.left.link.report().state.kind, 'up', `round ${round}`);
    assert.ok(held() <= 2, `${held()} streams in round ${round}`);
  }
  tag = await talk(clock, network, SETTLED_MS, tag, ['left']);
  assert.equal(held(), 1, 'beside a stream in use the old one goes');

  for (const one of network.lines) one.silence();
  network.weather = { left: 'refuse', right: 'refuse' };
  tag = await talk(clock, network, DOUBTED_MS - HEARD_AGO_MS, tag, ['left']);
  assert.equal(held(), 1, 'the old one is waited for');
  await talk(clock, network, HEARD_AGO_MS + 2 * TICK_MS, tag, ['left']);
  assert.equal(held(), 0, 'and then given up');
  await checkStopped(clock, network);
});

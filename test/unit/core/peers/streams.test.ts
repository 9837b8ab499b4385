import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { PeerStreams } from '../../../../src/core/peers/streams.ts';
import type { Peer } from '../../../../src/core/peers/table.ts';
import { FakeClock } from '../../../helpers/fake-clock.ts';
import { peer } from '../support.ts';

function setting() {
  const [alice, bob] = [peer(2), peer(3)];
  const ours = new Set<Peer>([alice, bob]);
  const clock = new FakeClock();
  return { alice, bob, ours, clock, streams: new PeerStreams({ has: (one) => ours.has(one) }, clock) };
}

test('ends the streams of one peer and of nobody else', () => {
  const { alice, bob, ours, streams } = setting();
  const [one, two, other] = [new PassThrough(), new PassThrough(), new PassThrough()];
  streams.add(alice, one);
  streams.add(alice, two);
  streams.add(bob, other);
  ours.delete(alice);
  streams.end(alice);
  assert.deepEqual([one.destroyed, two.destroyed, other.destroyed], [true, true, false]);
});

test('another session of the peer ends the streams of the one before, and no others', async () => {
  const { alice, bob, clock, streams } = setting();
  const [before, unsaid, foreign, after] = Array.from({ length: 4 }, () => new PassThrough());
  assert.ok(before && unsaid && foreign && after);
  streams.add(alice, before);
  streams.says(alice, before, 1);
  streams.add(alice, unsaid);
  streams.add(bob, foreign);
  streams.says(bob, foreign, 1);
  await clock.advance(10);
  streams.add(alice, after);
  streams.says(alice, after, 2);
  assert.deepEqual(
    [before, unsaid, foreign, after].map(({ destroyed }) => destroyed),
    [true, false, false, false],
  );
});

test('another session is told once, by whatever stream of its own, and by none from before', async () => {
  const { alice, clock, streams } = setting();
  const open = new PassThrough();
  assert.equal(streams.heard(alice, 1, clock.now()), false);
  await clock.advance(10);
  assert.equal(streams.heard(alice, 1, clock.now()), false);
  assert.equal(streams.heard(alice, 2, clock.now()), true);
  assert.equal(streams.heard(alice, 2, clock.now()), false);
  streams.add(alice, open);
  streams.says(alice, open, 2);
  assert.equal(streams.heard(alice, 1, 5), false, 'still under way from before');
  assert.equal(open.destroyed, false);
});

test('a stream that was still being made when its peer went is closed at once', () => {
  const { alice, ours, streams } = setting();
  ours.delete(alice);
  streams.end(alice);
  const late = new PassThrough();
  streams.add(alice, late);
  assert.ok(late.destroyed);
});

test('forgets what has closed by itself', async () => {
  const { alice, streams } = setting();
  const stream = new PassThrough();
  streams.add(alice, stream);
  const closed = new Promise((resolve) => stream.once('close', resolve));
  stream.destroy();
  await closed;
  assert.equal(stream.listenerCount('close'), 0);
  streams.end(alice);
});

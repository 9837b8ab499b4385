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

test('a stream that has ended already is not kept', () => {
  const { alice, streams } = setting();
  const ended = new PassThrough().destroy();
  streams.add(alice, ended);
  assert.equal(ended.listenerCount('close'), 0);
});

test('another session of the peer ends the streams of the one before, and no others', async () => {
  const { alice, bob, clock, streams } = setting();
  const [before, unsaid, foreign, after] = Array.from({ length: 4 }, () => new PassThrough());
  assert.ok(before && unsaid && foreign && after);
  streams.add(alice, before);
  streams.labelHeardOn(alice, before, 1);
  streams.add(alice, unsaid);
  streams.add(bob, foreign);
  streams.labelHeardOn(bob, foreign, 1);
  await clock.advance(10);
  streams.add(alice, after);
  streams.labelHeardOn(alice, after, 2);
  assert.deepEqual(
    [before, unsaid, foreign, after].map(({ destroyed }) => destroyed),
    [true, false, false, false],
  );
});

test('another session ends what was asked before it and has not been answered, and nothing that was', async () => {
  const { alice, clock, streams } = setting();
  const [first, asked, answered, incoming, later, after] = Array.from({ length: 6 }, () => new PassThrough());
  assert.ok(first && asked && answered && incoming && later && after);
  streams.add(alice, first);
  streams.labelHeardOn(alice, first, 1);
  streams.add(alice, asked, 'unanswered');
  streams.add(alice, answered, 'unanswered');
  streams.answered(alice, answered, undefined);
  streams.add(alice, incoming);
  await clock.advance(10);
  streams.add(alice, after, 'unanswered');
  streams.add(alice, later, 'unanswered');
  streams.answered(alice, after, 2);
  assert.deepEqual(
    [first, asked, answered, incoming, later, after].map(({ destroyed }) => destroyed),
    [true, true, false, false, false, false],
  );
});

test('another session counts once, on whatever stream it is told first, and none from before counts', async () => {
  const { alice, bob, clock, streams } = setting();
  const [flow, open] = [new PassThrough(), new PassThrough()];
  const counted: number[] = [];
  const hear = (label: number, openedAt: number) => {
    streams.labelHeard(alice, label, openedAt);
    counted.push(streams.restarts(alice));
  };
  hear(1, clock.now());
  await clock.advance(10);
  hear(1, clock.now());
  streams.add(alice, flow);
  streams.labelHeardOn(alice, flow, 2);
  hear(2, clock.now());
  streams.add(alice, open);
  streams.labelHeardOn(alice, open, 2);
  hear(1, 5);
  assert.deepEqual(counted, [0, 0, 1, 1]);
  assert.deepEqual([flow.destroyed, open.destroyed, streams.restarts(bob)], [false, false, 0]);
});

test('a stream whose answer comes late, on a session that is over, ends', async () => {
  const { alice, clock, streams } = setting();
  const [late, after] = [new PassThrough(), new PassThrough()];
  streams.add(alice, late);
  await clock.advance(10);
  streams.add(alice, after);
  streams.labelHeardOn(alice, after, 2);
  assert.equal(late.destroyed, false);
  streams.labelHeardOn(alice, late, 1);
  assert.deepEqual([late.destroyed, after.destroyed, streams.restarts(alice)], [true, false, 0]);
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

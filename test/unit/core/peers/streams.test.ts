import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { PeerStreams } from '../../../../src/core/peers/streams.ts';
import type { Peer } from '../../../../src/core/peers/table.ts';
import { peer } from '../support.ts';

function setting() {
  const [alice, bob] = [peer(2), peer(3)];
  const ours = new Set<Peer>([alice, bob]);
  return { alice, bob, ours, streams: new PeerStreams({ has: (one) => ours.has(one) }) };
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

/** The listeners that all pairs share: a stream has one owner, once. */
import assert from 'node:assert/strict';
import type { Duplex } from 'node:stream';
import { test } from 'node:test';
import { StreamListeners, type StreamOwner } from '../../../../src/core/relay/stream-listeners.ts';
import { gateError } from '../../kit/support.ts';
import { line } from '../support.ts';

/** Remembers what it was told. */
function recorder() {
  const told: Array<readonly [what: string, stream: Duplex]> = [];
  const note = (what: string) => (stream: Duplex) => void told.push([what, stream]);
  const owner: StreamOwner = {
    heard: note('heard'),
    borrowed: (stream) => {
      note('borrowed')(stream);
      return 'done';
    },
    drained: note('drained'),
    ended: note('ended'),
    failed: note('failed'),
    closed: note('closed'),
  };
  return { told, owner };
}

test('each owner hears of its own streams, and of nothing after it has let go', () => {
  const listeners = new StreamListeners();
  const [[one], [other]] = [line(), line()];
  const [mine, yours] = [recorder(), recorder()];
  listeners.attach(one, mine.owner, false);
  listeners.attach(other, yours.owner, false);
  for (const stream of [one, other]) stream.emit('drain');
  listeners.detach(one);
  for (const stream of [one, other]) stream.emit('error', new Error('late'));
  assert.deepEqual(
    [mine.told.map(([what]) => what), yours.told.map(([what]) => what)],
    [['drained'], ['drained', 'failed']],
  );
  assert.deepEqual(
    [mine.told, yours.told].map((told) => told.map(([, stream]) => stream)),
    [[one], [other, other]],
  );
});

test('a second owner is refused, and the first keeps its stream', () => {
  const listeners = new StreamListeners();
  const [stream] = line();
  const [first, second] = [recorder(), recorder()];
  listeners.attach(stream, first.owner, false);
  gateError('bug', () => listeners.attach(stream, second.owner, false));
  gateError('bug', () => listeners.attach(stream, first.owner, false));
  stream.emit('drain');
  assert.deepEqual([first.told.length, second.told.length], [1, 0]);
});

test('a stream that was let go is not taken again: it would be heard twice', () => {
  const listeners = new StreamListeners();
  const [stream] = line();
  const { owner } = recorder();
  listeners.attach(stream, owner, false);
  listeners.detach(stream);
  gateError('bug', () => listeners.attach(stream, owner, false));
});

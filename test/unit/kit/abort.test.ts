/** Our own signal does what the platform's does: every test runs with both. */
import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { describe, test } from 'node:test';
import { Cancellation, firstOf } from '../../../src/kit/abort.ts';
import { abortError, GateError } from '../../../src/kit/errors.ts';

const REASON = new GateError('limit', 'test.reason', 'enough');

function platform() {
  const controller = new AbortController();
  return { signal: controller.signal, abort: (reason: unknown) => controller.abort(reason) };
}

function ours() {
  const signal = new Cancellation();
  return { signal, abort: (reason: unknown) => signal.abort(reason) };
}

for (const [name, make] of [
  ['the signal of the platform', platform],
  ['a cancellation', ours],
] as const) {
  describe(name, () => {
    test('aborts once, with its reason', () => {
      const { signal, abort } = make();
      assert.equal(signal.aborted, false);
      assert.equal(signal.reason, undefined);
      signal.throwIfAborted();
      abort(REASON);
      abort(new Error('later'));
      assert.equal(signal.aborted, true);
      assert.equal(signal.reason, REASON);
      assert.equal(abortError(signal, 'testing'), REASON);
      assert.throws(() => signal.throwIfAborted(), REASON);
    });

    test('tells everybody who listens, once each and in order, and nobody who has stopped or comes too late', () => {
      const { signal, abort } = make();
      const told: string[] = [];
      const first = () => told.push('first');
      const gone = () => told.push('gone');
      const takenAway = () => told.push('taken away by another');
      signal.addEventListener('abort', first, { once: true });
      signal.addEventListener('abort', first, { once: true });
      signal.addEventListener('abort', gone);
      signal.addEventListener('other', () => told.push('other'));
      signal.addEventListener('abort', { handleEvent: ({ type }) => void told.push(`object ${type}`) });
      signal.addEventListener('abort', () => signal.removeEventListener('abort', takenAway));
      signal.addEventListener('abort', takenAway);
      signal.onabort = () => told.push('property');
      signal.removeEventListener('abort', gone);
      signal.removeEventListener('abort', () => {});
      abort(REASON);
      signal.addEventListener('abort', () => told.push('late'));
      abort(REASON);
      assert.deepEqual([...told].sort(), ['first', 'object abort', 'property']);
      assert.deepEqual(
        told.filter((one) => one !== 'property'),
        ['first', 'object abort'],
      );
    });
  });
}

test('a listener that throws keeps nobody from being told, and its error is not lost', (t) => {
  const thrown: Array<() => void> = [];
  t.mock.method(globalThis, 'queueMicrotask', (run: () => void) => void thrown.push(run));
  const signal = new Cancellation();
  const told: string[] = [];
  const defect = new TypeError('a defect');
  const fail = () => {
    throw defect;
  };
  signal.onabort = fail;
  signal.addEventListener('abort', fail);
  signal.addEventListener('abort', () => told.push('second'));
  signal.abort(REASON);
  assert.deepEqual(told, ['second']);
  assert.equal(thrown.length, 2);
  for (const run of thrown) assert.throws(run, defect);
});

describe('the first of several signals', () => {
  const OTHER = new GateError('shutdown', 'test.other', 'other');

  test('gives its reason, whether it comes before or after', () => {
    for (const at of [0, 1]) {
      const controllers = [new AbortController(), new AbortController()];
      const { signal } = firstOf(...controllers.map((one) => one.signal));
      assert.equal(signal.aborted, false);
      controllers[at]?.abort(REASON);
      controllers[1 - at]?.abort(OTHER);
      assert.equal(signal.reason, REASON);
    }
    const both = firstOf(AbortSignal.abort(REASON), new AbortController().signal);
    assert.equal(both.signal.reason, REASON);
  });

  test('leaves nothing at the others, and what goes on behind its end is cancelled', () => {
    const controllers = [new AbortController(), new AbortController()];
    const signals = controllers.map((one) => one.signal);
    const listening = () => signals.map((signal) => getEventListeners(signal, 'abort').length);
    const ended = firstOf(...signals);
    assert.deepEqual(listening(), [1, 1]);
    ended.end();
    assert.deepEqual([listening(), ended.signal.aborted], [[0, 0], true]);
    firstOf(...signals);
    controllers[0]?.abort(REASON);
    assert.deepEqual(listening(), [0, 0]);
  });
});

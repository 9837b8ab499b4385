/** Our own signal does what the platform's does: every test runs with both. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Cancellation } from '../../../src/kit/abort.ts';
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

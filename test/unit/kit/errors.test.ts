/** The error type: what becomes of other people's errors at our borders. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { abortError, asGateError, ERROR_KINDS, type ErrorKind, GateError } from '../../../src/kit/errors.ts';

test('a GateError keeps what it was given and prints its name', () => {
  const cause = new Error('below');
  const error = new GateError('limit', 'test.limit', 'too many', { facts: { count: 3 }, cause });
  assert.ok(error instanceof Error);
  assert.deepEqual(
    [error.kind, error.code, error.message, error.cause, error.facts],
    ['limit', 'test.limit', 'too many', cause, { count: 3 }],
  );
  assert.match(String(error.stack), /^GateError: too many/);
  assert.deepEqual(new GateError('bug', 'bug', '').facts, {});
  assert.ok(!Object.hasOwn(new GateError('bug', 'bug', 'x'), 'cause'), 'no cause, no empty line in the output');
});

test('there are no two kinds of the same name', () => {
  assert.equal(new Set(ERROR_KINDS).size, ERROR_KINDS.length);
});

test('a GateError passes a border unchanged', () => {
  const error = new GateError('policy', 'test.policy', 'no');
  assert.equal(asGateError(error, 'trying'), error);
});

function failure(make: () => void): unknown {
  try {
    make();
  } catch (error) {
    return error;
  }
  return assert.fail('nothing was thrown');
}

const BORDERS: ReadonlyArray<readonly [name: string, thrown: unknown, kind: ErrorKind, code: string]> = [
  ['a missing file', failure(() => readFileSync('/nonexistent/file')), 'local-io', 'system.io'],
  [
    'a refused connection',
    Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' }),
    'local-io',
    'system.io',
  ],
  ['a name with a digit', Object.assign(new Error('too big'), { code: 'E2BIG' }), 'local-io', 'system.io'],
  ['a full disk', Object.assign(new Error('write'), { code: 'ENOSPC' }), 'local-io', 'system.no-room'],
  ['a quota', Object.assign(new Error('write'), { code: 'EDQUOT' }), 'local-io', 'system.no-room'],
  ['a permission', Object.assign(new Error('open'), { code: 'EACCES' }), 'permission', 'system.permission'],
  ['another permission', Object.assign(new Error('ioctl'), { code: 'EPERM' }), 'permission', 'system.permission'],
  ["Node's abort error", Object.assign(new Error('aborted'), { code: 'ABORT_ERR' }), 'cancelled', 'cancelled'],
  ["a signal's own reason", AbortSignal.abort().reason, 'cancelled', 'cancelled'],
  ['what throwIfAborted throws', failure(() => AbortSignal.abort().throwIfAborted()), 'cancelled', 'cancelled'],
  ['a programming error', new TypeError('x is not a function'), 'bug', 'bug'],
  ["Node's own codes", Object.assign(new Error('bad'), { code: 'ERR_INVALID_ARG_TYPE' }), 'bug', 'bug'],
  ['a text', 'boom', 'bug', 'bug'],
  ['nothing', undefined, 'bug', 'bug'],
];

for (const [name, thrown, kind, code] of BORDERS) {
  test(`${name} becomes ${kind}, says what was being done, and keeps its cause`, () => {
    const error = asGateError(thrown, 'opening the door');
    assert.equal(error.kind, kind);
    assert.equal(error.code, code);
    assert.match(error.message, /^opening the door: ./);
    assert.equal(error.cause, thrown);
  });
}

test('a system error keeps its errno name as a fact', () => {
  assert.equal(
    asGateError(
      failure(() => readFileSync('/nonexistent/file')),
      'reading',
    ).facts['errno'],
    'ENOENT',
  );
});

test('whatever is thrown, a GateError comes out', () => {
  fc.assert(
    fc.property(fc.anything({ withNullPrototype: true, withBigInt: true, withSparseArray: true }), (thrown) => {
      assert.ok(asGateError(thrown, 'testing') instanceof GateError);
    }),
    { numRuns: 300, interruptAfterTimeLimit: 1000 },
  );
  assert.ok(asGateError(Object.create(null), 'testing') instanceof GateError);
  assert.ok(asGateError(Symbol('odd'), 'testing') instanceof GateError);
});

test('an abort is explained by its reason where that is ours', () => {
  const reason = new GateError('shutdown', 'shutdown', 'stopping');
  assert.equal(abortError(AbortSignal.abort(reason), 'dialing'), reason);
  const other = abortError(AbortSignal.abort('why not'), 'dialing');
  assert.deepEqual([other.kind, other.message, other.cause], ['cancelled', 'dialing: cancelled', 'why not']);
});

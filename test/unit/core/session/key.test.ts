import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { keyText, OWN_ECHO, type SessionKey, type StreamKey } from '../../../../src/core/session/key.ts';

const few = fc.constantFrom('a', 'b', 'null', 'a,b', '"', 'gateway', 'true');
const keys: fc.Arbitrary<StreamKey> = fc.oneof(
  fc.constant<SessionKey>({ kind: 'gateway' }),
  fc.record({ kind: fc.constant('named' as const), name: few }),
  fc.record({
    kind: fc.constant('isolated' as const),
    token: few,
    tunnels: fc.option(few, { nil: undefined }),
    mayReachPeers: fc.constantFrom(true as const, undefined),
  }),
  fc.constant(OWN_ECHO),
);

test('property: keys have the same text when they are equal in everything, and never else', () => {
  fc.assert(
    fc.property(keys, keys, (one, other) => {
      assert.equal(keyText(one) === keyText(other), isDeepStrictEqual({ ...one }, { ...other }));
      assert.equal(keyText(one), keyText({ ...one }));
    }),
    { numRuns: 2_000 },
  );
});

test('in which order a key was put together, and what it leaves open, makes no difference', () => {
  const text = keyText({ kind: 'isolated', token: 'a', tunnels: 'fast', mayReachPeers: true });
  assert.equal(keyText({ mayReachPeers: true, tunnels: 'fast', token: 'a', kind: 'isolated' }), text);
  const bare = keyText({ kind: 'isolated', token: 'a' });
  assert.equal(keyText({ kind: 'isolated', token: 'a', tunnels: undefined, mayReachPeers: undefined }), bare);
});

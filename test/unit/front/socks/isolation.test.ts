/** Which session a SOCKS client gets. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { DialTarget } from '../../../../src/core/dial/target.ts';
import { GATEWAY, type SessionKey } from '../../../../src/core/session/key.ts';
import {
  type Aim,
  askerFor,
  type ClientFacts,
  ISOLATION_FACTS,
  type IsolationFact,
  type IsolationRules,
  sessionFor,
  USUAL_ISOLATION,
} from '../../../../src/front/socks/isolation.ts';
import { Sensitive } from '../../../../src/kit/sensitive.ts';
import { addressesOf } from '../../../../src/wire/i2p/address.ts';
import { parseDestination } from '../../../../src/wire/i2p/destination.ts';
import { madeUp } from '../../wire/i2p/fixtures.ts';

const NAMED: SessionKey = { kind: 'named', name: 'mail' };
const DESTINATION = parseDestination(madeUp(1).base64);
const B32 = DESTINATION.b32;

type Request = ClientFacts & Aim;

const FACTS: Request = {
  credentials: undefined,
  clientAddress: '127.0.0.1',
  listener: '127.0.0.1:9160',
  target: { kind: 'host', host: 'a.i2p' },
  port: 80,
};

function credentials(user: Uint8Array | string, password: Uint8Array | string): ClientFacts['credentials'] {
  return new Sensitive({ user: Buffer.from(user), password: Buffer.from(password) });
}

function rules(isolate: readonly IsolationFact[], identity: IsolationRules['identity'] = GATEWAY): IsolationRules {
  return { identity, isolate: new Set(isolate) };
}

const ISOLATED: IsolationRules['identity'] = { kind: 'isolated' };

const keyOf = (request: Request, how: IsolationRules) => sessionFor(request, request, how);

const sessionOf = (user: string, password: string) =>
  keyOf(
    { ...FACTS, credentials: credentials(Buffer.from(user, 'latin1'), Buffer.from(password, 'latin1')) },
    USUAL_ISOLATION,
  );

test('without credentials a client gets the identity of the listener', () => {
  assert.equal(keyOf(FACTS, USUAL_ISOLATION), GATEWAY);
  assert.equal(keyOf(FACTS, rules(['credentials'], NAMED)), NAMED);
});

test('without credentials a client of an isolated listener gets a session that has nothing of the gateway', () => {
  assert.equal(keyOf(FACTS, rules(['credentials'], ISOLATED)).kind, 'isolated');
  assert.equal(keyOf(FACTS, rules([], ISOLATED)).kind, 'isolated');
});

test('the same credentials give the same session', () => {
  assert.deepEqual(sessionOf('user', 'password'), sessionOf('user', 'password'));
  assert.equal(sessionOf('user', 'password').kind, 'isolated');
});

test('isolated sessions with tunnels of their own, or with others, belong to somebody else, who asks as another too', () => {
  const isolated = rules(['credentials'], ISOLATED);
  const [plain, one, other] = [isolated, { ...isolated, tunnels: 'short' }, { ...isolated, tunnels: 'long' }];
  for (const keyFor of [keyOf, askerFor]) {
    const keys = [plain, one, other].map((each) => JSON.stringify(keyFor(FACTS, each)));
    assert.equal(new Set(keys).size, 3, keyFor.name);
  }
});

test('D5 empty credentials are credentials', () => {
  assert.equal(sessionOf('', '').kind, 'isolated');
  const isolated = rules(['credentials'], ISOLATED);
  const empty = { ...FACTS, credentials: credentials('', '') };
  assert.notDeepEqual(keyOf(empty, isolated), keyOf(FACTS, isolated));
});

test('with credentials too a client of a listener with the identity of the gateway may go to peers, and no other', () => {
  const mayReach = [GATEWAY, NAMED, ISOLATED].map((identity) => {
    const session = keyOf({ ...FACTS, credentials: credentials('a', 'b') }, rules(['credentials'], identity));
    assert.ok(session.kind === 'isolated');
    return session.mayReachPeers;
  });
  assert.deepEqual(mayReach, [true, undefined, undefined]);
});

test('credentials select nothing where they are not asked for', () => {
  assert.equal(keyOf({ ...FACTS, credentials: credentials('a', 'b') }, rules([])), GATEWAY);
});

const DIFFERENT: ReadonlyArray<readonly [string, string, string, string]> = [
  ['user', 'one', 'user', 'two'],
  ['one', 'password', 'two', 'password'],
  ['ab', 'c', 'a', 'bc'],
  ['', 'a', 'a', ''],
  ['a\0', 'b', 'a', '\0b'],
  ['User', 'p', 'user', 'p'],
];

for (const [user, password, otherUser, otherPassword] of DIFFERENT) {
  test(`${JSON.stringify([user, password])} is not ${JSON.stringify([otherUser, otherPassword])}`, () => {
    assert.notDeepEqual(sessionOf(user, password), sessionOf(otherUser, otherPassword));
  });
}

const TARGETS: readonly DialTarget[] = [
  { kind: 'host', host: 'a.i2p' },
  { kind: 'host', host: 'b.i2p' },
  { kind: 'b32', b32: B32 },
  { kind: 'address', address: addressesOf(B32).oc },
];

/** Few values, so that equal ones meet; some of them look alike when they are written one behind the other. */
const facts = fc.record({
  credentials: fc.option(
    fc.record({ user: fc.uint8Array({ maxLength: 2, max: 1 }), password: fc.uint8Array({ maxLength: 2, max: 1 }) }),
    { nil: undefined },
  ),
  clientAddress: fc.constantFrom(undefined, '', '127.0.0.1', '::1'),
  listener: fc.constantFrom('127.0.0.1:9160', '127.0.0.1:9161'),
  target: fc.constantFrom(undefined, ...TARGETS),
  port: fc.constantFrom(80, 81, 8),
});

type Drawn = typeof facts extends fc.Arbitrary<infer Value> ? Value : never;

const FIELD_OF = {
  credentials: ({ credentials: given }) =>
    given === undefined
      ? undefined
      : [Buffer.from(given.user).toString('hex'), Buffer.from(given.password).toString('hex')],
  client: ({ clientAddress }) => clientAddress,
  destination: ({ target }) => target,
  port: ({ port }) => port,
  listener: ({ listener }) => listener,
} as const satisfies Record<IsolationFact, (drawn: Drawn) => unknown>;

function asFacts(drawn: Drawn): Request {
  const { credentials: given } = drawn;
  return { ...drawn, credentials: given === undefined ? undefined : credentials(given.user, given.password) };
}

test('property: two requests share a session exactly when they agree in every fact that counts', () => {
  const identity = fc.constantFrom<IsolationRules['identity']>(GATEWAY, NAMED, ISOLATED);
  fc.assert(
    fc.property(facts, facts, fc.subarray([...ISOLATION_FACTS]), identity, (one, other, isolate, whose) => {
      const agree = isolate.every(
        (fact) => JSON.stringify(FIELD_OF[fact](one)) === JSON.stringify(FIELD_OF[fact](other)),
      );
      const [first, second] = [one, other].map((drawn) => keyOf(asFacts(drawn), rules(isolate, whose)));
      assert.equal(JSON.stringify(first) === JSON.stringify(second), agree);
    }),
    { numRuns: 2000 },
  );
});

test('property: a request to an isolated listener never gets another identity', () => {
  fc.assert(
    fc.property(facts, fc.subarray([...ISOLATION_FACTS]), (drawn, isolate) => {
      assert.equal(keyOf(asFacts(drawn), rules(isolate, ISOLATED)).kind, 'isolated');
    }),
  );
});

test('a destination is the same by its hash and in full, and another one by a name of the address book', () => {
  const byDestination = rules(['destination'], ISOLATED);
  const session = (target: DialTarget) => keyOf({ ...FACTS, target }, byDestination);
  assert.deepEqual(session({ kind: 'b32', b32: B32 }), session({ kind: 'destination', destination: DESTINATION }));
  assert.notDeepEqual(session({ kind: 'b32', b32: B32 }), session({ kind: 'host', host: 'a.i2p' }));
});

test('a token does not show its credentials', () => {
  assert.doesNotMatch(JSON.stringify(sessionOf('user-name', 'pass-word')), /user-name|pass-word/);
});

/** Which session a SOCKS client gets. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { GATEWAY, type SessionKey } from '../../../../src/core/session/key.ts';
import { sessionFor } from '../../../../src/front/socks/isolation.ts';
import { Sensitive } from '../../../../src/kit/sensitive.ts';
import type { SocksRequest } from '../../../../src/wire/socks/request.ts';

function withCredentials(user: Uint8Array, password: Uint8Array): SocksRequest {
  return {
    dialect: 'socks5',
    command: 'connect',
    host: { kind: 'name', name: 'a.i2p' },
    port: 80,
    credentials: new Sensitive({ user: Buffer.from(user), password: Buffer.from(password) }),
  };
}

const sessionOf = (user: string, password: string) =>
  sessionFor(withCredentials(Buffer.from(user, 'latin1'), Buffer.from(password, 'latin1')), GATEWAY);

const WITHOUT: SocksRequest = {
  dialect: 'socks5',
  command: 'connect',
  host: { kind: 'name', name: 'a.i2p' },
  port: 80,
  credentials: undefined,
};

test('without credentials a client gets the session of the listener', () => {
  const usual: SessionKey = { kind: 'isolated', token: 'of the listener' };
  assert.equal(sessionFor(WITHOUT, GATEWAY), GATEWAY);
  assert.equal(sessionFor(WITHOUT, usual), usual);
});

test('SOCKS4 gets the session of the listener: its user id is the login name more often than not', () => {
  assert.equal(
    sessionFor({ dialect: 'socks4', command: 'connect', host: { kind: 'name', name: 'a.i2p' }, port: 80 }, GATEWAY),
    GATEWAY,
  );
});

test('the same credentials give the same session', () => {
  assert.deepEqual(sessionOf('user', 'password'), sessionOf('user', 'password'));
  assert.equal(sessionOf('user', 'password').kind, 'isolated');
});

test('D5 empty credentials are credentials', () => assert.equal(sessionOf('', '').kind, 'isolated'));

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

test('property: tokens are equal exactly when the credentials are', () => {
  const field = fc.uint8Array({ maxLength: 3, max: 2 });
  fc.assert(
    fc.property(field, field, field, field, (user, password, otherUser, otherPassword) => {
      const same = Buffer.compare(user, otherUser) === 0 && Buffer.compare(password, otherPassword) === 0;
      const one = sessionFor(withCredentials(user, password), GATEWAY);
      const other = sessionFor(withCredentials(otherUser, otherPassword), GATEWAY);
      assert.equal(one.kind === 'isolated' && other.kind === 'isolated' && one.token === other.token, same);
    }),
  );
});

test('a token does not show its credentials', () => {
  assert.doesNotMatch(JSON.stringify(sessionOf('user-name', 'pass-word')), /user-name|pass-word/);
});

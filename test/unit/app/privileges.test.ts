/** Which rights the gateway means to keep, and that it believes nobody who says that the others are gone. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { demandGivenUp, futureUser, neededCapabilities, privilegePlan } from '../../../src/app/privileges.ts';
import { decodeConfig } from '../../../src/config/decode.ts';
import type { Config } from '../../../src/config/schema.ts';
import { SYSTEM_PATHS } from '../../../src/io/paths.ts';
import { GateError } from '../../../src/kit/errors.ts';

const USER = { uid: 999, gid: 995 };
const ONION_CAT = `[[peer]]
name = "old"
destination = "ktmhezukbp6jyuldedcjmso6p4e6aegeikqli2mne67hnttgmvfa.b32.i2p"
compat = "onioncat4"
`;

function config(toml: string): Config {
  const decoded = decodeConfig(toml, SYSTEM_PATHS);
  return decoded.kind === 'config' ? decoded.config : assert.fail(JSON.stringify(decoded));
}

for (const [what, toml, needed] of [
  ['a VPN, for interface, routes and rules', '', ['CAP_NET_ADMIN']],
  ['a VPN with an OnionCat that asks for names', ONION_CAT, ['CAP_NET_ADMIN', 'CAP_NET_BIND_SERVICE']],
  ['a VPN with an OnionCat that is not answered', `[vpn]\ndns = "off"\n${ONION_CAT}`, ['CAP_NET_ADMIN']],
  ['SOCKS alone', `[vpn]\nenabled = false\n${ONION_CAT}`, []],
] as const) {
  test(`what is needed for ${what}`, () => assert.deepEqual(neededCapabilities(config(toml)), needed));
}

test('root becomes the user of the config', () => {
  const plan = privilegePlan(config(''), 0, USER);
  assert.deepEqual(plan, { kind: 'become', user: USER, name: 'garligate', keep: ['CAP_NET_ADMIN'] });
  assert.deepEqual(futureUser(plan), USER);
});

test('root stays root only in so many words', () => {
  const told = privilegePlan(config('[privileges]\nuser = "root"'), 0, { uid: 0, gid: 0 });
  assert.deepEqual([told, futureUser(told)], [{ kind: 'stay-root' }, undefined]);
});

for (const [what, user, pattern] of [
  ['a user that does not exist', undefined, /"garligate", but there is no such user\. Make one: useradd .* garligate/],
  ['root by another name', { uid: 0, gid: 0 }, /root by another name/],
] as const) {
  test(`root is refused ${what}`, () => {
    assert.throws(
      () => privilegePlan(config(''), 0, user),
      (error) => error instanceof GateError && error.kind === 'permission' && pattern.test(error.message),
    );
  });
}

test('whoever is not root becomes nobody else, whatever the config names', () => {
  for (const user of [undefined, USER]) {
    assert.deepEqual(privilegePlan(config(''), 1000, user), { kind: 'stay', keep: ['CAP_NET_ADMIN'] });
  }
});

const GIVEN_UP = { uid: 999, capabilities: ['CAP_NET_ADMIN'], noNewPrivileges: true, mixed: false };

test('rights that are gone are believed', () => {
  demandGivenUp({ user: USER, keep: ['CAP_NET_ADMIN'] }, GIVEN_UP);
  demandGivenUp({ user: USER, keep: ['CAP_NET_ADMIN'] }, { ...GIVEN_UP, capabilities: [] });
});

for (const [what, wrong] of [
  ['another user', { uid: 0 }],
  ['a thread of another user or group', { mixed: true }],
  ['a capability too many', { capabilities: ['CAP_NET_ADMIN', 'CAP_7'] }],
  ['a way to gain some', { noNewPrivileges: false }],
] as const) {
  test(`the gateway does not go on with ${what}`, () => {
    assert.throws(
      () => demandGivenUp({ user: USER, keep: ['CAP_NET_ADMIN'] }, { ...GIVEN_UP, ...wrong }),
      (error) => error instanceof GateError && error.code === 'privileges.not-given-up',
    );
  });
}

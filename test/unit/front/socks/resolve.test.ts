/** RESOLVE and RESOLVE_PTR, and the CONNECT that follows them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { IsolationRules } from '../../../../src/front/socks/isolation.ts';
import { addressesOf } from '../../../../src/wire/i2p/address.ts';
import type { B32 } from '../../../../src/wire/i2p/destination.ts';
import { hex, spaced } from '../../wire/socks/feed.ts';
import { accessWith, fakeDialer, OTHER_SERVICE, OWN, PEER, SERVICE, settle, type World, world } from './fakes.ts';

const NO_AUTH = '05 01 00';
const credentials = (user: string) => `05 01 02 01 01 ${Buffer.from(user).toString('hex')} 00`;
const ocOf = (b32: B32) => spaced(addressesOf(b32).oc);
const asName = (name: string) => `03 ${Buffer.of(name.length).toString('hex')} ${Buffer.from(name).toString('hex')}`;
const zeros = (count: number) => ' 00'.repeat(count);
const failed = (code: string) => `05 ${code} 00 01${zeros(6)}`;

/** @returns everything behind the greeting, when the client has been told all */
async function ask({ listener }: World, request: string, greeting = NO_AUTH): Promise<string> {
  const app = listener.connect();
  app.stream.write(hex(`${greeting} ${request}`));
  await settle();
  assert.equal(app.ended, true);
  app.stream.end();
  return spaced(app.received().subarray(greeting === NO_AUTH ? 2 : 4));
}

const resolve = (name: string) => `05 f0 00 ${asName(name)} 00 00`;
const resolveAddress = (address: string) => `05 f1 00 04 ${address} 00 00`;

const RESOLVED: ReadonlyArray<readonly [what: string, name: string, b32: B32]> = [
  ['a name of the address book', 'service.i2p', SERVICE.b32],
  ['a b32 name', `${SERVICE.b32}.b32.i2p`, SERVICE.b32],
  ['the short name of a peer', `${PEER.b32.slice(0, 16)}.oc.b32.i2p`, PEER.b32],
  ['the b32 name of a peer', `${PEER.b32}.b32.i2p`, PEER.b32],
  ['the gateway itself', `${OWN.b32}.b32.i2p`, OWN.b32],
];

for (const [what, name, b32] of RESOLVED) {
  test(`RESOLVE of ${what} gives its address as ATYP 4, and then RESOLVE_PTR gives a name for it`, async () => {
    const setting = await world();
    assert.equal(await ask(setting, resolve(name)), `05 00 00 04 ${ocOf(b32)} 00 00`);
    const back = await ask(setting, resolveAddress(ocOf(b32)));
    const expected = name.includes('.oc.') ? `${b32}.b32.i2p` : name;
    assert.equal(back, spaced(hex(`05 00 00 ${asName(expected)} 00 00`)));
    assert.equal(setting.dialer.dials.length, 0);
    assert.deepEqual(setting.counts(), { accepted: 2, resolved: 2 });
  });
}

const REFUSED: ReadonlyArray<readonly [what: string, request: string, code: string, count: string]> = [
  ['RESOLVE of a name that nobody knows', resolve('unknown.i2p'), '04', 'resolveFailed'],
  ['RESOLVE of a short name that is no peer', resolve(`${'a'.repeat(16)}.oc.b32.i2p`), '04', 'resolveFailed'],
  ['RESOLVE of a name outside I2P', resolve('example.com'), '02', 'policyRefused'],
  ['RESOLVE of an IPv4 address', '05 f0 00 01 c0 00 02 01 00 00', '02', 'policyRefused'],
  ['RESOLVE_PTR of an IPv4 address', '05 f1 00 01 c0 00 02 01 00 00', '02', 'policyRefused'],
  ['RESOLVE_PTR of a name', `05 f1 00 ${asName('service.i2p')} 00 00`, '04', 'resolveFailed'],
];

for (const [what, request, code, count] of REFUSED) {
  test(`${what} is answered ${code}, without a name in the reply`, async () => {
    const setting = await world();
    assert.equal(await ask(setting, request), failed(code));
    assert.equal(setting.counts()[count], 1);
  });
}

test('RESOLVE_PTR of an address that is nobody is answered 04 in the long form', async () => {
  const setting = await world();
  const reply = `05 04 00 04${zeros(18)}`;
  assert.equal(await ask(setting, resolveAddress(ocOf(SERVICE.b32))), reply);
  assert.equal(await ask(setting, resolveAddress(`20 01 0d b8${zeros(12)}`)), reply.replace('04', '02'));
});

test('what name the gateway has inside I2P is told to nobody who goes out under another one', async () => {
  const question = resolveAddress(ocOf(OWN.b32));
  const isolation = (identity: IsolationRules['identity']) => ({ isolation: { identity, isolate: new Set<never>() } });
  const usual = await world();
  assert.match(await ask(usual, question), /^05 00 00 03/);
  const refused = `05 02 00 04${zeros(18)}`;
  assert.equal(await ask(usual, question, credentials('a')), refused);
  assert.equal(usual.counts()['resolveFailed'], 1);
  for (const identity of [{ kind: 'isolated' }, { kind: 'named', name: 'mail' }] as const) {
    assert.equal(await ask(await world(isolation(identity)), question), refused);
  }
});

test('a listener without RESOLVE answers 07 to both, and nobody is asked', async () => {
  const setting = await world({ resolve: false });
  assert.equal(await ask(setting, resolve('service.i2p')), failed('07'));
  assert.equal(await ask(setting, resolveAddress(ocOf(PEER.b32))), `05 07 00 04${zeros(18)}`);
  assert.deepEqual(setting.counts(), { accepted: 2, protocolError: 2 });
});

test('CONNECT to an address that was told reaches the whole destination, pinned by its hash', async () => {
  const setting = await world();
  await ask(setting, resolve('service.i2p'));
  setting.listener.connect().stream.write(hex(`${NO_AUTH} 05 01 00 04 ${ocOf(SERVICE.b32)} 00 50`));
  await settle();
  assert.deepEqual(setting.dialer.only().target, { kind: 'destination', destination: SERVICE });
});

test('an address told to one pair of credentials is nothing to another, and nothing without', async () => {
  const setting = await world();
  const [anna, ben] = [credentials('a'), credentials('b')];
  assert.equal(await ask(setting, resolve('other.i2p'), anna), `05 00 00 04 ${ocOf(OTHER_SERVICE.b32)} 00 00`);
  for (const greeting of [ben, NO_AUTH]) {
    assert.match(await ask(setting, resolveAddress(ocOf(OTHER_SERVICE.b32)), greeting), /^05 04/);
    setting.listener.connect().stream.write(hex(`${greeting} 05 01 00 04 ${ocOf(OTHER_SERVICE.b32)} 00 50`));
    await settle();
    assert.equal(setting.dialer.dials.at(-1)?.target.kind, 'address');
  }
  setting.listener.connect().stream.write(hex(`${anna} 05 01 00 04 ${ocOf(OTHER_SERVICE.b32)} 00 50`));
  await settle();
  assert.equal(setting.dialer.dials.at(-1)?.target.kind, 'destination');
});

test('where only a name is allowed, so is the address that was told in its place, and no other', async () => {
  const allow = [{ kind: 'name', name: 'service.i2p' }] as const;
  const setting = await world({}, fakeDialer(), accessWith({ destinations: { allow, deny: [] } }));
  const connect = (b32: B32) =>
    setting.listener.connect().stream.write(hex(`${NO_AUTH} 05 01 00 04 ${ocOf(b32)} 00 50`));
  connect(SERVICE.b32);
  await settle();
  assert.deepEqual(setting.counts(), { accepted: 1, policyRefused: 1 });
  await ask(setting, resolve('service.i2p'));
  connect(SERVICE.b32);
  connect(OTHER_SERVICE.b32);
  await settle();
  assert.deepEqual(setting.dialer.only().target, { kind: 'destination', destination: SERVICE });
  assert.deepEqual(setting.counts(), { accepted: 4, policyRefused: 2, resolved: 1 });
});

test('where what is behind a name is denied, so is the address that was told in its place', async () => {
  const deny = [{ kind: 'b32', b32: SERVICE.b32 }] as const;
  const setting = await world({}, fakeDialer(), accessWith({ destinations: { allow: [], deny } }));
  assert.equal(await ask(setting, resolve('service.i2p')), `05 00 00 04 ${ocOf(SERVICE.b32)} 00 00`);
  assert.equal(await ask(setting, `05 01 00 04 ${ocOf(SERVICE.b32)} 00 50`), `05 02 00 04${zeros(18)}`);
  assert.equal(setting.dialer.dials.length, 0);
  assert.deepEqual(setting.counts(), { accepted: 2, policyRefused: 1, resolved: 1 });
});

test('where streams are isolated by destination and port, an address that was told is still good for its asker', async () => {
  const setting = await world({
    isolation: { identity: { kind: 'isolated' }, isolate: new Set(['credentials', 'destination', 'port']) },
  });
  await ask(setting, resolve('service.i2p'));
  setting.listener.connect().stream.write(hex(`${NO_AUTH} 05 01 00 04 ${ocOf(SERVICE.b32)} 00 50`));
  await settle();
  assert.equal(setting.dialer.only().target.kind, 'destination');
});

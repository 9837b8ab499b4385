import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createPeerTable, type PeerSettings, shownAddress } from '../../../../src/core/peers/table.ts';
import { GateError } from '../../../../src/kit/errors.ts';
import { addressesOf, addressKey } from '../../../../src/wire/i2p/address.ts';
import { type B32, parseB32 } from '../../../../src/wire/i2p/destination.ts';
import { parsePrefix } from '../../../../src/wire/packet/prefix.ts';
import { destination, own } from '../support.ts';

function settings(name: string, b32: B32): PeerSettings {
  return { name, b32, destination: undefined, connect: 'demand', onionCat: undefined, routes: [], allow: [] };
}

const ME = own(1).addresses;

function refuses(peers: readonly PeerSettings[], whose: RegExp): void {
  assert.throws(
    () => createPeerTable(peers, ME),
    (error) => error instanceof GateError && error.code === 'peer.address-taken' && whose.test(error.message),
  );
}

test('finds a peer by its whole name and by both addresses', () => {
  const { b32 } = destination(2);
  const table = createPeerTable([settings('Alice', b32), settings('bob', destination(3).b32)], ME);
  const alice = table.byB32(b32);
  assert.equal(alice?.name, 'Alice');
  assert.equal(table.byName('alice'), alice);
  assert.equal(table.byName('carol'), undefined);
  const { oc, ocat4 } = addressesOf(b32);
  assert.equal(table.byAddress(addressKey(oc)), alice);
  assert.equal(table.byAddress(addressKey(ocat4)), alice);
  assert.equal(table.byAddress(addressKey(addressesOf(destination(4).b32).oc)), undefined);
  assert.equal(table.byB32(destination(4).b32), undefined);
  assert.equal(table.byAddress(addressKey(ME.oc)), undefined);
  assert.deepEqual(
    table.list().map((peer) => [peer.name, peer.knowsFlows]),
    [
      ['Alice', undefined],
      ['bob', undefined],
    ],
  );
});

test('refuses a second destination with the same 80 bits, whatever it is called', () => {
  const { b32 } = destination(2);
  // All but the first 16 characters differ; and all but the last 16.
  const sameStart = parseB32(`${b32.slice(0, 16)}${destination(3).b32.slice(16)}`);
  const sameEnd = parseB32(`${destination(3).b32.slice(0, 36)}${b32.slice(36)}`);
  for (const twin of [sameStart, sameEnd]) {
    refuses([settings('alice', b32), settings('mallory', twin)], /peer mallory .* of peer alice/);
    refuses([settings('alice', b32), settings('alice', twin)], /peer alice/);
  }
  refuses([settings('alice', b32), settings('again', b32)], /peer again .* of peer alice/);
});

test('refuses a peer with one of our addresses', () => {
  const { b32 } = own(1);
  const { b32: other } = destination(3);
  refuses([settings('me', b32)], /of this gateway/);
  refuses([settings('this gateway', parseB32(`${b32.slice(0, 16)}${other.slice(16)}`))], /of this gateway/);
  refuses([settings('near', parseB32(`${other.slice(0, 36)}${b32.slice(36)}`))], /of this gateway/);
});

test('an OnionCat is known by further destinations, has one address that it shows, and takes 1500 bytes', () => {
  const { b32 } = destination(2);
  const inbound = [destination(5).b32];
  const table = createPeerTable(
    [{ ...settings('old', b32), onionCat: { inbound } }, settings('new', destination(3).b32)],
    ME,
  );
  const [old, young] = table.list();
  assert.ok(old !== undefined && young !== undefined);
  assert.deepEqual([table.byOrigin(b32), table.byOrigin(destination(5).b32)], [old, old]);
  assert.equal(table.byB32(destination(5).b32), undefined);
  assert.equal(table.byOrigin(destination(6).b32), undefined);
  assert.deepEqual([old.knowsFlows, old.mtu, young.knowsFlows, young.mtu], [false, 1500, undefined, undefined]);
  assert.deepEqual([shownAddress(old), shownAddress(young)], [old.addresses.ocat4, young.addresses.oc]);
  assert.equal(table.hasUnverified, false);
  assert.ok(createPeerTable([{ ...settings('old', b32), onionCat: { inbound: 'unverified' } }], ME).hasUnverified);
});

test('a plan changes nothing until it is carried out, and keeps whoever stays', () => {
  const [alice, bob, carol] = [2, 3, 4].map((seed) => settings(`p${seed}`, destination(seed).b32));
  assert.ok(alice !== undefined && bob !== undefined && carol !== undefined);
  const table = createPeerTable([alice, bob], ME);
  const [first, second] = table.list();
  assert.ok(first !== undefined && second !== undefined);
  first.mtu = 1400;
  const allow = [{ kind: 'all' }] as const;
  const plan = table.plan([{ ...alice, allow }, carol]);
  assert.deepEqual(
    [plan.removed, plan.regulated, plan.added.map(({ name }) => name), plan.outcome.map((peer) => peer.allow)],
    [[second], [first], ['p4'], [allow, []]],
  );
  assert.deepEqual([table.list(), first.allow], [[first, second], []]);

  plan.commit();
  assert.deepEqual([table.list()[0], first.allow, first.mtu], [first, allow, 1400]);
  assert.deepEqual([table.has(first), table.has(second)], [true, false]);
  assert.equal(table.byB32(bob.b32), undefined);
  assert.equal(table.byName('p4'), table.list()[1]);
});

test('a peer that differs in more than its rules goes, and comes as another one', () => {
  const alice = settings('alice', destination(2).b32);
  const others: readonly Partial<PeerSettings>[] = [
    { name: 'bob' },
    { connect: 'always' },
    { onionCat: { inbound: [] } },
    { routes: [parsePrefix('fd12::/32') ?? assert.fail()] },
    { destination: destination(2) },
  ];
  for (const other of others) {
    const table = createPeerTable([alice], ME);
    const [before] = table.list();
    const plan = table.plan([{ ...alice, ...other }]);
    plan.commit();
    assert.deepEqual([plan.removed, plan.added, plan.regulated], [[before], table.list(), []]);
    assert.ok(before !== undefined && !table.has(before));
  }
});

test('a plan with two peers of the same 80 bits is none', () => {
  const table = createPeerTable([], ME);
  assert.throws(() => table.plan([settings('me', own(1).b32)]), { code: 'peer.address-taken' });
  assert.deepEqual(table.list(), []);
});

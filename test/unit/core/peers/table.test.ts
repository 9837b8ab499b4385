import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type PeerSettings, peerTable, shownAddress } from '../../../../src/core/peers/table.ts';
import { GateError } from '../../../../src/kit/errors.ts';
import { addressesOf, addressKey } from '../../../../src/wire/i2p/address.ts';
import { type B32, parseB32 } from '../../../../src/wire/i2p/destination.ts';
import { destination, own } from '../support.ts';

function settings(name: string, b32: B32): PeerSettings {
  return { name, b32, destination: undefined, connect: 'demand', onionCat: undefined, routes: [], allow: [] };
}

const ME = own(1).addresses;

function refuses(peers: readonly PeerSettings[], whose: RegExp): void {
  assert.throws(
    () => peerTable(peers, ME),
    (error) => error instanceof GateError && error.code === 'peer.address-taken' && whose.test(error.message),
  );
}

test('finds a peer by its whole name and by both addresses', () => {
  const { b32 } = destination(2);
  const table = peerTable([settings('Alice', b32), settings('bob', destination(3).b32)], ME);
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
  const table = peerTable(
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
  assert.ok(peerTable([{ ...settings('old', b32), onionCat: { inbound: 'unverified' } }], ME).hasUnverified);
});

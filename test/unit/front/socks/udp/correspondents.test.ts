/** Addresses pinned to whole destinations: two that look alike are told apart, and a memory that strangers cannot flush. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Correspondents } from '../../../../../src/front/socks/udp/correspondents.ts';
import { addressesOf, addressKey } from '../../../../../src/wire/i2p/address.ts';
import { parseB32 } from '../../../../../src/wire/i2p/destination.ts';
import { attachment } from './fakes.ts';

const FREE = () => false;

/** Destinations with the same beginning have the same address; nobody could make two, but a test can. */
function destination(beginning: string, rest = 'a') {
  return { base64: '', b32: parseB32(`${beginning.padEnd(16, 'a')}${rest.repeat(35)}a`) };
}

const via = attachment();

test('an address stands for the destination that had it first, and for no other', () => {
  const known = new Correspondents(10, FREE);
  const [first, imitation] = [destination('x', 'a'), destination('x', 'b')];
  assert.deepEqual(addressesOf(first.b32).oc, addressesOf(imitation.b32).oc);
  const one = known.recordReceived(first, via) ?? assert.fail();
  assert.equal(known.recordReceived(imitation, via), undefined);
  assert.equal(known.recordSent(imitation, 53, via), undefined);
  assert.equal(known.byAddress(one.address)?.destination.b32, first.b32);
});

test('an address of the VPN stands for nobody else', () => {
  const taken = addressKey(addressesOf(destination('peer').b32).oc);
  const known = new Correspondents(10, (address) => address === taken);
  assert.equal(known.recordReceived(destination('peer', 'b'), via), undefined);
  assert.equal(known.recordSent(destination('peer', 'b'), 1, via), undefined);
});

test('the port that was last written to is remembered, and by whom it was heard', () => {
  const known = new Correspondents(10, FREE);
  const other = attachment();
  const one = destination('x');
  assert.equal(known.recordReceived(one, via)?.port, 0);
  assert.equal(known.recordSent(one, 53, via)?.port, 53);
  const heard = known.recordReceived(one, other) ?? assert.fail();
  assert.equal(heard.port, 53);
  assert.equal(heard.via, other);
});

test('strangers make room for one another, and never for somebody whom the client has asked', () => {
  const known = new Correspondents(3, FREE);
  const asked = known.recordSent(destination('asked'), 1, via) ?? assert.fail();
  for (const letter of 'bcdefgh') known.recordReceived(destination(letter), via);
  assert.ok(known.byAddress(asked.address));
  assert.equal(known.byAddress(addressesOf(destination('b').b32).oc), undefined);
  assert.ok(known.byAddress(addressesOf(destination('h').b32).oc));
  // Where all were asked for, the oldest goes.
  for (const letter of 'xyz') known.recordSent(destination(letter), 1, via);
  assert.equal(known.byAddress(asked.address), undefined);
});

test('an address of the VPN that the client has sent to is remembered, and the oldest of too many is forgotten', () => {
  const known = new Correspondents(2, FREE);
  const addresses = ['one', 'two', 'three'].map((name) => addressesOf(destination(name).b32).oc);
  const wasAsked = () => addresses.map((address) => known.wasAsked({ kind: 'address', address }));
  const [first, second, third] = addresses;
  assert.ok(first && second && third);
  for (const address of [first, second, first]) known.recordSentToVpn(address);
  assert.deepEqual(wasAsked(), [true, true, false]);
  known.recordSentToVpn(third);
  assert.deepEqual(wasAsked(), [true, false, true]);
});

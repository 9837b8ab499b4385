/** Whatever a person may call a peer finds it, and what is nobody's finds nobody. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findPeer } from '../../../../src/core/peers/find.ts';
import { createPeerTable, type PeerSettings } from '../../../../src/core/peers/table.ts';
import { addressesOf, formatAddress, shortNameOf } from '../../../../src/wire/i2p/address.ts';
import { destination, own } from '../support.ts';

const { b32, base64 } = destination(2);
const { oc, ocat4 } = addressesOf(b32);
const SETTINGS: PeerSettings = {
  name: 'Alice',
  b32,
  destination: undefined,
  connect: 'demand',
  onionCat: undefined,
  routes: [],
  allow: [],
};
const TABLE = createPeerTable([SETTINGS, { ...SETTINGS, name: 'bob', b32: destination(3).b32 }], own(1).addresses);

/** Each group of an address with all of its digits, as nobody prints it. */
function inFull(address: Buffer): string {
  return (address.toString('hex').match(/.{4}/g) ?? []).join(':');
}

for (const [what, text] of [
  ['its name', 'Alice'],
  ['its name in other case', 'aLICE'],
  ['its name as SOCKS clients use it', 'alice.peer.b32.i2p'],
  ['its b32 name', `${b32}.b32.i2p`],
  ['the same in capitals, with the dot at the end', `${b32.toUpperCase()}.B32.I2P.`],
  ['its b32 name without the suffix', b32],
  ['its destination', base64],
  ['its oc address', formatAddress(oc)],
  ['its oc name', `${shortNameOf(oc)}.oc.b32.i2p`],
  ['its ocat4 address', formatAddress(ocat4)],
  ['an address with every digit', inFull(ocat4)],
  ['an address in capitals', formatAddress(oc).toUpperCase()],
  ['an address in brackets', `[${formatAddress(oc)}]`],
] as const) {
  test(`a peer is found by ${what}`, () => {
    assert.equal(findPeer(TABLE, text)?.name, 'Alice');
  });
}

for (const text of [
  '',
  'alic',
  'alice.i2p',
  'alice bob',
  'carol.peer.b32.i2p',
  destination(4).b32,
  `${destination(4).b32}.b32.i2p`,
  formatAddress(own(1).addresses.oc),
  'fd60:db4d:ddb5::1',
  '2001:db8::1',
  '127.0.0.1',
]) {
  test(`nobody is found by ${JSON.stringify(text)}`, () => {
    assert.equal(findPeer(TABLE, text), undefined);
  });
}

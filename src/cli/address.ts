/** `garligate address`: converts between the forms in which a gateway is named. Needs no running gateway. */
import { GateError } from '../kit/errors.ts';
import { addressesOf, formatAddress, shortNameOf } from '../wire/i2p/address.ts';
import type { B32 } from '../wire/i2p/destination.ts';
import { classifyTyped } from '../wire/i2p/hostname.ts';
import { table } from './terminal.ts';

/**
 * @param text a b32 name, with or without `.b32.i2p`; a base64 destination; `<16>.oc.b32.i2p`; or an address of the VPN
 * @throws GateError `name-invalid`
 */
export function convert(text: string): readonly string[] {
  const host = classifyTyped(text);
  switch (host.kind) {
    case 'b32':
      return namesOf(host.b32);
    case 'destination':
      return namesOf(host.destination.b32);
    case 'address':
      return table([
        ['address', formatAddress(host.address)],
        ['name', `${shortNameOf(host.address)}.oc.b32.i2p`],
      ]);
    case 'b33':
      throw invalid('the name of an encrypted lease set has no address');
    case 'peer':
      throw invalid('only a running gateway knows its peers by name; `garligate peers --reveal` shows their b32 names');
    case 'address-book':
      throw invalid('only a router knows the destination behind this name; its b32 name is wanted');
    case 'foreign':
      throw invalid('this is not a name or address inside I2P');
    default:
      return host satisfies never;
  }
}

export function namesOf(b32: B32): readonly string[] {
  const { oc, ocat4 } = addressesOf(b32);
  return table([
    ['b32', `${b32}.b32.i2p`],
    ['address', formatAddress(oc)],
    ['name', `${shortNameOf(oc)}.oc.b32.i2p`],
    ['ocat4', formatAddress(ocat4)],
  ]);
}

function invalid(why: string): GateError {
  return new GateError('name-invalid', 'address.no-conversion', why);
}

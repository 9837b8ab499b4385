/**
 * IPv6 addresses that stand for destinations: the one place where they are derived, recognised and printed.
 *
 * A destination has two (docs/adr/0003): the *oc* address from the first 16 characters of its b32 name, the classic
 * GarliCat form which we show and use as source; and the *ocat4* address from the last 16 of the 52 characters, which
 * OnionCat 4.x computes. 80 bits name a destination but never identify it.
 */
import { Address6 } from 'ip-address';
import ipaddr from 'ipaddr.js';
import { GateError } from '../../kit/errors.ts';
import { decodeBase32, encodeBase32 } from './base32.ts';
import type { B32 } from './destination.ts';

/** 16 bytes inside the /48. */
export type Address = Buffer & { readonly brand: 'Address' };

export const ADDRESS_LENGTH = 16;
/** fd60:db4d:ddb5::/48, GarliCat's prefix. */
export const PREFIX = Buffer.from('fd60db4dddb5', 'hex');
export const PREFIX_BITS = 48;
export const PREFIX_TEXT = 'fd60:db4d:ddb5::/48';
/** Characters of base32 in the 80 bits behind the prefix. */
export const SHORT_NAME_LENGTH = 16;

/** OnionCat's loopbacks: the first one answers by itself, the second one through I2P. They stand for nobody. */
export const LOCAL_ECHO = toAddress(Buffer.from('fd60db4dddb5000000000000deadbeef', 'hex'));
export const ROUTED_ECHO = toAddress(Buffer.from('fd60db4dddb5000000000000feedbeef', 'hex'));

export interface Addresses {
  readonly oc: Address;
  readonly ocat4: Address;
}

export function addressesOf(b32: B32): Addresses {
  return {
    oc: addressOfShortName(b32.slice(0, SHORT_NAME_LENGTH)),
    ocat4: addressOfShortName(b32.slice(-SHORT_NAME_LENGTH)),
  };
}

/**
 * @param shortName 16 base32 characters
 * @throws GateError `name-invalid`
 */
export function addressOfShortName(shortName: string): Address {
  if (shortName.length !== SHORT_NAME_LENGTH) {
    throw new GateError('name-invalid', 'i2p.short-name', `${SHORT_NAME_LENGTH} base32 characters are wanted`);
  }
  // With memory of its own: in a piece of Node's pool whoever keeps an address keeps 8 KiB.
  const address = Buffer.alloc(ADDRESS_LENGTH);
  address.set(PREFIX);
  address.set(decodeBase32(shortName), PREFIX.length);
  return toAddress(address);
}

/** The 16 base32 characters before `.oc.b32.i2p`. */
export function shortNameOf(address: Address): string {
  return encodeBase32(address.subarray(PREFIX.length));
}

/** Is there an address inside the /48 at `offset`? Six compares: this runs for every packet. */
export function inPrefix(bytes: Uint8Array, offset: number): boolean {
  return (
    bytes[offset] === 0xfd &&
    bytes[offset + 1] === 0x60 &&
    bytes[offset + 2] === 0xdb &&
    bytes[offset + 3] === 0x4d &&
    bytes[offset + 4] === 0xdd &&
    bytes[offset + 5] === 0xb5
  );
}

/** A map key for the address at `offset`; only meaningful where `inPrefix` holds. */
export function addressKey(bytes: Buffer, offset = 0): string {
  return bytes.toString('latin1', offset + PREFIX.length, offset + ADDRESS_LENGTH);
}

/** @throws GateError `name-invalid` when the 16 bytes are outside the /48 */
export function toAddress(bytes: Buffer): Address {
  if (!isAddress(bytes)) throw new GateError('name-invalid', 'i2p.address', `not an address inside ${PREFIX_TEXT}`);
  return bytes;
}

function isAddress(bytes: Buffer): bytes is Address {
  return bytes.length === ADDRESS_LENGTH && inPrefix(bytes, 0);
}

/** Strict: zone indices, prefixes, brackets and IPv4 forms are refused. `undefined` when it is not an IPv6 address. */
export function parseIpv6(text: string): Buffer | undefined {
  // A text without a colon is none, and finding that out by an exception is dear for what every host name is asked.
  if (!text.includes(':') || text.includes('%') || text.includes('/') || !Address6.isValid(text)) return undefined;
  return Buffer.from(new Address6(text).toUnsignedByteArray());
}

/** The canonical text of 16 bytes (RFC 5952). */
export function formatAddress(address: Uint8Array): string {
  const parsed = ipaddr.fromByteArray([...address]);
  return parsed.toString();
}

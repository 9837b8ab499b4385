/** Prefixes of addresses, such as `fd12:3456:789a::/48`: read, printed and compared. Pure; knows nothing of who has them. */
import { Address4 } from 'ip-address';
import { ADDRESS_LENGTH, formatAddress, PREFIX, PREFIX_BITS, parseIpv6 } from '../i2p/address.ts';

export interface Prefix {
  /** 16 bytes, or 4 where `parseNetwork` read IPv4; all bits behind the prefix 0. */
  readonly bytes: Buffer;
  /** At most 8 for each byte. */
  readonly bits: number;
}

/** The /48 of the VPN. */
export const VPN_PREFIX: Prefix = { bytes: Buffer.concat([PREFIX], ADDRESS_LENGTH), bits: PREFIX_BITS };

/**
 * An IPv6 prefix. Strict: the bits behind it must be 0, so that a mistake in the length shows.
 *
 * @returns undefined for what is no prefix
 */
export function parsePrefix(text: string): Prefix | undefined {
  const [, address = '', length] = /^([^/]+)\/(0|[1-9]\d{0,2})$/.exec(text) ?? [];
  return length === undefined ? undefined : exactly(parseIpv6(address), Number(length));
}

/** A prefix of IPv6 or IPv4, as strict, or a single address: all of its bits. */
export function parseNetwork(text: string): Prefix | undefined {
  const [, address = '', length] = /^([^/]+)(?:\/(0|[1-9]\d{0,2}))?$/.exec(text) ?? [];
  const bytes = parseIpv6(address) ?? parseIpv4(address);
  if (length === undefined) return bytes && { bytes, bits: 8 * bytes.length };
  return exactly(bytes, Number(length));
}

/** Of IPv6. */
export function formatPrefix({ bytes, bits }: Prefix): string {
  return `${formatAddress(bytes)}/${bits}`;
}

/** Does every address inside `inner` lie inside `outer` too? No address of IPv4 lies inside a prefix of IPv6. */
export function covers(outer: Prefix, inner: Prefix): boolean {
  return outer.bits <= inner.bits && shortened(inner, outer.bits).bytes.equals(outer.bytes);
}

export function contains(prefix: Prefix, address: Buffer): boolean {
  return covers(prefix, { bytes: address, bits: 8 * address.length });
}

/** The prefix of `bits` bits, at most as many as it has, that covers this one. */
export function shortened({ bytes }: Prefix, bits: number): Prefix {
  return { bytes: Buffer.from(bytes.map((byte, at) => byte & maskOf(bits - at * 8))), bits };
}

/** The highest address: the bits behind the prefix are 1. */
export function lastOf({ bytes, bits }: Prefix): Buffer {
  return Buffer.from(bytes.map((byte, at) => byte | (~maskOf(bits - at * 8) & 0xff)));
}

function exactly(bytes: Buffer | undefined, bits: number): Prefix | undefined {
  if (bytes === undefined || bits > 8 * bytes.length) return undefined;
  return bytes.equals(shortened({ bytes, bits }, bits).bytes) ? { bytes, bits } : undefined;
}

function parseIpv4(text: string): Buffer | undefined {
  return /^\d+(\.\d+){3}$/.test(text) && Address4.isValid(text) ? Buffer.from(new Address4(text).toArray()) : undefined;
}

/** The byte with its first `bits` bits set; fewer than none and more than all are taken as none and all. */
function maskOf(bits: number): number {
  return (0xff00 >> Math.min(Math.max(bits, 0), 8)) & 0xff;
}

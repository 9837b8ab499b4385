/** IPv6 prefixes, such as `fd12:3456:789a::/48`: read, printed and compared. Pure; knows nothing of who has them. */
import { ADDRESS_LENGTH, formatAddress, parseIpv6 } from '../i2p/address.ts';

export interface Prefix {
  /** 16 bytes, all bits behind the prefix 0. */
  readonly bytes: Buffer;
  /** 0..128 */
  readonly bits: number;
}

/**
 * Strict: the bits behind the prefix must be 0, so that a mistake in the length shows.
 *
 * @returns undefined for what is no prefix
 */
export function parsePrefix(text: string): Prefix | undefined {
  const [, address = '', length = ''] = /^([^/]+)\/(0|[1-9]\d{0,2})$/.exec(text) ?? [];
  const bytes = parseIpv6(address);
  const bits = Number(length);
  if (bytes === undefined || length === '' || bits > ADDRESS_LENGTH * 8) return undefined;
  return bytes.equals(shortened({ bytes, bits }, bits).bytes) ? { bytes, bits } : undefined;
}

export function formatPrefix({ bytes, bits }: Prefix): string {
  return `${formatAddress(bytes)}/${bits}`;
}

/** Does every address inside `inner` lie inside `outer` too? */
export function covers(outer: Prefix, inner: Prefix): boolean {
  return outer.bits <= inner.bits && shortened(inner, outer.bits).bytes.equals(outer.bytes);
}

/** The prefix of `bits` bits, at most as many as it has, that covers this one. */
export function shortened({ bytes }: Prefix, bits: number): Prefix {
  return { bytes: Buffer.from(bytes.map((byte, at) => byte & maskOf(bits - at * 8))), bits };
}

/** The highest address: the bits behind the prefix are 1. */
export function lastOf({ bytes, bits }: Prefix): Buffer {
  return Buffer.from(bytes.map((byte, at) => byte | (~maskOf(bits - at * 8) & 0xff)));
}

/** The byte with its first `bits` bits set; fewer than none and more than all are taken as none and all. */
function maskOf(bits: number): number {
  return (0xff00 >> Math.min(Math.max(bits, 0), 8)) & 0xff;
}

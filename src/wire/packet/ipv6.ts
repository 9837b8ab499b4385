/** Where things stand in an IPv6 packet (RFC 8200, section 3), and how long it is. Reads bytes in place. */

export const HEADER_LENGTH = 40;
/** Header and the largest payload that its 16-bit length can say. */
export const LONGEST_PACKET = HEADER_LENGTH + 0xffff;
/** What every link carries, in bytes (section 5). */
export const LEAST_MTU = 1280;
export const NEXT_HEADER_OFFSET = 6;
export const SOURCE_OFFSET = 8;
export const DESTINATION_OFFSET = 24;

export const NEXT_HEADER_TCP = 6;
export const NEXT_HEADER_UDP = 17;
export const NEXT_HEADER_ICMPV6 = 58;
/** "No next header": OnionCat's keepalive. */
export const NEXT_HEADER_NONE = 59;

/** Header and payload of the packet that begins at `at`, as its header says; at least 6 bytes must be there. */
export function packetLength(bytes: Buffer, at: number): number {
  return HEADER_LENGTH + bytes.readUInt16BE(at + 4);
}

export function isIpv6(firstByte: number | undefined): boolean {
  return firstByte !== undefined && firstByte >> 4 === 6;
}

/**
 * Explicit congestion notification in an IPv6 header (RFC 3168, section 5): two bits by which a queue tells the receiver
 * of a packet that it is full, where the sender can be told in that way. Reads and writes bytes in place.
 */

/** The two bits are the last ones of the traffic class, in the upper half of the header's second byte. */
const ECN_BYTE = 1;
const ECN_MASK = 0x30;

/** Can the packet at `at` carry the mark (ECT(0), ECT(1), or marked already)? */
export function isEcnCapable(bytes: Buffer, at: number): boolean {
  return ((bytes[at + ECN_BYTE] ?? 0) & ECN_MASK) !== 0;
}

/** "Congestion experienced". Nothing else has to change: no checksum covers the traffic class. */
export function markCongestion(bytes: Buffer, at: number): void {
  bytes[at + ECN_BYTE] = (bytes[at + ECN_BYTE] ?? 0) | ECN_MASK;
}

/**
 * Which packets belong to the same conversation: those with the same addresses, protocol and ports (RFC 8290, section 3.2), or
 * where there are no ports the same flow label (RFC 6437). Reads bytes in place.
 */
import { HEADER_LENGTH, NEXT_HEADER_OFFSET, NEXT_HEADER_TCP, NEXT_HEADER_UDP, SOURCE_OFFSET } from './ipv6.ts';

const FLOW_LABEL = 0x000fffff;
/** Version, traffic class and flow label. */
const FIRST_WORD_END = 4;
/** Both addresses, in words of 4 bytes. */
const ADDRESSES_END = HEADER_LENGTH;
/** Both ports, right behind a header without extensions. */
const PORTS_END = HEADER_LENGTH + 4;

/**
 * A number for the flow of the packet at `[at, end)`; different flows rarely have the same, and nobody who does not know
 * the seed can make them. Beside ports the label says nothing: Linux gives a connection another one whenever it repeats a
 * segment that was not acknowledged in time.
 *
 * @param seed 32 bits
 * @returns 32 bits, unsigned
 */
export function flowNumber(bytes: Buffer, at: number, end: number, seed: number): number {
  let hash = mix(seed, bytes[at + NEXT_HEADER_OFFSET] ?? 0);
  for (let word = SOURCE_OFFSET; word < ADDRESSES_END; word += 4) hash = mix(hash, bytes.readUInt32BE(at + word));
  return finish(mix(hash, ports(bytes, at, end) ?? bytes.readUInt32BE(at) & FLOW_LABEL));
}

/**
 * Are the packets at `[one, oneEnd)` and `[other, otherEnd)` TCP or UDP of the same flow, with the same first 4 bytes? Then
 * whoever judges or routes by addresses and protocol finds no difference between them.
 */
export function isAlike(bytes: Buffer, one: number, oneEnd: number, other: number, otherEnd: number): boolean {
  const protocol = bytes[other + NEXT_HEADER_OFFSET];
  if ((protocol !== NEXT_HEADER_TCP && protocol !== NEXT_HEADER_UDP) || bytes[one + NEXT_HEADER_OFFSET] !== protocol)
    return false;
  if (oneEnd - one < PORTS_END || otherEnd - other < PORTS_END) return false;
  // What differs most often comes first.
  for (let at = PORTS_END - 1; at >= SOURCE_OFFSET; at -= 1) if (bytes[one + at] !== bytes[other + at]) return false;
  for (let at = 0; at < FIRST_WORD_END; at += 1) if (bytes[one + at] !== bytes[other + at]) return false;
  return true;
}

/** Both ports where the protocol has them right behind the header; undefined for all else, fragments too. */
function ports(bytes: Buffer, at: number, end: number): number | undefined {
  const isThere = hasPorts(bytes[at + NEXT_HEADER_OFFSET]) && end - at >= PORTS_END;
  return isThere ? bytes.readUInt32BE(at + HEADER_LENGTH) : undefined;
}

/** TCP, UDP, DCCP, SCTP, UDP-Lite. */
function hasPorts(nextHeader: number | undefined): boolean {
  return nextHeader === 6 || nextHeader === 17 || nextHeader === 33 || nextHeader === 132 || nextHeader === 136;
}

/** A round of MurmurHash3 (A. Appleby, public domain). */
function mix(hash: number, word: number): number {
  let value = Math.imul(word, 0xcc9e2d51);
  value = Math.imul((value << 15) | (value >>> 17), 0x1b873593);
  const mixed = hash ^ value;
  return (Math.imul((mixed << 13) | (mixed >>> 19), 5) + 0xe6546b64) | 0;
}

function finish(hash: number): number {
  let value = hash ^ (hash >>> 16);
  value = Math.imul(value, 0x85ebca6b);
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
  return (value ^ (value >>> 16)) >>> 0;
}

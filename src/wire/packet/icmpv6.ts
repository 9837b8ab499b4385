/** ICMPv6 errors (RFC 4443) that we answer local senders with, and when an error may be answered at all. */
import type { Address } from '../i2p/address.ts';
import {
  DESTINATION_OFFSET,
  HEADER_LENGTH,
  LEAST_MTU,
  NEXT_HEADER_ICMPV6,
  NEXT_HEADER_OFFSET,
  NEXT_HEADER_TCP,
  SOURCE_OFFSET,
  writeHeader,
} from './ipv6.ts';

/** Codes of Destination Unreachable, RFC 4443 section 3.1. */
export const UNREACHABLE = { noRoute: 0, address: 3, sourcePolicy: 5 } as const;
export type UnreachableCode = (typeof UNREACHABLE)[keyof typeof UNREACHABLE];

const TYPE_UNREACHABLE = 1;
const TYPE_PACKET_TOO_BIG = 2;
/** Types below this are errors, which must not be answered with errors (section 2.4, e.1). */
const FIRST_INFORMATIONAL_TYPE = 128;
/** Informational by its number, but not to be answered either (section 2.4, e.2). */
const TYPE_REDIRECT = 137;
/** Types 130 to 137 and 143 belong to one link. */
const FIRST_LINK_TYPE = 130;
const TYPE_LISTENER_REPORT_2 = 143;
const FRAGMENT_HEADER = 44;
const AUTHENTICATION_HEADER = 51;
/** Hop-by-hop options, routing, fragment, authentication, destination options. */
const EXTENSION_HEADERS: ReadonlySet<number> = new Set([0, 43, FRAGMENT_HEADER, AUTHENTICATION_HEADER, 60]);
/** RFC 8504, section 5.3: a host may refuse more than 8. */
const MOST_EXTENSION_HEADERS = 8;
const ICMP_HEADER_LENGTH = 8;
/** An error must fit into the least MTU (section 2.4, c). */
const LONGEST_ERROR = LEAST_MTU;
const HOP_LIMIT = 64;
/** In a TCP header (RFC 9293, section 3.1). */
const TCP_FLAGS_OFFSET = 13;
const TCP_SYN = 0x02;

/** May this packet be answered with an error? Not an error itself, and from a single, real host. */
export function mayAnswer(packet: Buffer): boolean {
  if (packet.length < HEADER_LENGTH) return false;
  const firstOfSource = packet[SOURCE_OFFSET];
  const unspecified = packet.subarray(SOURCE_OFFSET, DESTINATION_OFFSET).every((byte) => byte === 0);
  if (firstOfSource === 0xff || unspecified || packet[DESTINATION_OFFSET] === 0xff) return false;
  const type = icmpTypeAt(packet, 0, packet.length);
  return typeof type === 'number' ? type >= FIRST_INFORMATIONAL_TYPE && type !== TYPE_REDIRECT : type === 'other';
}

/**
 * Is the packet at `bytes[start, end)` a message that only has a meaning on one link: neighbour or router discovery
 * (RFC 4861) or multicast listener discovery (RFC 2710, RFC 3810)? On a tunnel it could only mislead a host. A packet
 * that hides what it is, behind more extension headers than anybody needs or behind its first fragment, is taken for one.
 */
export function isLinkMessage(bytes: Buffer, start: number, end: number): boolean {
  const type = icmpTypeAt(bytes, start, end);
  if (typeof type !== 'number') return type === 'hidden';
  return (type >= FIRST_LINK_TYPE && type <= TYPE_REDIRECT) || type === TYPE_LISTENER_REPORT_2;
}

/**
 * Where the destination stands of the packet that an ICMPv6 error at `bytes[start, end)` is about (RFC 4443, section 2.4, c):
 * `no error` for anything else, and `not here` where the header of that packet is not all there, as in another fragment.
 */
export function quotedDestination(bytes: Buffer, start: number, end: number): number | 'no error' | 'not here' {
  const at = icmpAt(bytes, start, end);
  if (typeof at !== 'number' || (bytes[at] ?? 0) >= FIRST_INFORMATIONAL_TYPE) return 'no error';
  const quoted = at + ICMP_HEADER_LENGTH;
  return quoted + HEADER_LENGTH <= end ? quoted + DESTINATION_OFFSET : 'not here';
}

/** The type of the ICMPv6 message in the packet at `bytes[start, end)`, or what `icmpAt` says. */
function icmpTypeAt(bytes: Buffer, start: number, end: number): number | NoMessage {
  const at = icmpAt(bytes, start, end);
  return typeof at === 'number' ? (bytes[at] ?? 0) : at;
}

/**
 * Another protocol; cut off, or in another fragment; or in a place where only who hides it puts it: behind too many headers, or
 * behind the first fragment, which has to hold all of them (RFC 7112, section 5).
 */
type NoMessage = 'other' | 'not here' | 'hidden';

/** Where the ICMPv6 message in the packet at `bytes[start, end)` begins, also behind extension headers. */
function icmpAt(bytes: Buffer, start: number, end: number): number | NoMessage {
  let header = bytes[start + NEXT_HEADER_OFFSET];
  let at = start + HEADER_LENGTH;
  let [inFirstFragment, isFragment] = [true, false];
  for (let passed = 0; header !== NEXT_HEADER_ICMPV6; passed += 1) {
    if (header === undefined || !EXTENSION_HEADERS.has(header)) return 'other';
    // Behind a later fragment's header stands what the first one's header says, and its middle.
    if (!inFirstFragment) return 'not here';
    if (at >= end) return isFragment ? 'hidden' : 'not here';
    if (passed === MOST_EXTENSION_HEADERS) return 'hidden';
    if (header === FRAGMENT_HEADER) {
      isFragment = true;
      inFirstFragment = (bytes[at + 2] ?? 0) === 0 && (bytes[at + 3] ?? 0) >> 3 === 0;
    }
    const length = extensionLength(header, bytes[at + 1] ?? 0);
    header = bytes[at];
    at += length;
  }
  if (!inFirstFragment) return 'not here';
  if (at < end) return at;
  return isFragment ? 'hidden' : 'not here';
}

/**
 * Bytes. RFC 8200, section 4.3: 8, and as many times 8 as the second byte says; a fragment header has always 8. RFC 4302,
 * section 2.2: the authentication header counts in fours.
 */
function extensionLength(header: number, said: number): number {
  if (header === FRAGMENT_HEADER) return 8;
  return header === AUTHENTICATION_HEADER ? 8 + 4 * said : 8 + 8 * said;
}

/**
 * Where a packet stands whose destination is away for now. `queued`: it begins to wait. `expired`: it was dropped, and a later
 * one of its flow waits. `expired-last`: it was dropped, and none does.
 */
export type Waiting = 'queued' | 'expired' | 'expired-last';

/**
 * What to say of a packet whose destination is away, if anything.
 *
 * A segment of a TCP connection that stands hears `noRoute`, the one code after which TCP takes back one doubling of its pauses
 * (RFC 6069, section 3; Linux from 5.8 on). Once for each time that it is repeated, and the pauses stay as they are; once more
 * where a pause was longer than packets wait, and they shrink until there is always a segment that waits. Twice for each would
 * shrink them to nothing.
 *
 * Who only begins to connect would be told by that code that his own network is down; he, and all that is not TCP, hears at
 * the end that the host is away.
 */
export function codeForAbsence(packet: Buffer, waiting: Waiting): UnreachableCode | undefined {
  if (!isOfConnection(packet)) return waiting === 'queued' ? undefined : UNREACHABLE.address;
  return waiting === 'expired' ? undefined : UNREACHABLE.noRoute;
}

function isOfConnection(packet: Buffer): boolean {
  const flags = packet[HEADER_LENGTH + TCP_FLAGS_OFFSET];
  return packet[NEXT_HEADER_OFFSET] === NEXT_HEADER_TCP && flags !== undefined && (flags & TCP_SYN) === 0;
}

/** @param about the packet that cannot be delivered; it is quoted as far as it fits */
export function unreachable(from: Address, code: UnreachableCode, about: Buffer): Buffer {
  return errorAbout(from, TYPE_UNREACHABLE, code, 0, about);
}

/**
 * Section 3.2.
 *
 * @param mtu what fits, in bytes; a host need not believe less than 1280 (RFC 8200, section 5)
 */
export function packetTooBig(from: Address, mtu: number, about: Buffer): Buffer {
  return errorAbout(from, TYPE_PACKET_TOO_BIG, 0, mtu, about);
}

/** @param field the 32 bits behind the checksum */
function errorAbout(from: Address, type: number, code: number, field: number, about: Buffer): Buffer {
  const quoted = about.subarray(0, LONGEST_ERROR - HEADER_LENGTH - ICMP_HEADER_LENGTH);
  const packet = Buffer.alloc(HEADER_LENGTH + ICMP_HEADER_LENGTH + quoted.length);
  writeHeader(packet, {
    nextHeader: NEXT_HEADER_ICMPV6,
    hopLimit: HOP_LIMIT,
    source: from,
    destination: about.subarray(SOURCE_OFFSET, DESTINATION_OFFSET),
  });
  packet[HEADER_LENGTH] = type;
  packet[HEADER_LENGTH + 1] = code;
  packet.writeUInt32BE(field, HEADER_LENGTH + 4);
  quoted.copy(packet, HEADER_LENGTH + ICMP_HEADER_LENGTH);
  packet.writeUInt16BE(checksum(packet), HEADER_LENGTH + 2);
  return packet;
}

/** Checksum over pseudo header and message (RFC 8200, section 8.1), with the checksum field taken as it stands. */
export function checksum(packet: Buffer): number {
  const payload = packet.length - HEADER_LENGTH;
  let sum = payload + (packet[NEXT_HEADER_OFFSET] ?? 0);
  for (let at = SOURCE_OFFSET; at < packet.length; at += 2) {
    sum += ((packet[at] ?? 0) << 8) | (packet[at + 1] ?? 0);
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

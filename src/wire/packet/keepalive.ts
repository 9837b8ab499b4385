/**
 * OnionCat's keepalive: an IPv6 packet without payload protocol (next header 59) that opens every stream and carries the
 * sender's long name. Between our own kind a few bytes behind the name's NUL, which an OnionCat does not look at,
 * announce what we can do (docs/protocol.md):
 *
 *     67 67  version  flags  capabilities(2)
 */
import { ADDRESS_LENGTH, type Address } from '../i2p/address.ts';
import type { B32 } from '../i2p/destination.ts';
import { DESTINATION_OFFSET, HEADER_LENGTH, NEXT_HEADER_NONE, NEXT_HEADER_OFFSET, SOURCE_OFFSET } from './ipv6.ts';

export interface Keepalive {
  /** Undefined for an OnionCat, which announces nothing. */
  readonly announcement: Announcement | undefined;
}

export interface Announcement {
  /** The sender wants a keepalive back, as a sign of life. */
  readonly wantsAnswer: boolean;
  /** The sender's gateway takes TCP connections as flows. */
  readonly knowsFlows: boolean;
}

export interface KeepaliveText {
  readonly source: Address;
  readonly destination: Address;
  /** 20 bits, constant for one link: OnionCat tells its own loopback by it. */
  readonly flowLabel: number;
  readonly name: B32;
  readonly announcement: Announcement;
}

/** OnionCat's payload version. */
const PAYLOAD_VERSION = 1;
const HOP_LIMIT = 1;
const MARK = 0x6767;
const ANNOUNCEMENT_VERSION = 1;
const ANNOUNCEMENT_LENGTH = 6;
const FLAG_WANTS_ANSWER = 0x01;
const CAPABILITY_FLOWS = 0x0001;

export function encodeKeepalive(text: KeepaliveText): Buffer {
  const name = Buffer.from(`${text.name}.b32.i2p\0`, 'latin1');
  const packet = Buffer.alloc(HEADER_LENGTH + 1 + name.length + ANNOUNCEMENT_LENGTH);
  packet.writeUInt32BE((0x60000000 | (text.flowLabel & 0xfffff)) >>> 0, 0);
  packet.writeUInt16BE(packet.length - HEADER_LENGTH, 4);
  packet[NEXT_HEADER_OFFSET] = NEXT_HEADER_NONE;
  packet[7] = HOP_LIMIT;
  text.source.copy(packet, SOURCE_OFFSET, 0, ADDRESS_LENGTH);
  text.destination.copy(packet, DESTINATION_OFFSET, 0, ADDRESS_LENGTH);
  packet[HEADER_LENGTH] = PAYLOAD_VERSION;
  name.copy(packet, HEADER_LENGTH + 1);
  const at = HEADER_LENGTH + 1 + name.length;
  packet.writeUInt16BE(MARK, at);
  packet[at + 2] = ANNOUNCEMENT_VERSION;
  packet[at + 3] = text.announcement.wantsAnswer ? FLAG_WANTS_ANSWER : 0;
  packet.writeUInt16BE(text.announcement.knowsFlows ? CAPABILITY_FLOWS : 0, at + 4);
  return packet;
}

export function isKeepalive(bytes: Buffer, start: number): boolean {
  return bytes[start + NEXT_HEADER_OFFSET] === NEXT_HEADER_NONE;
}

/**
 * Reads a keepalive of either kind. The name in it is not looked at: who a peer is comes from I2P, never from what it
 * says of itself. An announcement of a later version is read as far as it is known here.
 */
export function parseKeepalive(packet: Buffer): Keepalive {
  const payload = packet.subarray(HEADER_LENGTH);
  const nul = payload.indexOf(0, 1);
  const at = nul + 1;
  if (
    payload[0] !== PAYLOAD_VERSION ||
    nul < 0 ||
    payload.length < at + ANNOUNCEMENT_LENGTH ||
    payload.readUInt16BE(at) !== MARK
  ) {
    return { announcement: undefined };
  }
  return {
    announcement: {
      wantsAnswer: ((payload[at + 3] ?? 0) & FLAG_WANTS_ANSWER) !== 0,
      knowsFlows: (payload.readUInt16BE(at + 4) & CAPABILITY_FLOWS) !== 0,
    },
  };
}

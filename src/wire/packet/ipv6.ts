/** The header of an IPv6 packet (RFC 8200, section 3): where things stand in it, read in place, and how one is written. */
import { ADDRESS_LENGTH } from '../i2p/address.ts';

export const HEADER_LENGTH = 40;
/** Header and the largest payload that its 16-bit length can say. */
export const LONGEST_PACKET = HEADER_LENGTH + 0xffff;
/** What every link carries, in bytes (section 5). */
export const LEAST_MTU = 1280;
const PAYLOAD_LENGTH_OFFSET = 4;
export const NEXT_HEADER_OFFSET = 6;
export const HOP_LIMIT_OFFSET = 7;
export const SOURCE_OFFSET = 8;
export const DESTINATION_OFFSET = 24;

export const NEXT_HEADER_TCP = 6;
export const NEXT_HEADER_UDP = 17;
export const NEXT_HEADER_ICMPV6 = 58;
/** "No next header": OnionCat's keepalive. */
export const NEXT_HEADER_NONE = 59;

/** Version 6 in the first four bits of the first 32, with traffic class 0. */
const VERSION = 0x60000000;
const FLOW_LABEL_MASK = 0xfffff;

/** Header and payload of the packet that begins at `at`, as its header says; at least 6 bytes must be there. */
export function packetLength(bytes: Buffer, at: number): number {
  return HEADER_LENGTH + bytes.readUInt16BE(at + PAYLOAD_LENGTH_OFFSET);
}

export function isIpv6(firstByte: number | undefined): boolean {
  return firstByte !== undefined && firstByte >> 4 === 6;
}

export interface Header {
  /** 20 bits; 0 where nothing is said. */
  readonly flowLabel?: number;
  readonly nextHeader: number;
  readonly hopLimit: number;
  /** 16 bytes. */
  readonly source: Uint8Array;
  /** 16 bytes. */
  readonly destination: Uint8Array;
}

/** Writes the header of a packet whose payload is all that stands behind it. */
export function writeHeader(packet: Buffer, header: Header): void {
  const { flowLabel = 0, nextHeader, hopLimit, source, destination } = header;
  packet.writeUInt32BE(VERSION | (flowLabel & FLOW_LABEL_MASK), 0);
  packet.writeUInt16BE(packet.length - HEADER_LENGTH, PAYLOAD_LENGTH_OFFSET);
  packet[NEXT_HEADER_OFFSET] = nextHeader;
  packet[HOP_LIMIT_OFFSET] = hopLimit;
  packet.set(source, SOURCE_OFFSET);
  packet.set(destination, DESTINATION_OFFSET);
}

/** The flow label of a packet that is whole: 20 bits. */
export function flowLabelOf(packet: Buffer): number {
  return packet.readUInt32BE(0) & FLOW_LABEL_MASK;
}

/** Whether this address stands at `offset`: SOURCE_OFFSET or DESTINATION_OFFSET from the beginning of a packet. */
export function hasAddressAt(bytes: Buffer, offset: number, address: Uint8Array): boolean {
  return bytes.compare(address, 0, ADDRESS_LENGTH, offset, offset + ADDRESS_LENGTH) === 0;
}

/**
 * OnionCat's keepalive: an IPv6 packet without payload protocol (next header 59) that opens every stream and carries the
 * sender's long name. Between our own kind a few bytes behind the name's NUL, which an OnionCat does not look at,
 * announce what we can do (docs/protocol.md):
 *
 *     67 67  version  flags  capabilities(2)  mtu(2)  stamp(4)  echo(4)  received(6)
 *
 * The last three are there where the capabilities say so.
 */
import type { Address } from '../i2p/address.ts';
import type { B32 } from '../i2p/destination.ts';
import { hostNameOf } from '../i2p/hostname.ts';
import { HEADER_LENGTH, NEXT_HEADER_NONE, NEXT_HEADER_OFFSET, writeHeader } from './ipv6.ts';

export interface Keepalive {
  /** Undefined for an OnionCat, which announces nothing. */
  readonly announcement: Announcement | undefined;
}

export interface Announcement {
  /** The sender wants a keepalive back, as a sign of life. */
  readonly wantsAnswer: boolean;
  /** The sender's gateway takes TCP connections as flows. */
  readonly knowsFlows: boolean;
  /** The sender takes rows of TCP packets as one packet that is longer than its MTU. */
  readonly takesBig?: true;
  /** The largest packet that the sender takes, in bytes. Gateways of before this field do not say. */
  readonly mtu?: number;
  /** What a sender that measures its streams says of this one. */
  readonly measurement?: Measurement;
}

/** Belongs to the stream that the keepalive travels on, and ends with it. */
export interface Measurement {
  /** Tells the keepalives of this sender apart; an answer shows it again. 32 bits. */
  readonly stamp: number;
  /** The stamp of the keepalive that this one answers; undefined when it answers none. */
  readonly echo: number | undefined;
  /** Bytes that have arrived at the sender on this stream. 48 bits. */
  readonly received: number;
}

export interface KeepaliveText {
  readonly source: Address;
  readonly destination: Address;
  /** 20 bits, constant for one link: OnionCat tells its own loopback by it. */
  readonly flowLabel: number;
  readonly name: B32;
  /** Undefined makes it OnionCat's own, byte for byte. */
  readonly announcement: Announcement | undefined;
}

/** OnionCat's payload version. */
const PAYLOAD_VERSION = 1;
const HOP_LIMIT = 1;
const MARK = 0x6767;
const ANNOUNCEMENT_VERSION = 1;
const SHORTEST_ANNOUNCEMENT = 6;
const MTU_AT = 6;
const UNSAID_MTU = 1_500;
const MEASUREMENT_AT = 8;
const MEASUREMENT_LENGTH = 14;
const FLAG_WANTS_ANSWER = 0x01;
const FLAG_ANSWERS = 0x02;
const CAPABILITY_FLOWS = 0x0001;
const CAPABILITY_MEASURES = 0x0002;
const CAPABILITY_BIG = 0x0004;

export function encodeKeepalive(text: KeepaliveText): Buffer {
  const payload = Buffer.concat([
    Buffer.from([PAYLOAD_VERSION]),
    Buffer.from(`${hostNameOf(text.name)}\0`, 'latin1'),
    ...(text.announcement === undefined ? [] : [encodeAnnouncement(text.announcement)]),
  ]);
  const { source, destination, flowLabel } = text;
  const packet = Buffer.concat([Buffer.alloc(HEADER_LENGTH), payload]);
  writeHeader(packet, { flowLabel, nextHeader: NEXT_HEADER_NONE, hopLimit: HOP_LIMIT, source, destination });
  return packet;
}

function encodeAnnouncement({ measurement, ...said }: Announcement): Buffer {
  if (measurement !== undefined) {
    const bytes = Buffer.alloc(MEASUREMENT_AT + MEASUREMENT_LENGTH);
    // Something has to stand there: what is assumed of those who say nothing.
    encodeAnnouncement({ ...said, mtu: said.mtu ?? UNSAID_MTU }).copy(bytes);
    bytes[3] = (bytes[3] ?? 0) | (measurement.echo === undefined ? 0 : FLAG_ANSWERS);
    bytes.writeUInt16BE(bytes.readUInt16BE(4) | CAPABILITY_MEASURES, 4);
    bytes.writeUInt32BE(measurement.stamp, MEASUREMENT_AT);
    bytes.writeUInt32BE(measurement.echo ?? 0, MEASUREMENT_AT + 4);
    bytes.writeUIntBE(measurement.received, MEASUREMENT_AT + 8, 6);
    return bytes;
  }
  const { wantsAnswer, knowsFlows, takesBig, mtu } = said;
  const bytes = Buffer.alloc(SHORTEST_ANNOUNCEMENT + (mtu === undefined ? 0 : 2));
  bytes.writeUInt16BE(MARK, 0);
  bytes[2] = ANNOUNCEMENT_VERSION;
  bytes[3] = wantsAnswer ? FLAG_WANTS_ANSWER : 0;
  bytes.writeUInt16BE((knowsFlows ? CAPABILITY_FLOWS : 0) | (takesBig ? CAPABILITY_BIG : 0), 4);
  if (mtu !== undefined) bytes.writeUInt16BE(mtu, MTU_AT);
  return bytes;
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
  if (payload[0] !== PAYLOAD_VERSION || nul < 0) return { announcement: undefined };
  return { announcement: parseAnnouncement(payload.subarray(nul + 1)) };
}

function parseAnnouncement(bytes: Buffer): Announcement | undefined {
  if (bytes.length < SHORTEST_ANNOUNCEMENT || bytes.readUInt16BE(0) !== MARK) return undefined;
  const flags = bytes[3] ?? 0;
  const capabilities = bytes.readUInt16BE(4);
  const measures = (capabilities & CAPABILITY_MEASURES) !== 0;
  return {
    wantsAnswer: (flags & FLAG_WANTS_ANSWER) !== 0,
    knowsFlows: (capabilities & CAPABILITY_FLOWS) !== 0,
    ...((capabilities & CAPABILITY_BIG) === 0 ? {} : { takesBig: true }),
    ...(bytes.length < MTU_AT + 2 ? {} : { mtu: bytes.readUInt16BE(MTU_AT) }),
    ...(!measures || bytes.length < MEASUREMENT_AT + MEASUREMENT_LENGTH
      ? {}
      : { measurement: parseMeasurement(bytes, (flags & FLAG_ANSWERS) !== 0) }),
  };
}

function parseMeasurement(bytes: Buffer, isAnswer: boolean): Measurement {
  return {
    stamp: bytes.readUInt32BE(MEASUREMENT_AT),
    echo: isAnswer ? bytes.readUInt32BE(MEASUREMENT_AT + 4) : undefined,
    received: bytes.readUIntBE(MEASUREMENT_AT + 8, 6),
  };
}

/** ICMPv6 echo (RFC 4443, section 4): telling requests and answers from everything else, and answering one. */
import type { Address } from '../i2p/address.ts';
import { checksum } from './icmpv6.ts';
import {
  DESTINATION_OFFSET,
  HEADER_LENGTH,
  HOP_LIMIT_OFFSET,
  NEXT_HEADER_ICMPV6,
  NEXT_HEADER_OFFSET,
  SOURCE_OFFSET,
  writeHeader,
} from './ipv6.ts';

const TYPE_REQUEST = 128;
const TYPE_REPLY = 129;
const ECHO_HEADER_LENGTH = 8;
const HOP_LIMIT = 64;

/** @param packet whole */
export function isEchoRequest(packet: Buffer): boolean {
  return isEcho(packet, TYPE_REQUEST);
}

export function isEchoReply(packet: Buffer): boolean {
  return isEcho(packet, TYPE_REPLY);
}

/**
 * A request of our own, without data.
 *
 * @param identifier 16 bits that the answer shows again
 * @param sequence 16 bits, the same
 */
export function echoRequest(source: Address, destination: Address, identifier: number, sequence: number): Buffer {
  const request = Buffer.alloc(HEADER_LENGTH + ECHO_HEADER_LENGTH);
  writeHeader(request, { nextHeader: NEXT_HEADER_ICMPV6, hopLimit: HOP_LIMIT, source, destination });
  request[HEADER_LENGTH] = TYPE_REQUEST;
  request.writeUInt16BE(identifier, HEADER_LENGTH + 4);
  request.writeUInt16BE(sequence, HEADER_LENGTH + 6);
  request.writeUInt16BE(checksum(request), HEADER_LENGTH + 2);
  return request;
}

/** What the host at the destination of this echo request would answer. */
export function echoReply(request: Buffer): Buffer {
  const reply = Buffer.from(request);
  request.copy(reply, SOURCE_OFFSET, DESTINATION_OFFSET, HEADER_LENGTH);
  request.copy(reply, DESTINATION_OFFSET, SOURCE_OFFSET, DESTINATION_OFFSET);
  reply[HOP_LIMIT_OFFSET] = HOP_LIMIT;
  reply[HEADER_LENGTH] = TYPE_REPLY;
  reply.writeUInt16BE(0, HEADER_LENGTH + 2);
  reply.writeUInt16BE(checksum(reply), HEADER_LENGTH + 2);
  return reply;
}

function isEcho(packet: Buffer, type: number): boolean {
  return (
    packet.length >= HEADER_LENGTH + ECHO_HEADER_LENGTH &&
    packet[NEXT_HEADER_OFFSET] === NEXT_HEADER_ICMPV6 &&
    packet[HEADER_LENGTH] === type
  );
}

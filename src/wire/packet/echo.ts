/** ICMPv6 echo (RFC 4443, section 4): telling requests and answers from everything else, and answering one. */
import { checksum } from './icmpv6.ts';
import { DESTINATION_OFFSET, HEADER_LENGTH, NEXT_HEADER_ICMPV6, NEXT_HEADER_OFFSET, SOURCE_OFFSET } from './ipv6.ts';

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

/** What the host at the destination of this echo request would answer. */
export function echoReply(request: Buffer): Buffer {
  const reply = Buffer.from(request);
  request.copy(reply, SOURCE_OFFSET, DESTINATION_OFFSET, HEADER_LENGTH);
  request.copy(reply, DESTINATION_OFFSET, SOURCE_OFFSET, DESTINATION_OFFSET);
  reply[7] = HOP_LIMIT;
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

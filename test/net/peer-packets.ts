/** Packets as a hostile peer makes them: TCP, UDP and ICMPv6 by hand, behind extension headers and in fragments. */

const PROTOCOL = { tcp: 6, udp: 17, icmp: 58 } as const;
/** Where the checksum stands in each header. */
const CHECKSUM_AT = { tcp: 16, udp: 6, icmp: 2 } as const;

export const FLAG = { fin: 0x01, syn: 0x02, rst: 0x04, ack: 0x10 } as const;

export interface Envelope {
  readonly from: Buffer;
  readonly to: Buffer;
  readonly hopLimit?: number;
  /** Kinds of empty extension headers in front: 0 hop-by-hop, 43 routing, 60 destination options. */
  readonly extensions?: readonly number[];
}

export function tcp(
  envelope: Envelope,
  ports: readonly [from: number, to: number],
  flags: number,
  [sequence, acknowledged]: readonly [number, number] = [1, 0],
): Buffer {
  // With 12 bytes of options that do nothing, so that a fragment can hold the whole header and yet not be all.
  const segment = Buffer.alloc(32, 1);
  segment.fill(0, 0, 20);
  segment.writeUInt16BE(ports[0], 0);
  segment.writeUInt16BE(ports[1], 2);
  segment.writeUInt32BE(sequence, 4);
  segment.writeUInt32BE(acknowledged, 8);
  segment[12] = 0x80;
  segment[13] = flags;
  segment.writeUInt16BE(0xffff, 14);
  return whole(envelope, 'tcp', segment);
}

export function udp(envelope: Envelope, ports: readonly [from: number, to: number], text: string): Buffer {
  const datagram = Buffer.concat([Buffer.alloc(8), Buffer.from(text)]);
  datagram.writeUInt16BE(ports[0], 0);
  datagram.writeUInt16BE(ports[1], 2);
  datagram.writeUInt16BE(datagram.length, 4);
  return whole(envelope, 'udp', datagram);
}

export function icmp(envelope: Envelope, type: number, code = 0, body: Buffer = Buffer.alloc(4)): Buffer {
  return whole(envelope, 'icmp', Buffer.concat([Buffer.from([type, code, 0, 0]), body]));
}

/** The packet in two fragments (RFC 8200, section 4.5), cut behind so many bytes of what follows its header. */
export function fragments(packet: Buffer, cut: 8 | 24): readonly Buffer[] {
  const header = packet.subarray(0, 40);
  const payload = packet.subarray(40);
  const piece = (part: Buffer, offset: number, more: boolean) => {
    const extension = Buffer.alloc(8);
    extension[0] = packet[6] ?? 0;
    extension.writeUInt16BE(offset | Number(more), 2);
    // Of this packet alone, or the kernel would put together what does not belong together.
    extension.writeUInt16BE(packet.readUInt16BE(40), 4);
    extension.writeUInt16BE(packet.readUInt16BE(42), 6);
    const fragment = Buffer.concat([header, extension, part]);
    fragment[6] = 44;
    fragment.writeUInt16BE(fragment.length - 40, 4);
    return fragment;
  };
  return [piece(payload.subarray(0, cut), 0, true), piece(payload.subarray(cut), cut, false)];
}

function whole(envelope: Envelope, kind: keyof typeof PROTOCOL, payload: Buffer): Buffer {
  const { from, to, hopLimit = 64, extensions = [] } = envelope;
  const pseudo = Buffer.concat([from, to, Buffer.alloc(8)]);
  pseudo.writeUInt32BE(payload.length, 32);
  pseudo[39] = PROTOCOL[kind];
  payload.writeUInt16BE(0, CHECKSUM_AT[kind]);
  payload.writeUInt16BE(sum(Buffer.concat([pseudo, payload])) || 0xffff, CHECKSUM_AT[kind]);
  const kinds = [...extensions, PROTOCOL[kind]];
  const headers = extensions.map((_, at) => {
    // Filled with a PadN option of 4 bytes; of type 4 for routing, which nobody knows and nobody needs to look at.
    const isRouting = extensions[at] === 43;
    return Buffer.from([kinds[at + 1] ?? 59, 0, ...(isRouting ? [4, 0, 0, 0, 0, 0] : [1, 4, 0, 0, 0, 0])]);
  });
  const header = Buffer.alloc(40);
  header[0] = 0x60;
  header[6] = kinds[0] ?? 59;
  header[7] = hopLimit;
  header.set(from, 8);
  header.set(to, 24);
  const packet = Buffer.concat([header, ...headers, payload]);
  packet.writeUInt16BE(packet.length - 40, 4);
  return packet;
}

function sum(bytes: Buffer): number {
  let total = 0;
  for (let at = 0; at < bytes.length; at += 2) total += ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
  while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
  return ~total & 0xffff;
}

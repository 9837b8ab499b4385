/** Packets for the tests of packet/: headers that say what they should, over any payload. */
import { hex } from '../../kit/support.ts';

export const OURS = hex('fd60 db4d ddb5 54d8 7266 8a0b fc9c 5163');
export const THEIRS = hex('fd60 db4d ddb5 a403 c290 1f80 ad48 4e80');

export interface Header {
  readonly next?: number;
  readonly source?: Buffer;
  readonly destination?: Buffer;
  /** What the header says; the truth where it is not given. */
  readonly says?: number;
}

export function packet(payload: Uint8Array, header: Header = {}): Buffer {
  const bytes = Buffer.alloc(40);
  bytes.writeUInt32BE(0x600abcde, 0);
  bytes.writeUInt16BE(header.says ?? payload.length, 4);
  bytes[6] = header.next ?? 17;
  bytes[7] = 64;
  bytes.set(header.source ?? OURS, 8);
  bytes.set(header.destination ?? THEIRS, 24);
  return Buffer.concat([bytes, payload]);
}

/**
 * Cuts packets out of a byte stream on which they stand back to back, each as long as its own header says (OnionCat's
 * framing). Packets that arrive whole are shown in place, without a copy. There is no hunting for the next packet after
 * a bad byte: whoever sent it has lost the framing, or is lying.
 */
import { GateError } from '../../kit/errors.ts';
import { HEADER_LENGTH, isIpv6, LONGEST_PACKET, packetLength } from './ipv6.ts';

/** Sees one whole packet at `bytes[start, end)`; the memory is borrowed until it returns. */
export type VisitPacket = (bytes: Buffer, start: number, end: number) => void;

/** Bytes: whatever an interface with the usual MTU takes. */
const USUAL_PACKET = 2048;
const NOTHING: Buffer = Buffer.alloc(0);

export class Deframer {
  /** For a packet that began in an earlier chunk; made when one does, and large only when one is. */
  #partial = NOTHING;
  #held = 0;
  #lost = false;

  /** Bytes of an unfinished packet. */
  get pending(): number {
    return this.#held;
  }

  /** @throws GateError `peer-protocol` at a byte where no IPv6 packet begins, and ever after */
  push(chunk: Buffer, visit: VisitPacket): void {
    if (this.#lost) throw lost();
    let at = 0;
    if (this.#held > 0) {
      at = this.#complete(chunk, visit);
      if (this.#held > 0) return;
    }
    while (at < chunk.length) {
      if (!isIpv6(chunk[at])) {
        this.#lost = true;
        throw lost();
      }
      const end = chunk.length - at >= HEADER_LENGTH ? at + packetLength(chunk, at) : Number.POSITIVE_INFINITY;
      if (end > chunk.length) {
        this.#reserve(chunk.length - at);
        this.#held = chunk.copy(this.#partial, 0, at);
        return;
      }
      visit(chunk, at, end);
      at = end;
    }
  }

  /** Makes room for `length` bytes and keeps what is held. */
  #reserve(length: number): void {
    if (length <= this.#partial.length) return;
    const larger = Buffer.allocUnsafe(length <= USUAL_PACKET ? USUAL_PACKET : LONGEST_PACKET);
    this.#partial.copy(larger, 0, 0, this.#held);
    this.#partial = larger;
  }

  /** @returns how much of the chunk the held packet took */
  #complete(chunk: Buffer, visit: VisitPacket): number {
    let at = 0;
    if (this.#held < HEADER_LENGTH) {
      at = chunk.copy(this.#partial, this.#held, 0, HEADER_LENGTH - this.#held);
      this.#held += at;
      if (this.#held < HEADER_LENGTH) return at;
    }
    const length = packetLength(this.#partial, 0);
    this.#reserve(length);
    const taken = chunk.copy(this.#partial, this.#held, at, at + length - this.#held);
    this.#held += taken;
    at += taken;
    if (this.#held < length) return at;
    this.#held = 0;
    visit(this.#partial, 0, length);
    return at;
  }
}

function lost(): GateError {
  return new GateError(
    'peer-protocol',
    'packet.framing',
    'a peer sent bytes that are no IPv6 packet; its stream was closed',
  );
}

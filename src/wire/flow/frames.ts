/**
 * Frames inside a flow: a 16-bit length and that many bytes; length 0 ends the direction. They give back the half-close
 * that I2P streams lack, and tell a regular end from a stream that was cut. Pure; knows no stream.
 */

export const LONGEST_FRAME = 0xffff;
const HEADER_LENGTH = 2;

/** @throws RangeError for a length over LONGEST_FRAME, which would otherwise be written as another, or as the end */
export function frameHeader(length: number): Buffer {
  const header = Buffer.allocUnsafe(HEADER_LENGTH);
  header.writeUInt16BE(length);
  return header;
}

export const END_FRAME: Buffer = frameHeader(0);

export interface FrameSink {
  data(bytes: Buffer): void;
  end(): void;
}

/** Accepts the byte stream in any pieces and passes on payload without copying it. */
export class FrameReader {
  #header = 0;
  #headerBytes = 0;
  /** Payload of the current frame that has not come yet. */
  #missing = 0;
  #ended = false;

  get ended(): boolean {
    return this.#ended;
  }

  /** Bytes behind the end frame are ignored: there is no one they could be for. */
  push(bytes: Buffer, sink: FrameSink): void {
    let at = 0;
    while (at < bytes.length && !this.#ended) {
      if (this.#missing > 0) {
        const end = Math.min(bytes.length, at + this.#missing);
        this.#missing -= end - at;
        sink.data(bytes.subarray(at, end));
        at = end;
        continue;
      }
      this.#header = (this.#header << 8) | (bytes[at] ?? 0);
      this.#headerBytes += 1;
      at += 1;
      if (this.#headerBytes < HEADER_LENGTH) continue;
      this.#missing = this.#header;
      this.#header = 0;
      this.#headerBytes = 0;
      if (this.#missing === 0) {
        this.#ended = true;
        sink.end();
      }
    }
  }
}

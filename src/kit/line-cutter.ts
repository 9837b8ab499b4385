/**
 * Cuts lines out of a byte stream, one at a time, since what stands behind a line need not be one. The length is capped, so
 * that a line that never ends cannot fill the memory.
 */
import type { GateError } from './errors.ts';
import { NO_BYTES } from './step.ts';

const LF = 0x0a;

export interface CutLine {
  /** Without its LF. */
  readonly line: Buffer;
  readonly rest: Uint8Array;
}

export class LineCutter {
  readonly #longest: number;
  readonly #tooLong: () => GateError;
  #pieces: Uint8Array[] = [];
  #length = 0;

  /**
   * @param longest bytes in a line, the LF not counted
   * @param tooLong what is thrown when one has more
   */
  constructor(longest: number, tooLong: () => GateError) {
    this.#longest = longest;
    this.#tooLong = tooLong;
  }

  /**
   * @param bytes may be overwritten afterwards
   * @returns the first whole line and what came behind it; undefined while the line is not complete
   * @throws GateError as soon as the line is too long, whether its end has come or not
   */
  push(bytes: Uint8Array): CutLine | undefined {
    const end = bytes.indexOf(LF);
    const part = end < 0 ? bytes : bytes.subarray(0, end);
    this.#length += part.length;
    if (this.#length > this.#longest) throw this.#tooLong();
    if (part.length > 0) this.#pieces.push(Uint8Array.from(part));
    if (end < 0) return undefined;
    const line = Buffer.concat(this.#pieces);
    this.#pieces = [];
    this.#length = 0;
    return { line, rest: end + 1 < bytes.length ? bytes.subarray(end + 1) : NO_BYTES };
  }
}

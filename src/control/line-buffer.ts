/** Cuts lines out of chunks, with a cap, so that a line that never ends cannot fill the memory. */
import { GateError } from '../kit/errors.ts';

const LF = 0x0a;

export class LineBuffer {
  readonly #longest: number;
  #pieces: Uint8Array[] = [];
  #length = 0;

  /** @param longest bytes in a line, the newline not counted */
  constructor(longest: number) {
    this.#longest = longest;
  }

  /**
   * @returns the lines that are complete now, without their newlines
   * @throws GateError `limit`
   */
  push(chunk: Uint8Array): readonly string[] {
    const lines: string[] = [];
    let from = 0;
    for (let end = chunk.indexOf(LF); end >= 0; end = chunk.indexOf(LF, from)) {
      this.#add(chunk.subarray(from, end));
      lines.push(Buffer.concat(this.#pieces).toString('utf8'));
      this.#pieces = [];
      this.#length = 0;
      from = end + 1;
    }
    this.#add(chunk.subarray(from));
    return lines;
  }

  #add(piece: Uint8Array): void {
    this.#length += piece.length;
    if (this.#length > this.#longest) {
      throw new GateError('limit', 'control.line-too-long', `a line over ${this.#longest} bytes`);
    }
    if (piece.length > 0) this.#pieces.push(piece);
  }
}

/**
 * Cuts SAM's lines out of a byte stream. A line ends with LF; a CR before it is dropped. The length is capped, so that a
 * bridge that never ends its line cannot fill the memory.
 */
import { GateError } from '../../kit/errors.ts';
import { NO_BYTES } from '../../kit/step.ts';

/** The longest honest line holds a private key blob with an offline signature and post-quantum keys: below 8 KiB. */
export const LONGEST_LINE = 16 * 1024;

const LF = 0x0a;

export interface TakenLine {
  readonly line: string;
  readonly rest: Uint8Array;
}

export class LineReader {
  #pieces: Uint8Array[] = [];
  #length = 0;

  /**
   * @returns the first whole line and what came behind it; undefined while the line is not complete
   * @throws GateError `router-protocol` when the line grows beyond the cap
   */
  push(bytes: Uint8Array): TakenLine | undefined {
    const end = bytes.indexOf(LF);
    const part = end < 0 ? bytes : bytes.subarray(0, end);
    this.#length += part.length;
    if (this.#length > LONGEST_LINE) {
      throw new GateError(
        'router-protocol',
        'sam.line-too-long',
        `the SAM bridge sent a line over ${LONGEST_LINE} bytes`,
      );
    }
    if (part.length > 0) this.#pieces.push(Uint8Array.from(part));
    if (end < 0) return undefined;
    const line = Buffer.concat(this.#pieces).toString('latin1').replace(/\r$/, '');
    this.#pieces = [];
    this.#length = 0;
    return { line, rest: end + 1 < bytes.length ? bytes.subarray(end + 1) : NO_BYTES };
  }
}

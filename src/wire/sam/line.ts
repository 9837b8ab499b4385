/** SAM's lines: a CR before the LF is dropped, and what stands behind a line may be the stream of somebody else. */
import { GateError } from '../../kit/errors.ts';
import { LineCutter } from '../../kit/line-cutter.ts';

/** The longest honest line holds a private key blob with an offline signature and post-quantum keys: below 8 KiB. */
export const LONGEST_LINE = 16 * 1024;

export interface TakenLine {
  readonly line: string;
  readonly rest: Uint8Array;
}

export class LineReader {
  readonly #cutter = new LineCutter(LONGEST_LINE, tooLong);

  /**
   * @returns the first whole line and what came behind it; undefined while the line is not complete
   * @throws GateError `router-protocol` when the line grows beyond the cap
   */
  push(bytes: Uint8Array): TakenLine | undefined {
    const cut = this.#cutter.push(bytes);
    return cut && { line: cut.line.toString('latin1').replace(/\r$/, ''), rest: cut.rest };
  }
}

function tooLong(): GateError {
  return new GateError('router-protocol', 'sam.line-too-long', `the SAM bridge sent a line over ${LONGEST_LINE} bytes`);
}

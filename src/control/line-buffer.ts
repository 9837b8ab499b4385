/** The lines of the control socket: all of a chunk at once, since nothing but lines is spoken there. */
import { GateError } from '../kit/errors.ts';
import { LineCutter } from '../kit/line-cutter.ts';

export class LineBuffer {
  readonly #cutter: LineCutter;

  /** @param longest bytes in a line, the newline not counted */
  constructor(longest: number) {
    const tooLong = () => new GateError('limit', 'control.line-too-long', `a line over ${longest} bytes`);
    this.#cutter = new LineCutter(longest, tooLong);
  }

  /**
   * @returns the lines that are complete now, without their newlines
   * @throws GateError `limit`
   */
  push(chunk: Uint8Array): readonly string[] {
    const lines: string[] = [];
    for (let cut = this.#cutter.push(chunk); cut !== undefined; cut = this.#cutter.push(cut.rest)) {
      lines.push(cut.line.toString('utf8'));
    }
    return lines;
  }
}

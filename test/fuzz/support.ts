/** What the targets share: what may be thrown, and inputs that also say how they are to be cut. */
import { GateError } from '../../src/kit/errors.ts';
import { type Machine, NO_BYTES } from '../../src/kit/step.ts';

/** Runs `work`; a GateError is an answer, anything else is a defect. @returns what came, or the code of the error */
export function answerOf<T>(work: () => T): T | string {
  try {
    return work();
  } catch (error) {
    if (error instanceof GateError && error.kind !== 'bug') return `${error.kind} ${error.code}`;
    throw error;
  }
}

/** The first byte says how large the pieces are; from 128 on there is one. */
export function inPiecesOf(input: Buffer): Buffer[] {
  const first = input[0] ?? 0;
  const bytes = input.subarray(1);
  const size = first >= 128 ? Math.max(1, bytes.length) : 1 + (first % 61);
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.subarray(at, at + size));
  return pieces;
}

/** As a driver would do it: outcome, what was sent, and what was left over, as text. */
function courseOf(machine: Machine<unknown>, pieces: readonly Buffer[]): string {
  return answerOf(() => {
    const left = pieces.filter((piece) => piece.length > 0);
    const sent: Uint8Array[] = [];
    let input: Uint8Array = NO_BYTES;
    for (let steps = 0; steps < 100_000; steps += 1) {
      const step = machine.step(input);
      input = NO_BYTES;
      if (step.kind === 'done') {
        const rest = Buffer.concat([step.rest, ...left]).toString('hex');
        return `done ${JSON.stringify(step.out)} ${rest} ${Buffer.concat(sent).toString('hex')}`;
      }
      if (step.kind === 'send') sent.push(Buffer.from(step.bytes));
      else {
        const piece = left.shift();
        if (piece === undefined) return `wants more ${Buffer.concat(sent).toString('hex')}`;
        input = piece;
      }
    }
    throw new Error('the machine never comes to an end');
  });
}

/** The course must not depend on the pieces. */
export function sameInPieces(make: () => Machine<unknown>, input: Buffer): void {
  const whole = courseOf(make(), [input.subarray(1)]);
  const pieces = courseOf(make(), inPiecesOf(input));
  if (whole !== pieces) throw new Error(`in one piece: ${whole}; in several: ${pieces}`);
}

/** Prefaces of flows and the frames behind them: any bytes end in an outcome, the same in any pieces. */
import { FrameReader } from '../../../src/wire/flow/frames.ts';
import { flowAcceptMachine, flowRequestMachine } from '../../../src/wire/flow/preface.ts';
import { inProcess } from '../engine.ts';
import { answerOf, inPiecesOf, sameInPieces } from '../support.ts';

const seed = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex');

export const target = inProcess({
  name: 'flow',
  seeds: [
    seed('03 f601 0050 00 0003 616263 0000'),
    seed('03 f601 0050 03 010203 0001 61'),
    seed('05 f601 00 00 0002 6162 0000'),
    seed('05 f602 1f90 00'),
    seed('02 0000 0001 61 ffff'),
  ],
  run: (input) => {
    sameInPieces(flowAcceptMachine, input);
    sameInPieces(() => flowRequestMachine(80, 1), input);
    const [whole, pieces] = [framesOf([input.subarray(1)]), framesOf(inPiecesOf(input))];
    if (whole !== pieces) throw new Error(`in one piece ${whole}, in several ${pieces}`);
  },
});

function framesOf(pieces: readonly Buffer[]): string {
  const reader = new FrameReader();
  const seen: Buffer[] = [];
  const outcome = answerOf(() => {
    for (const piece of pieces) reader.push(piece, { data: (bytes) => seen.push(Buffer.from(bytes)), end: () => {} });
    return reader.ended ? 'ended' : 'open';
  });
  return `${outcome} ${Buffer.concat(seen).toString('hex')}`;
}

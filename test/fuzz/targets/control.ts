/** Lines on the control socket: any bytes are a request, an answer, or refused in words of ours. */
import { LineBuffer } from '../../../src/control/line-buffer.ts';
import { LONGEST_REQUEST, parseAnswer, parseRequest } from '../../../src/control/protocol.ts';
import { parseStatus } from '../../../src/control/status.ts';
import { sampleReport } from '../../unit/control/sample-report.ts';
import { inProcess } from '../engine.ts';
import { answerOf, inPiecesOf } from '../support.ts';

export const target = inProcess({
  name: 'control',
  seeds: [
    Buffer.from('\x09{"v":1,"id":1,"method":"status","params":{}}\n'),
    Buffer.from('\x09{"v":1,"id":2,"method":"help","params":{"x":[1,{"y":null}]}}\n{"v":2}\n'),
    Buffer.from(`\x30{"id":1,"ok":${JSON.stringify(sampleReport())}}\n`),
    Buffer.from('\x09{"id":null,"error":{"code":"x","message":"y"}}\n'),
  ],
  run: (input) => {
    const lines = linesOf(inPiecesOf(input));
    if (JSON.stringify(lines) !== JSON.stringify(linesOf([input.subarray(1)]))) throw new Error('the pieces show');
    for (const line of lines) {
      answerOf(() => parseRequest(line));
      const answer = answerOf(() => parseAnswer(line));
      if (typeof answer === 'object' && 'ok' in answer) parseStatus(answer.ok);
    }
  },
});

function linesOf(pieces: readonly Buffer[]): readonly string[] {
  const buffer = new LineBuffer(LONGEST_REQUEST);
  const lines = answerOf(() => pieces.flatMap((piece) => buffer.push(piece)));
  return typeof lines === 'string' ? [] : lines;
}

/**
 * A stream with half-close over one without: what is written goes out in frames, an end becomes an end frame, and the
 * carrier is closed when both directions have ended. A carrier that ends in the middle is a failure, never a regular end.
 *
 * The side that reads the last end frame closes the carrier, since it has everything. The other waits for that: on some
 * routers an early close cuts off what the reader has not taken yet. So the stream closes with its carrier, and whoever
 * owns it bounds the wait by destroying it.
 */
import { Duplex } from 'node:stream';
import { GateError } from '../../kit/errors.ts';
import { END_FRAME, FrameReader, frameHeader, LONGEST_FRAME } from '../../wire/flow/frames.ts';

const HIGH_WATER_MARK = 64 * 1024;

/** @param carrier paused; owned by the result from now on */
export function createFramedStream(carrier: Duplex): Duplex {
  const frames = new FrameReader();
  let endSent = false;

  const framed = new Duplex({
    allowHalfOpen: true,
    // Both directions can be over while the other side still reads: see above.
    autoDestroy: false,
    readableHighWaterMark: HIGH_WATER_MARK,
    writableHighWaterMark: HIGH_WATER_MARK,
    read: () => {
      carrier.resume();
    },
    write: (chunk: Buffer, _encoding, done) => {
      if (chunk.length === 0) {
        done();
        return;
      }
      carrier.cork();
      for (let at = 0; at < chunk.length; at += LONGEST_FRAME) {
        const piece = chunk.subarray(at, at + LONGEST_FRAME);
        carrier.write(frameHeader(piece.length));
        const isLast = at + piece.length === chunk.length;
        carrier.write(piece, isLast ? (error) => done(error ? cut() : null) : undefined);
      }
      carrier.uncork();
    },
    final: (done) => {
      endSent = true;
      carrier.write(END_FRAME, (error) => done(error ? cut() : null));
    },
    destroy: (error, done) => {
      carrier.destroy();
      done(error);
    },
  });

  const onCarrierOver = () => {
    if (!frames.ended || !endSent) framed.destroy(cut());
    else if (framed.readableEnded) framed.destroy();
    // What has come is still to be read by a slow user.
    else framed.once('end', () => framed.destroy());
  };

  carrier.on('data', (chunk: Buffer) => {
    // However small the frames are, what came together is handed on together.
    const parts: Buffer[] = [];
    const flush = () => {
      const [first] = parts;
      if (first === undefined) return;
      const bytes = parts.length === 1 ? first : Buffer.concat(parts);
      parts.length = 0;
      if (!framed.push(bytes)) carrier.pause();
    };
    frames.push(chunk, {
      data: (bytes) => parts.push(bytes),
      end: () => {
        flush();
        framed.push(null);
        // Nobody reads from here on, but the end of the carrier must still be seen.
        carrier.resume();
        if (endSent) carrier.end();
      },
    });
    flush();
  });
  carrier.on('error', onCarrierOver);
  carrier.on('end', () => {
    // Until both ends are known, the end of a stream without half-close is a cut.
    if (frames.ended && endSent) carrier.end();
    else onCarrierOver();
  });
  carrier.on('close', onCarrierOver);
  // Its user may not have taken it over yet when the carrier is cut.
  framed.on('error', () => {});
  carrier.pause();
  // Its end may have been read, and its event missed, before it came here.
  if (carrier.destroyed || carrier.readableEnded) onCarrierOver();
  return framed;
}

function cut(): GateError {
  return new GateError('peer-closed', 'flow.cut', 'the stream to the peer was cut before the connection had ended');
}

/**
 * A stream with half-close over one without: what is written goes out in frames, an end becomes an end frame, and the
 * carrier is closed when both directions have ended. A carrier that ends in the middle is a failure, never a regular end.
 */
import { Duplex } from 'node:stream';
import type { Clock } from '../../kit/clock.ts';
import { GateError } from '../../kit/errors.ts';
import { END_FRAME, FrameReader, frameHeader, LONGEST_FRAME } from '../../wire/flow/frames.ts';

const HIGH_WATER_MARK = 64 * 1024;

/** The other side closes too when both directions have ended; this is for one that does not. */
const FAREWELL_MS = 30_000;

export function framedStream(carrier: Duplex, clock: Clock): Duplex {
  const frames = new FrameReader();
  let endSent = false;
  /** Set while the carrier takes no more; called when it does again. */
  let resumeWriting: (() => void) | undefined;

  const framed = new Duplex({
    allowHalfOpen: true,
    readableHighWaterMark: HIGH_WATER_MARK,
    writableHighWaterMark: HIGH_WATER_MARK,
    read: () => {
      carrier.resume();
    },
    write: (chunk: Buffer, _encoding, done) => {
      carrier.cork();
      let room = true;
      for (let at = 0; at < chunk.length; at += LONGEST_FRAME) {
        const piece = chunk.subarray(at, at + LONGEST_FRAME);
        carrier.write(frameHeader(piece.length));
        room = carrier.write(piece);
      }
      carrier.uncork();
      if (room) done();
      else resumeWriting = () => done();
    },
    final: (done) => {
      endSent = true;
      carrier.write(END_FRAME, () => done());
      closeWhenBothEnded();
    },
    destroy: (error, done) => {
      resumeWriting?.();
      if (error === null && endSent && frames.ended) leave();
      else carrier.destroy();
      done(error);
    },
  });

  const closeWhenBothEnded = () => {
    if (endSent && frames.ended) carrier.end();
  };
  /** Ends without hurry: on some routers a quick close cuts off what the other side has not read yet. */
  const leave = () => {
    carrier.end();
    carrier.resume();
    const timer = clock.after(FAREWELL_MS, () => carrier.destroy());
    carrier.once('close', () => timer.cancel());
  };

  carrier.on('data', (chunk: Buffer) => {
    frames.push(chunk, {
      data: (bytes) => {
        if (!framed.push(bytes)) carrier.pause();
      },
      end: () => {
        framed.push(null);
        closeWhenBothEnded();
      },
    });
  });
  carrier.on('drain', () => {
    const resume = resumeWriting;
    resumeWriting = undefined;
    resume?.();
  });
  carrier.on('error', () => framed.destroy(cut()));
  carrier.on('end', () => {
    if (!frames.ended || !endSent) framed.destroy(cut());
  });
  carrier.on('close', () => {
    if (!frames.ended || !endSent) framed.destroy(cut());
  });
  carrier.pause();
  return framed;
}

function cut(): GateError {
  return new GateError('peer-closed', 'flow.cut', 'the stream to the peer was cut before the connection had ended');
}

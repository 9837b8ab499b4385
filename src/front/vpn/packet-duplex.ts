/**
 * Makes the packets of one link look like a stream, so that the relay can join them to an I2P stream like any other:
 * reading pulls what is to be sent, writing hands over what arrived. Lends what it pulls, and is done with what is written
 * when the write returns, so that memory can be used again on both ways.
 */
import { Duplex } from 'node:stream';
import type { LendingStream, Loan, WriteThroughStream } from '../../core/ports.ts';
import { asGateError } from '../../kit/errors.ts';

export interface PacketSource {
  /** The next bytes to be sent, whole packets, borrowed until the next call; undefined while there are none. */
  pull(): Buffer | undefined;
  /** What was pulled last is still in use. */
  kept(): void;
  /** Takes what arrived, in pieces as they came, borrowed. @throws GateError to close the stream */
  deliver(bytes: Buffer): void;
}

export interface PacketDuplex {
  readonly stream: LendingStream & WriteThroughStream;
  /** There is something to pull again. */
  wake(): void;
  /** Sends nothing more, and ends when the other side has nothing more either. */
  finish(): void;
}

/** Bytes that came and wait to be understood. */
const INBOUND_MARK = 64 * 1024;
/** Nothing is pulled ahead of its time: what waits here can no longer be reordered or dropped. */
const OUTBOUND_MARK = 1;

export function createPacketDuplex(source: PacketSource): PacketDuplex {
  let hungry = false;
  let finished = false;
  let take: ((bytes: Uint8Array, lender: Duplex) => Loan) | undefined;

  const fill = () => {
    while (hungry && !finished && !stream.destroyed) {
      if (take !== undefined && stream.isPaused()) return;
      const bytes = source.pull();
      if (bytes === undefined) return;
      if (take === undefined) {
        source.kept();
        hungry = stream.push(bytes);
        continue;
      }
      // Another stream may pull while the other side of a paused one still writes.
      if (take(bytes, stream) !== 'done') source.kept();
    }
  };
  const finish = () => {
    if (finished) return;
    finished = true;
    stream.push(null);
  };

  const duplex = new Duplex({
    allowHalfOpen: true,
    readableHighWaterMark: OUTBOUND_MARK,
    writableHighWaterMark: INBOUND_MARK,
    read: () => {
      hungry = true;
      fill();
    },
    write: (chunk: Buffer, _encoding, done) => {
      try {
        source.deliver(chunk);
        done();
      } catch (error) {
        done(asGateError(error, 'reading packets from a peer'));
      }
    },
    final: (done) => {
      finish();
      done();
    },
  });
  const stream = Object.assign(duplex, {
    writesThrough: true as const,
    lend: (taker: (bytes: Uint8Array, lender: Duplex) => Loan) => {
      take = taker;
    },
  });
  // Nothing is pushed while it lends, so Node does not ask again by itself.
  stream.on('resume', fill);
  // The link learns of every end through the relay.
  stream.on('error', () => {});
  return { stream, wake: fill, finish };
}

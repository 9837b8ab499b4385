/**
 * Makes the packets of one link look like a stream, so that the relay can join them to an I2P stream like any other:
 * reading pulls what is to be sent, writing hands over what arrived.
 */
import { Duplex } from 'node:stream';
import { asGateError } from '../../kit/errors.ts';

export interface PacketSource {
  /** The next bytes to be sent, whole packets; undefined while there are none. */
  pull(): Buffer | undefined;
  /** Takes what arrived, in pieces as they came. @throws GateError to close the stream */
  deliver(bytes: Buffer): void;
}

export interface PacketDuplex {
  readonly stream: Duplex;
  /** There is something to pull again. */
  wake(): void;
  /** Sends nothing more, and ends when the other side has nothing more either. */
  finish(): void;
}

/** Bytes that came and wait to be understood. */
const INBOUND_MARK = 64 * 1024;
/** Nothing is pulled ahead of its time: what waits here can no longer be reordered or dropped. */
const OUTBOUND_MARK = 1;

export function packetDuplex(source: PacketSource): PacketDuplex {
  let hungry = false;
  let finished = false;

  const fill = () => {
    while (hungry && !finished && !stream.destroyed) {
      const bytes = source.pull();
      if (bytes === undefined) return;
      hungry = stream.push(bytes);
    }
  };
  const finish = () => {
    if (finished) return;
    finished = true;
    stream.push(null);
  };

  const stream = new Duplex({
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
  // The link learns of every end through the relay.
  stream.on('error', () => {});
  return { stream, wake: fill, finish };
}

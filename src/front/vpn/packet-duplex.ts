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

const HIGH_WATER_MARK = 64 * 1024;

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
    readableHighWaterMark: HIGH_WATER_MARK,
    writableHighWaterMark: HIGH_WATER_MARK,
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

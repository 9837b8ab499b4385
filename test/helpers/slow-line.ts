/**
 * A stream over a slow line, in the time of a fake clock: as fast as it is said to be and no faster, and behind it a
 * router that swallows whatever it is given, as I2P's do. Knows no packets.
 */
import { Duplex } from 'node:stream';
import type { Clock } from '../../src/kit/clock.ts';

export interface LineShape {
  readonly bytesPerMs: number;
  /** One way. Milliseconds. */
  readonly latencyMs: number;
  /** Bytes that each direction takes before a writer has to wait. */
  readonly swallows: number;
}

/** Bytes that arrive at one time. */
const PIECE = 1_500;

/** @returns both ends; the shape may be changed while bytes are under way */
export function slowLine(clock: Clock, shape: () => LineShape): readonly [Duplex, Duplex] {
  const one = new SlowEnd(clock, shape);
  const other = new SlowEnd(clock, shape);
  one.other = other;
  other.other = one;
  return [one, other];
}

class SlowEnd extends Duplex {
  other: SlowEnd | undefined;
  readonly #clock: Clock;
  readonly #shape: () => LineShape;
  readonly #pieces: Array<{ readonly bytes: Buffer; readonly at: number }> = [];
  #bytes = 0;
  #free = 0;
  #waiting: (() => void) | undefined;
  #isTimed = false;

  constructor(clock: Clock, shape: () => LineShape) {
    // A turn of the event loop takes no virtual time, so nothing here may wait for one.
    super({ allowHalfOpen: true, highWaterMark: 64 * 1024 * 1024 });
    this.#clock = clock;
    this.#shape = shape;
    this.on('error', () => {});
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    const { bytesPerMs, latencyMs, swallows } = this.#shape();
    const now = this.#clock.now();
    for (let from = 0; from < chunk.length; from += PIECE) {
      const bytes = Buffer.from(chunk.subarray(from, from + PIECE));
      this.#free = Math.max(this.#free, now) + bytes.length / bytesPerMs;
      this.#pieces.push({ bytes, at: this.#free + latencyMs });
    }
    this.#bytes += chunk.length;
    this.#carry();
    if (this.#bytes > swallows) this.#waiting = done;
    else done();
  }

  override _final(done: () => void): void {
    this.other?.push(null);
    done();
  }

  #carry(): void {
    const [first] = this.#pieces;
    if (this.#isTimed || first === undefined) return;
    this.#isTimed = true;
    this.#clock.after(first.at - this.#clock.now(), () => {
      this.#isTimed = false;
      this.#arrive();
      this.#carry();
    });
  }

  #arrive(): void {
    const now = this.#clock.now();
    for (let first = this.#pieces[0]; first !== undefined && first.at <= now; first = this.#pieces[0]) {
      this.#pieces.shift();
      this.#bytes -= first.bytes.length;
      if (this.other?.destroyed === false && !this.other.readableEnded) this.other.push(first.bytes);
    }
    if (this.#waiting === undefined || this.#bytes > this.#shape().swallows) return;
    const done = this.#waiting;
    this.#waiting = undefined;
    done();
  }
}

/**
 * Two connected Duplexes that behave like the ends of one TCP connection: half-open allowed, back-pressure, an end of file
 * or a reset when the other end dies. In the way of the bytes stand what tests want there: sizes of pieces, and delay.
 */
import { Duplex } from 'node:stream';
import type { Clock } from '../../src/kit/clock.ts';

export interface PairOptions {
  /** Sizes into which written bytes are cut, used in turn and from the start again; whole writes where absent. */
  readonly pieces?: readonly number[];
  /** How long each piece is under way; needs a clock. */
  readonly delay?: { readonly clock: Clock; readonly ms: number };
  /** Of each end and each direction, in bytes. */
  readonly highWaterMark?: number;
}

export interface Pair {
  readonly left: Duplex;
  readonly right: Duplex;
  /** Ends one side as a dying process does: the other reads an end of file, or, with `error`, a reset. */
  kill(side: 'left' | 'right', error?: Error): void;
}

export function duplexPair(options: PairOptions = {}): Pair {
  const left = new End(options);
  const right = new End(options);
  left.connect(right);
  right.connect(left);
  const ends = { left, right };
  return { ...ends, kill: (side, error) => void ends[side].destroy(error) };
}

class End extends Duplex {
  readonly #options: PairOptions;
  #other: End | undefined;
  /** Tells the writer on the other side that this one wants more. */
  #wanted: (() => void) | undefined;
  #piece = 0;
  #endOfFile = false;

  constructor(options: PairOptions) {
    super({
      allowHalfOpen: true,
      ...(options.highWaterMark === undefined ? {} : { highWaterMark: options.highWaterMark }),
    });
    this.#options = options;
    // A stream that dies between two owners must not take the test down; whoever reads it still sees the error.
    this.on('error', () => {});
  }

  connect(other: End): void {
    this.#other = other;
  }

  override _read(): void {
    const wanted = this.#wanted;
    this.#wanted = undefined;
    wanted?.();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#carry(chunk, 0, done);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#later(() => {
      this.#other?.receive(null, () => {});
      done();
    });
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    const other = this.#other;
    this.#other = undefined;
    const wanted = this.#wanted;
    this.#wanted = undefined;
    wanted?.();
    if (other !== undefined) this.#later(() => other.lose(error !== null));
    done(error);
  }

  /** Takes one piece from the other side, or its end of file. */
  receive(piece: Buffer | null, wanted: () => void): void {
    if (this.destroyed || this.#endOfFile) {
      wanted();
      return;
    }
    this.#endOfFile = piece === null;
    if (this.push(piece)) wanted();
    else if (piece !== null) this.#wanted = wanted;
  }

  /** The other side is gone: nothing can be written any more. */
  lose(reset: boolean): void {
    if (this.destroyed) return;
    this.#other = undefined;
    if (reset) this.destroy(systemError('ECONNRESET'));
    else this.receive(null, () => {});
  }

  #carry(chunk: Buffer, from: number, done: (error?: Error | null) => void): void {
    const other = this.#other;
    if (from >= chunk.length) {
      done();
      return;
    }
    if (other === undefined) {
      done(systemError('EPIPE'));
      return;
    }
    const to = Math.min(chunk.length, from + this.#pieceSize(chunk.length));
    // What is under way arrives even when this side dies meanwhile.
    this.#later(() => other.receive(Buffer.from(chunk.subarray(from, to)), () => this.#carry(chunk, to, done)));
  }

  #pieceSize(whole: number): number {
    const sizes = this.#options.pieces;
    if (sizes === undefined || sizes.length === 0) return whole;
    const size = sizes[this.#piece % sizes.length] ?? whole;
    this.#piece += 1;
    return Math.max(1, size);
  }

  #later(run: () => void): void {
    const { delay } = this.#options;
    if (delay === undefined) setImmediate(run);
    else delay.clock.after(delay.ms, run);
  }
}

function systemError(code: 'EPIPE' | 'ECONNRESET'): Error {
  return Object.assign(new Error(`the other side is gone (${code})`), { code });
}

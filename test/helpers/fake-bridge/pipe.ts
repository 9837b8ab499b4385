/**
 * One direction of a fake I2P stream: takes what one connection reads and gives it to the other, as fast as the network is
 * said to be. Swallows far more than a socket would, as routers do.
 */
import type { Clock, Timer } from '../../../src/kit/clock.ts';
import type { Connection } from './connection.ts';

export interface Shape {
  /** One way. */
  readonly latencyMs: number;
  readonly bytesPerSecond: number;
  /** Share of the pieces that get lost, from 0 to below 1. The stream repeats them, and all behind them waits. */
  readonly loss: number;
}

export interface PipeOptions {
  readonly clock: Clock;
  readonly shape: () => Shape;
  readonly stalled: () => boolean;
  /** From 0 to below 1, for losses. */
  readonly draw: () => number;
  /** Bytes held before the source is no longer read. */
  readonly swallows: number;
}

interface Piece {
  readonly bytes: Buffer;
  readonly at: number;
}

/** A slow direction carries small pieces, so that its rate is even. */
const PIECES_PER_SECOND = 20;
const SMALLEST_PIECE = 64;
/** What is lost is missed after a round trip, or this where that is shorter, and comes then. */
const SHORTEST_REPEAT_MS = 100;

export class Pipe {
  readonly #from: Connection;
  readonly #options: PipeOptions;
  #to: Connection | undefined;
  #pieces: Piece[] = [];
  #bytes = 0;
  #free = 0;
  #timer: Timer | undefined;
  #whenEmpty: (() => void) | undefined;
  #over = false;
  #pumping = false;
  /** Goes into one segment with the first piece. */
  #head: Buffer = Buffer.alloc(0);

  constructor(from: Connection, options: PipeOptions) {
    this.#from = from;
    this.#options = options;
  }

  /** Bytes begin to arrive at `to`. */
  open(to: Connection): void {
    this.#to = to;
    this.pump();
  }

  /** Bytes to be sent in one segment with the first piece, or by `flushHead`. */
  set head(bytes: Buffer) {
    this.#head = bytes;
  }

  flushHead(): void {
    const head = this.#takeHead();
    if (head.length > 0 && !this.#over) this.#to?.write(head);
  }

  push(chunk: Buffer): void {
    if (this.#over) return;
    const { latencyMs, bytesPerSecond, loss } = this.#options.shape();
    const now = this.#options.clock.now();
    const repeatMs = Math.max(2 * latencyMs, SHORTEST_REPEAT_MS);
    const size = Number.isFinite(bytesPerSecond)
      ? Math.max(SMALLEST_PIECE, Math.ceil(bytesPerSecond / PIECES_PER_SECOND))
      : chunk.length;
    for (let from = 0; from < chunk.length; from += size) {
      const bytes = chunk.subarray(from, from + size);
      this.#free = Math.max(this.#free, now) + (bytes.length / bytesPerSecond) * 1000;
      let at = this.#free + latencyMs;
      while (this.#options.draw() < loss) at += repeatMs;
      this.#pieces.push({ bytes, at });
    }
    this.#bytes += chunk.length;
    if (this.#bytes > this.#options.swallows) this.#from.socket.pause();
    this.pump();
  }

  /** Runs `then` when all that was pushed has been handed over. */
  finish(then: () => void): void {
    this.#whenEmpty = then;
    // The end travels as long as the bytes before it.
    const at = Math.max(this.#free, this.#options.clock.now()) + this.#options.shape().latencyMs;
    this.#pieces.push({ bytes: Buffer.alloc(0), at });
    this.pump();
  }

  /** Loses what it holds and carries nothing more. */
  drop(): void {
    this.#over = true;
    this.#timer?.cancel();
    this.#pieces = [];
    this.#bytes = 0;
    this.#whenEmpty = undefined;
  }

  pump(): void {
    if (this.#pumping || this.#over || this.#to === undefined || this.#options.stalled()) return;
    this.#pumping = true;
    const emptied = this.#move(this.#to);
    this.#pumping = false;
    if (this.#bytes < this.#options.swallows / 2 && this.#from.socket.isPaused()) this.#from.socket.resume();
    if (!emptied) return;
    this.flushHead();
    const then = this.#whenEmpty;
    if (then === undefined) return;
    this.#over = true;
    then();
  }

  /** @returns whether it is empty and its end was asked for */
  #move(to: Connection): boolean {
    const { clock } = this.#options;
    let moved = 0;
    for (const piece of this.#pieces) {
      if (to.socket.writableNeedDrain) break;
      const wait = piece.at - clock.now();
      if (wait > 0) {
        this.#timer?.cancel();
        this.#timer = clock.after(wait, () => this.pump());
        break;
      }
      moved += 1;
      this.#bytes -= piece.bytes.length;
      if (piece.bytes.length === 0) continue;
      const head = this.#takeHead();
      if (!to.write(head.length > 0 ? Buffer.concat([head, piece.bytes]) : piece.bytes)) break;
    }
    this.#pieces.splice(0, moved);
    return this.#pieces.length === 0 && this.#whenEmpty !== undefined;
  }

  #takeHead(): Buffer {
    const head = this.#head;
    this.#head = Buffer.alloc(0);
    return head;
  }
}

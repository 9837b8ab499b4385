/**
 * Memory that sockets read into. All of them share one small buffer, of which copies are handed on; one that fills it gets a
 * large buffer to itself for as long as the flood lasts. So many idle sockets cost nothing, and a fast one makes no garbage.
 */
const SMALL = 64 * 1024;
const LARGE = 256 * 1024;
/** Large buffers kept for the next flood: more at one time are allowed, and left to the garbage collector. */
const KEPT = 16;

export class ReadBuffers {
  readonly small: Buffer = Buffer.allocUnsafeSlow(SMALL);
  readonly #spare: Buffer[] = [];

  /** A large one. */
  borrow(): Buffer {
    return this.#spare.pop() ?? Buffer.allocUnsafeSlow(LARGE);
  }

  giveBack(buffer: Buffer): void {
    if (this.#spare.length < KEPT) this.#spare.push(buffer);
  }
}

/**
 * Memory that sockets read into. All of them share one small buffer; one that fills it gets a large buffer to itself for as
 * long as the flood lasts. So many idle sockets cost nothing, and a fast one makes no garbage: memory of its own for each
 * read would have V8 mark its whole heap several times a second.
 */
const SMALL = 64 * 1024;
const LARGE = 256 * 1024;
/** Less than this is copied before it is lent, so that whoever keeps a few bytes keeps no whole buffer. */
const COPIED = 4 * 1024;
/** Large buffers kept for the next flood: more at one time are allowed, and left to the garbage collector. */
const KEPT = 16;

export class ReadBuffers {
  #small: Buffer = Buffer.allocUnsafeSlow(SMALL);
  readonly #spare: Buffer[] = [];

  /** Every socket reads into this one that has no large one. */
  get small(): Buffer {
    return this.#small;
  }

  /**
   * @param bytes read into the small one
   * @returns the same as it may be lent: good until the next read, and for good after `leave`
   */
  lendable(bytes: Buffer): Buffer {
    return bytes.length < COPIED ? Buffer.from(bytes) : bytes;
  }

  /** Leaves `bytes`, as `lendable` gave them, to whoever keeps them: nobody reads over them any more. */
  leave(bytes: Buffer): void {
    if (bytes.buffer === this.#small.buffer) this.#small = Buffer.allocUnsafeSlow(SMALL);
  }

  /** A large one. */
  borrow(): Buffer {
    return this.#spare.pop() ?? Buffer.allocUnsafeSlow(LARGE);
  }

  giveBack(buffer: Buffer): void {
    if (this.#spare.length < KEPT) this.#spare.push(buffer);
  }
}

/**
 * Blocks of memory that are used again. Buffers of this size made and dropped by the thousand are work for the garbage
 * collector, on all cores; a few of them going around are none.
 */

/** A copy of some bytes; `bytes` may have room behind them. */
export interface Block {
  readonly bytes: Buffer;
  readonly length: number;
}

/**
 * Node cuts small buffers from a pool of its own, up to 64 KiB since Node 24, and all of that lives as long as one of them:
 * worth it only for what is really small. Bytes.
 */
const SMALL = 1024;

export class Blocks {
  readonly #size: number;
  readonly #most: number;
  readonly #spare: Buffer[] = [];

  /**
   * @param size of a block, bytes
   * @param most blocks that are kept while nobody needs them
   */
  constructor(size: number, most: number) {
    this.#size = size;
    this.#most = most;
  }

  /** Bytes that would leave most of a block empty, or do not fit into one, get memory of their own. */
  copy(bytes: Uint8Array): Block {
    const { length } = bytes;
    if (length < SMALL) return { bytes: Buffer.from(bytes), length };
    const fitsWell = length > this.#size / 2 && length <= this.#size;
    const block = (fitsWell ? this.#spare.pop() : undefined) ?? Buffer.allocUnsafeSlow(fitsWell ? this.#size : length);
    block.set(bytes);
    return { bytes: block, length };
  }

  /** Nobody looks at it any more. */
  giveBack({ bytes }: Block): void {
    if (bytes.length === this.#size && this.#spare.length < this.#most) this.#spare.push(bytes);
  }
}

/**
 * A queue that never refuses and never grows: bounded by items, bytes and age, it drops the oldest to make room. Its
 * owner counts what it lost.
 */

export interface QueueLimits {
  readonly items: number;
  readonly bytes: number;
  readonly ageMs: number;
}

interface Entry {
  readonly bytes: Buffer;
  readonly at: number;
}

/** Told about every item that is dropped for want of room or for its age; not about those of a queue that is cleared. */
export type OnDrop = (bytes: Buffer, cause: 'overflow' | 'age') => void;

export class DropOldestQueue {
  readonly #limits: QueueLimits;
  readonly #onDrop: OnDrop;
  /** A place is emptied when its entry is taken, so that its bytes can go. */
  #entries: Array<Entry | undefined> = [];
  /** Index of the oldest entry: shifting an array is linear, moving an index is not. */
  #head = 0;
  #bytes = 0;

  constructor(limits: QueueLimits, onDrop: OnDrop) {
    this.#limits = limits;
    this.#onDrop = onDrop;
  }

  get length(): number {
    return this.#entries.length - this.#head;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** @param now monotonic milliseconds, never less than at an earlier call */
  push(bytes: Buffer, now: number): void {
    this.expire(now);
    if (bytes.length > this.#limits.bytes) {
      this.#onDrop(bytes, 'overflow');
      return;
    }
    while (this.length > 0 && (this.length >= this.#limits.items || this.#bytes + bytes.length > this.#limits.bytes)) {
      this.#drop('overflow');
    }
    this.#entries.push({ bytes, at: now });
    this.#bytes += bytes.length;
  }

  shift(now: number): Buffer | undefined {
    this.expire(now);
    return this.#take();
  }

  /** Drops what is too old. Called by itself on every access; call it also by timer while nobody reads. */
  expire(now: number): void {
    let oldest = this.#entries[this.#head];
    while (oldest !== undefined && now - oldest.at > this.#limits.ageMs) {
      this.#drop('age');
      oldest = this.#entries[this.#head];
    }
  }

  clear(): void {
    this.#entries = [];
    this.#head = 0;
    this.#bytes = 0;
  }

  #drop(cause: 'overflow' | 'age'): void {
    const bytes = this.#take();
    if (bytes !== undefined) this.#onDrop(bytes, cause);
  }

  #take(): Buffer | undefined {
    const entry = this.#entries[this.#head];
    if (entry === undefined) return undefined;
    this.#entries[this.#head] = undefined;
    this.#head += 1;
    this.#bytes -= entry.bytes.length;
    if (this.#head === this.#entries.length) {
      this.#entries = [];
      this.#head = 0;
    } else if (this.#head >= 1024) {
      this.#entries = this.#entries.slice(this.#head);
      this.#head = 0;
    }
    return entry.bytes;
  }
}

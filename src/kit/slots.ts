/** Slots that are taken and given back, and never more than there are: for all together, or for each of some. */

/** They may be a part of a larger number of slots: whoever takes one takes one of those too. */
export class Slots {
  readonly #most: number;
  readonly #shared: Slots | undefined;
  #taken = 0;

  constructor(most: number, shared?: Slots) {
    this.#most = most;
    this.#shared = shared;
  }

  get taken(): number {
    return this.#taken;
  }

  /** @returns how to give it back, which is idempotent; undefined when there is none */
  take(): (() => void) | undefined {
    if (this.#taken >= this.#most) return undefined;
    const giveBackShared = this.#shared?.take();
    if (this.#shared !== undefined && giveBackShared === undefined) return undefined;
    this.#taken += 1;
    let isGivenBack = false;
    return () => {
      if (isGivenBack) return;
      isGivenBack = true;
      this.#taken -= 1;
      giveBackShared?.();
    };
  }
}

/** The same number of slots for each key; one that has none taken is not remembered. */
export class SlotsPerKey<Key> {
  readonly #most: number;
  readonly #slots = new Map<Key, Slots>();

  constructor(most: number) {
    this.#most = most;
  }

  /** Keys that are remembered. */
  get holders(): number {
    return this.#slots.size;
  }

  /** @returns how to give it back, which is idempotent; undefined when the key has all of its own */
  take(key: Key): (() => void) | undefined {
    const slots = this.#slots.get(key) ?? new Slots(this.#most);
    const giveBack = slots.take();
    if (giveBack === undefined) return undefined;
    this.#slots.set(key, slots);
    return () => {
      giveBack();
      if (slots.taken === 0 && this.#slots.get(key) === slots) this.#slots.delete(key);
    };
  }
}

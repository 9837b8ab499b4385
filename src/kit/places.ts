/** Numbers of places that are taken and given back, and never more than there are: for all together, or for each of some. */

/** They may stand inside a larger number of them: who takes one takes one of those too. */
export class Places {
  readonly #most: number;
  readonly #around: Places | undefined;
  #taken = 0;

  constructor(most: number, around?: Places) {
    this.#most = most;
    this.#around = around;
  }

  get taken(): number {
    return this.#taken;
  }

  /** @returns how to give it back, which is idempotent; undefined when there is none */
  take(): (() => void) | undefined {
    if (this.#taken >= this.#most) return undefined;
    const giveBackAround = this.#around?.take();
    if (this.#around !== undefined && giveBackAround === undefined) return undefined;
    this.#taken += 1;
    let isGivenBack = false;
    return () => {
      if (isGivenBack) return;
      isGivenBack = true;
      this.#taken -= 1;
      giveBackAround?.();
    };
  }
}

/** The same number of places for each; whoever has none taken is not remembered. */
export class PlacesForEach<Who> {
  readonly #most: number;
  readonly #places = new Map<Who, Places>();

  constructor(most: number) {
    this.#most = most;
  }

  /** Who are remembered. */
  get holders(): number {
    return this.#places.size;
  }

  /** @returns how to give it back, which is idempotent; undefined when `who` has all of its own */
  take(who: Who): (() => void) | undefined {
    const places = this.#places.get(who) ?? new Places(this.#most);
    const giveBack = places.take();
    if (giveBack === undefined) return undefined;
    this.#places.set(who, places);
    return () => {
      giveBack();
      if (places.taken === 0 && this.#places.get(who) === places) this.#places.delete(who);
    };
  }
}

/** A number of places, which may stand inside a larger number of them: who takes one takes one of those too. */
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

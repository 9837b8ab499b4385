/**
 * A number of places for everybody together, of which nobody gets so many that others find none: whoever holds as many as
 * are free gets no more. So one alone may hold half of them, two a third each, and there is room for who comes next.
 */
import { createTally, type Tally } from './tally.ts';

export const SHARE_COUNTERS = [
  /** There was no place. */
  'refusedFull',
  /** There was one, and who wanted it held as many as were left for all others. */
  'refusedShare',
] as const;

export interface SharesSnapshot {
  readonly most: number;
  readonly taken: number;
  readonly counts: Readonly<Record<(typeof SHARE_COUNTERS)[number], number>>;
}

export class Shares {
  readonly #most: number;
  readonly #heldBy = new Map<string, number>();
  readonly #counts: Tally<(typeof SHARE_COUNTERS)[number]> = createTally(SHARE_COUNTERS);
  #taken = 0;

  constructor(most: number) {
    this.#most = most;
  }

  /**
   * @param who equal texts for who shares one share
   * @returns how to give it back, which is idempotent; undefined when it is refused
   */
  take(who: string): (() => void) | undefined {
    const free = this.#most - this.#taken;
    const held = this.#heldBy.get(who) ?? 0;
    if (held >= free) {
      this.#counts.add(free === 0 ? 'refusedFull' : 'refusedShare');
      return undefined;
    }
    this.#taken += 1;
    this.#heldBy.set(who, held + 1);
    let isGivenBack = false;
    return () => {
      if (isGivenBack) return;
      isGivenBack = true;
      this.#taken -= 1;
      const left = (this.#heldBy.get(who) ?? 1) - 1;
      if (left > 0) this.#heldBy.set(who, left);
      else this.#heldBy.delete(who);
    };
  }

  snapshot(): SharesSnapshot {
    return { most: this.#most, taken: this.#taken, counts: this.#counts.snapshot() };
  }
}

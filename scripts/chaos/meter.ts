/** What one kind of traffic goes through: for how long none came, what never came back, and what came back wrong. */

export class Meter {
  readonly #now: () => number;
  /** When those were sent that have not come back, by their numbers. */
  readonly #missing = new Map<number, number>();
  #heardAt: number | undefined;
  #longest = 0;
  #wrong: string | undefined;

  /** @param now milliseconds of a clock that only goes on */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** From now on something else is looked at. What is under way belongs to what was before. */
  begin(): void {
    this.#missing.clear();
    this.#longest = 0;
    this.#wrong = undefined;
  }

  sent(number: number): void {
    this.#missing.set(number, this.#now());
  }

  /** @param number of what has come back; nothing for bytes of a stream */
  heard(number?: number): void {
    const now = this.#now();
    this.#longest = Math.max(this.#longest, now - (this.#heardAt ?? now));
    this.#heardAt = now;
    if (number !== undefined) this.#missing.delete(number);
  }

  /** What came is not what was sent. The first time is kept. */
  isWrong(why: string): void {
    this.#wrong ??= why;
  }

  get wrong(): string | undefined {
    return this.#wrong;
  }

  heardSince(at: number): boolean {
    return this.#heardAt !== undefined && this.#heardAt > at;
  }

  /**
   * The longest time without anything since the beginning, in milliseconds.
   *
   * @param repairedAt undefined is returned when nothing came any more from then on
   */
  away(repairedAt: number): number | undefined {
    return this.heardSince(repairedAt) ? this.#longest : undefined;
  }

  /** How many of those that were sent up to then have not come back. */
  lost(until: number): number {
    return [...this.#missing.values()].filter((at) => at <= until).length;
  }
}

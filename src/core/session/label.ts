/**
 * A random number that tells peers of our kind on which build of its session a gateway speaks. All streams end with the
 * session that they were made on, but no router tells that to their other ends: another label does.
 */

/** What it fits into: the flow label of an IPv6 packet (RFC 8200, section 3). */
const LABELS = 2 ** 20;

export class SessionLabel {
  readonly #random: () => number;
  #build: number | undefined;
  #label: number;

  /** @param random uniform in [0, 1) */
  constructor(random: () => number) {
    this.#random = random;
    this.#label = this.#draw();
  }

  /** @param build since when the session stands; undefined while there is none, and so nobody to tell */
  of(build: number | undefined): number {
    if (build !== undefined && build !== this.#build) {
      if (this.#build !== undefined) this.#label = this.#draw();
      this.#build = build;
    }
    return this.#label;
  }

  #draw(): number {
    return Math.floor(this.#random() * LABELS);
  }
}

/**
 * Counts the requests by which clients gave away that they ask name servers, so that the operator is told while it goes
 * on. Remembers how many and when, never what was asked for.
 */

export interface DnsLeaks {
  /** Since the first of them; a quiet hour ends the series. */
  readonly count: number;
  /** On the clock of whoever noted them, milliseconds. */
  readonly first: number;
  readonly latest: number;
}

/** Somebody has mended the program, or does not use it any more. */
const QUIET_MS = 60 * 60_000;

export class DnsLeakWatch {
  #leaks: DnsLeaks | undefined;

  note(now: number): void {
    const series = this.series(now) ?? { count: 0, first: now };
    this.#leaks = { count: series.count + 1, first: series.first, latest: now };
  }

  /** The series that is going on; undefined when there is none. */
  series(now: number): DnsLeaks | undefined {
    return this.#leaks === undefined || now - this.#leaks.latest >= QUIET_MS ? undefined : this.#leaks;
  }
}

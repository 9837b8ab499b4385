/** A clock that stands still until a test advances it. Knows no sockets: what these carry needs `until` as well. */
import { setImmediate as turn } from 'node:timers/promises';
import type { Clock, Timer } from '../../src/kit/clock.ts';

interface Due {
  readonly at: number;
  /** Timers due at the same moment run in the order in which they were set. */
  readonly order: number;
  readonly run: () => void;
}

/** A step of the code under test may itself need a turn of the event loop, so one is not enough. */
const TURNS = 3;

export class FakeClock implements Clock {
  readonly #due = new Set<Due>();
  #now = 0;
  #order = 0;

  now(): number {
    return this.#now;
  }

  after(ms: number, run: () => void): Timer {
    const due: Due = { at: this.#now + Math.max(0, ms), order: this.#order++, run };
    this.#due.add(due);
    return { cancel: () => void this.#due.delete(due) };
  }

  /** Timers that wait: zero after everything was stopped. */
  get pending(): number {
    return this.#due.size;
  }

  /** Lets promises settle, then runs what falls due within `ms`, in order, with the same pause after each timer. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    await this.settle();
    for (let next = this.#next(end); next !== undefined; next = this.#next(end)) {
      this.#now = Math.max(this.#now, next.at);
      this.#due.delete(next);
      next.run();
      await this.settle();
    }
    this.#now = end;
  }

  /** As when the process is stopped: time goes on and nothing runs, and what fell due meanwhile waits for `advance`. */
  stand(ms: number): void {
    this.#now += ms;
  }

  /** Lets promises settle without time going on. */
  async settle(): Promise<void> {
    for (let count = 0; count < TURNS; count += 1) await turn();
  }

  #next(end: number): Due | undefined {
    let first: Due | undefined;
    for (const due of this.#due) {
      if (due.at > end) continue;
      if (first === undefined || due.at < first.at || (due.at === first.at && due.order < first.order)) first = due;
    }
    return first;
  }
}

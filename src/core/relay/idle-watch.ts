/** Tells which of many have been silent for too long, with one timer for all: one for each would take 350 bytes more. */
import type { Clock, Timer } from '../../kit/clock.ts';

export interface Silent {
  /** How long it may be silent. Milliseconds. */
  readonly idleMs: number;
  /** When it was last heard, on the clock of the watch. */
  readonly lastHeard: number;
  /** It has been silent for too long, and is watched no more. */
  onIdle(): void;
}

/** All are looked at in one go, so that is not done too often: whoever has been silent is told up to so much later. */
const BETWEEN_LOOKS_MS = 1_000;
/** Timers of Node count whole milliseconds from when the event loop last looked at the clock, and may come so much early. */
const EARLY_MS = 2;

export class IdleWatch {
  readonly #clock: Clock;
  readonly #watched = new Set<Silent>();
  #timer: Timer | undefined;
  #looksAt = Number.POSITIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(silent: Silent): void {
    this.#watched.add(silent);
    this.#lookAt(silent.lastHeard + silent.idleMs);
  }

  delete(silent: Silent): void {
    this.#watched.delete(silent);
    if (this.#watched.size === 0) this.#rest();
  }

  #look(): void {
    this.#rest();
    const dueBy = this.#clock.now() + EARLY_MS;
    let next = Number.POSITIVE_INFINITY;
    for (const silent of this.#watched) {
      const end = silent.lastHeard + silent.idleMs;
      if (end > dueBy) next = Math.min(next, end);
      else {
        this.#watched.delete(silent);
        silent.onIdle();
      }
    }
    if (next < Number.POSITIVE_INFINITY) this.#lookAt(Math.max(next, dueBy + BETWEEN_LOOKS_MS));
  }

  #lookAt(time: number): void {
    if (time >= this.#looksAt) return;
    this.#rest();
    this.#looksAt = time;
    this.#timer = this.#clock.after(Math.max(0, time - this.#clock.now()), () => this.#look());
  }

  #rest(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#looksAt = Number.POSITIVE_INFINITY;
  }
}

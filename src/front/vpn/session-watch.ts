/**
 * Looks again and again whether the session that all links share has to be built anew (rebuild-policy.ts), and has it
 * done. Knows no stream.
 */
import type { Clock, Timer } from '../../kit/clock.ts';
import { counted } from '../../kit/counted.ts';
import { GateError } from '../../kit/errors.ts';
import type { Logger } from '../../kit/log.ts';
import type { LinkReach } from './link-report.ts';
import { LONGEST_PAUSE_MS, peersToWinBack } from './rebuild-policy.ts';

/** The gateway's session as the links see it. */
export interface SharedSession {
  /** Since when this build of it stands; undefined while there is none. */
  readySince(): number | undefined;
  /** Calls `tell` whenever a build of it comes to stand, until what it returns is called. */
  onReady(tell: () => void): () => void;
  /** Bytes that have come so far on its streams that belong to no link. */
  receivedElsewhere(): number;
  rebuild(why: GateError): void;
}

export interface SessionWatchParts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly session: Omit<SharedSession, 'onReady'>;
  links(): Iterable<LinkReach>;
}

const LOOK_EVERY_MS = 5_000;

export class SessionWatch {
  readonly #parts: SessionWatchParts;
  #timer: Timer | undefined;
  #received = 0;
  #heardElsewhereAt: number | undefined;
  #lastRebuildAt: number | undefined;
  #rebuilds = 0;
  #rebuildsInARow = 0;

  constructor(parts: SessionWatchParts) {
    this.#parts = parts;
  }

  /** Sessions that were built anew for the sake of a peer, so far. */
  get rebuilds(): number {
    return this.#rebuilds;
  }

  start(): void {
    this.#timer = this.#parts.clock.after(LOOK_EVERY_MS, () => {
      this.#look();
      this.start();
    });
  }

  stop(): void {
    this.#timer?.cancel();
  }

  #look(): void {
    const { clock, log, session, links } = this.#parts;
    const now = clock.now();
    const received = session.receivedElsewhere();
    if (received !== this.#received) this.#heardElsewhereAt = now;
    this.#received = received;
    const readySince = session.readySince();
    if (readySince === undefined) return;
    const isFresh = this.#lastRebuildAt === undefined || now - this.#lastRebuildAt >= 2 * LONGEST_PAUSE_MS;
    const lost = peersToWinBack({
      now,
      readySince,
      links: links(),
      heardElsewhereAt: this.#heardElsewhereAt,
      lastRebuildAt: this.#lastRebuildAt,
      rebuilds: isFresh ? 0 : this.#rebuildsInARow,
    });
    if (lost === 0) return;
    this.#rebuildsInARow = isFresh ? 1 : this.#rebuildsInARow + 1;
    this.#rebuilds += 1;
    this.#lastRebuildAt = now;
    log.warn(`${counted(lost, 'peer does', 'peers do')} not answer on this session; it is built anew`, {
      code: 'session.rebuilt',
      lost,
    });
    session.rebuild(
      new GateError(
        'session-lost',
        'session.rebuilt',
        'the session is built anew: a peer does not answer on the old one',
      ),
    );
  }
}

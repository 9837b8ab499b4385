/** Counts the clients that the system could not hand to a listener, and says so in the log at most once a minute. */
import type { Clock } from '../kit/clock.ts';
import type { Logger } from '../kit/log.ts';

const QUIET_MS = 60_000;

/** @returns to be called with every error; the first one is told at once, later ones with the next that is told */
export function createAcceptFailureLog(clock: Clock, log: Logger): (error: NodeJS.ErrnoException) => void {
  let untold = 0;
  let quietUntil = Number.NEGATIVE_INFINITY;
  return ({ code }) => {
    untold += 1;
    if (clock.now() < quietUntil) return;
    log.warn('could not accept connections; raise LimitNOFILE or ulimit -n if this lasts', {
      count: untold,
      errno: code,
    });
    untold = 0;
    quietUntil = clock.now() + QUIET_MS;
  };
}

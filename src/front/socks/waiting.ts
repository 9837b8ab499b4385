/** Work for a client that waits for its reply: given up when the client leaves, when it takes too long, or at a stop. */
import type { Lateness } from '../../kit/clock.ts';
import { abortError, type GateError } from '../../kit/errors.ts';
import { logDefect } from '../../kit/log.ts';
import { DENIED } from './access.ts';
import { watchDisconnect } from './disconnect.ts';
import type { ClientEnd, Serving } from './serving.ts';

export interface WaitingWork<T> {
  /** For error messages, as a gerund phrase. */
  readonly doing: string;
  readonly ms: number;
  readonly late: Lateness;
  readonly run: (limit: AbortSignal) => Promise<T>;
  /** Disposes of what came when nobody waited any more. */
  readonly discard: (result: T) => void;
}

/** @throws GateError; for what was given up, the reason of that */
export async function whileWaiting<T>({ client, environment, signal }: Serving, work: WaitingWork<T>): Promise<T> {
  const { doing, ms, late, run, discard } = work;
  const watch = watchDisconnect(client, { clock: environment.clock, ms, late }, signal);
  const limit = watch.signal;
  try {
    if (limit.aborted) throw abortError(limit, doing);
    const result = await run(limit);
    if (!limit.aborted) return result;
    discard(result);
    throw abortError(limit, doing);
  } catch (error) {
    // Why it was cancelled says more than that it was.
    throw limit.aborted ? abortError(limit, doing) : error;
  } finally {
    watch.clear();
  }
}

/**
 * Counts how the client ended for whom the work failed.
 *
 * @param end where neither the client nor the gateway ended it
 * @returns what to tell the client
 */
export function countFailure(
  { environment, signal }: Serving,
  thrown: unknown,
  doing: string,
  end: ClientEnd,
): GateError {
  const error = logDefect(environment.log, thrown, doing);
  if (signal.aborted) environment.counts.add('stopped');
  else if (error.code === DENIED) environment.counts.add('policyRefused');
  else environment.counts.add(error.kind === 'cancelled' ? 'cancelled' : end);
  return error;
}

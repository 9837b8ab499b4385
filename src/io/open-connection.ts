/** The wait for an outgoing connection: until it is there, has failed, has taken too long or is wanted no more. */
import type { Duplex } from 'node:stream';
import { startTimeLimit, type TimeLimit, type Timer } from '../kit/clock.ts';
import { abortError, type GateError } from '../kit/errors.ts';
import { leaveToOwner, type Remote, type Sockets, STREAM_MARKS } from './sockets.ts';

export interface ConnectOptions {
  readonly signal: AbortSignal;
  /** As a gerund phrase, for error messages. */
  readonly doing: string;
  readonly explain: (error: NodeJS.ErrnoException) => GateError;
  readonly limit?: TimeLimit;
}

/** @throws GateError what `explain` makes of a system error, the reason of the signal, or the error of the limit */
export function openConnection(
  sockets: Pick<Sockets, 'connect'>,
  to: Remote,
  options: ConnectOptions,
): Promise<Duplex> {
  const { signal, doing, explain, limit } = options;
  if (signal.aborted) return Promise.reject(abortError(signal, doing));
  return new Promise((resolve, reject) => {
    let giveUp: (() => void) | undefined;
    let timer: Timer | undefined;
    const onAbort = () => fail(abortError(signal, doing));
    const settle = () => {
      timer?.cancel();
      signal.removeEventListener('abort', onAbort);
    };
    const fail = (error: GateError) => {
      settle();
      giveUp?.();
      reject(error);
    };
    let settled = false;
    giveUp = sockets.connect(to, STREAM_MARKS, {
      connected: (stream) => {
        settled = true;
        settle();
        resolve(stream.on('error', leaveToOwner));
      },
      failed: (error) => {
        settled = true;
        fail(explain(error));
      },
    });
    if (settled) return;
    timer = limit && startTimeLimit(limit, fail);
    signal.addEventListener('abort', onAbort, { once: true });
  });
}

/** Lets so many pieces of work run at once; the others wait in order, those that are urgent by then first. */
import { abortError } from './errors.ts';

/** @param isUrgent asked whenever a place gets free */
export type Turnstile = <T>(work: () => Promise<T>, signal: AbortSignal, isUrgent?: () => boolean) => Promise<T>;

interface Waiter {
  readonly onTurn: () => void;
  readonly isUrgent: () => boolean;
}

/** @param places pieces of work at once, 1 or more */
export function createTurnstile(places: number): Turnstile {
  let free = places;
  const queue: Waiter[] = [];
  const enter = (signal: AbortSignal, isUrgent: () => boolean) =>
    new Promise<void>((resolve, reject) => {
      const onTurn = () => {
        signal.removeEventListener('abort', onAbort);
        resolve();
      };
      const waiter = { onTurn, isUrgent };
      const onAbort = () => {
        queue.splice(queue.indexOf(waiter), 1);
        reject(abortError(signal, 'waiting for a turn'));
      };
      if (signal.aborted) return reject(abortError(signal, 'waiting for a turn'));
      if (free > 0) {
        free -= 1;
        return resolve();
      }
      queue.push(waiter);
      signal.addEventListener('abort', onAbort, { once: true });
    });
  const leave = () => {
    const urgent = queue.findIndex(({ isUrgent }) => isUrgent());
    const [next] = queue.splice(Math.max(0, urgent), 1);
    if (next === undefined) free += 1;
    else next.onTurn();
  };
  return async (work, signal, isUrgent = () => false) => {
    await enter(signal, isUrgent);
    try {
      return await work();
    } finally {
      leave();
    }
  };
}

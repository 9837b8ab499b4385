/** Lets so many pieces of work run at once; the others wait in order. */
import { abortError } from './errors.ts';

export type Turnstile = <T>(work: () => Promise<T>, signal: AbortSignal) => Promise<T>;

/** @param places pieces of work at once, 1 or more */
export function turnstile(places: number): Turnstile {
  let free = places;
  const queue: Array<() => void> = [];
  const enter = (signal: AbortSignal) =>
    new Promise<void>((resolve, reject) => {
      const onTurn = () => {
        signal.removeEventListener('abort', onAbort);
        resolve();
      };
      const onAbort = () => {
        queue.splice(queue.indexOf(onTurn), 1);
        reject(abortError(signal, 'waiting for a turn'));
      };
      if (signal.aborted) return reject(abortError(signal, 'waiting for a turn'));
      if (free > 0) {
        free -= 1;
        return resolve();
      }
      queue.push(onTurn);
      signal.addEventListener('abort', onAbort, { once: true });
    });
  return async (work, signal) => {
    await enter(signal);
    try {
      return await work();
    } finally {
      const next = queue.shift();
      if (next === undefined) free += 1;
      else next();
    }
  };
}

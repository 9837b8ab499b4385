/** Closing the connection of a client so that the last words reach it. */
import type { Duplex } from 'node:stream';
import type { Clock } from '../../kit/clock.ts';

/** RFC 1928 section 6: closed no more than 10 seconds after a failure. */
const LINGER_MS = 10_000;

/**
 * Sends `words`, ends our side, and reads away whatever still comes: a socket closed with bytes unread answers with a
 * reset, which can overtake the words. Resolves when the client is closed, at the latest after 10 s, or when `signal`
 * aborts and the words are written.
 */
export function closeLingering(client: Duplex, words: Uint8Array, clock: Clock, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (client.destroyed) return resolve();
    const close = () => client.destroy();
    const onAbort = () => {
      if (client.writableFinished) close();
      else client.once('finish', close);
    };
    const timer = clock.after(LINGER_MS, close);
    client.once('close', () => {
      timer.cancel();
      signal.removeEventListener('abort', onAbort);
      resolve();
    });
    client.end(words);
    client.resume();
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
  });
}

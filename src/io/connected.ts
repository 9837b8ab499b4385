/** Waits for an outgoing socket, and hands it out as ports.ts promises: paused and with an `error` listener. */
import type { Socket } from 'node:net';
import { abortError, type GateError } from '../kit/errors.ts';

/**
 * @param socket just made and still connecting; destroyed when this fails
 * @throws GateError what `explain` makes of a system error, or the reason of the signal
 */
export function connected(
  socket: Socket,
  signal: AbortSignal,
  doing: string,
  explain: (error: NodeJS.ErrnoException) => GateError,
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const onAbort = () => fail(abortError(signal, doing));
    const fail = (error: GateError) => {
      signal.removeEventListener('abort', onAbort);
      socket.destroy();
      reject(error);
    };
    // Stays for the life of the socket: after `connect` its owner hears of the end through the stream itself.
    socket.on('error', (error) => fail(explain(error)));
    if (signal.aborted) return onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    socket.pause();
    socket.once('connect', () => {
      signal.removeEventListener('abort', onAbort);
      resolve(socket);
    });
  });
}

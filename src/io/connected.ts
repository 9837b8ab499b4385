/**
 * What sockets of both kinds have in common when they are handed out as ports.ts promises (paused, with an `error`
 * listener), and the wait for an outgoing one.
 */
import type { Socket } from 'node:net';
import { startTimeLimit, type TimeLimit } from '../kit/clock.ts';
import { abortError, type GateError } from '../kit/errors.ts';

/**
 * Above the 64 KiB that Node reads at once: with a mark below it every single read would stop the other side and start it
 * again.
 */
export const STREAM_MARKS = { highWaterMark: 128 * 1024 };

/**
 * The `error` listener of a socket that has an owner, who hears of the end through the stream itself: without any listener
 * the process would die of it. One for all sockets.
 */
export function leaveToOwner(): void {}

/**
 * @param socket just made and still connecting; destroyed when this fails
 * @throws GateError what `explain` makes of a system error, the reason of the signal, or the error of the limit
 */
export function connected(
  socket: Socket,
  signal: AbortSignal,
  doing: string,
  explain: (error: NodeJS.ErrnoException) => GateError,
  limit?: TimeLimit,
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const onAbort = () => fail(abortError(signal, doing));
    const fail = (error: GateError) => {
      timer?.cancel();
      signal.removeEventListener('abort', onAbort);
      socket.destroy();
      reject(error);
    };
    const onError = (error: Error) => fail(explain(error));
    const timer = limit && startTimeLimit(limit, fail);
    socket.on('error', leaveToOwner);
    socket.on('error', onError);
    if (signal.aborted) return onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    socket.pause();
    socket.once('connect', () => {
      timer?.cancel();
      signal.removeEventListener('abort', onAbort);
      // It would keep everything of this moment for the life of the socket.
      socket.off('error', onError);
      resolve(socket);
    });
  });
}

/**
 * A connection to an echo server on which every byte says where it stands: nothing of it can be lost, doubled or altered
 * without being seen.
 */
import type { Socket } from 'node:net';
import type { Reader } from './socks-client.ts';

export const ECHO_EVERY_MS = 200;
export const BLOCK = 1_000;
/** Bytes that are written in a second. */
export const ECHO_PACE = (BLOCK * 1_000) / ECHO_EVERY_MS;
const LARGEST_READ = 64 * 1024;
const PERIOD = 251;
const PATTERN = Buffer.from(Array.from({ length: LARGEST_READ + PERIOD }, (_, at) => at % PERIOD));

export class WrongBytes extends Error {}

/** What has to stand at this place of the stream, at most 64 KiB of it. */
export function pattern(from: number, length: number): Buffer {
  const start = from % PERIOD;
  return Buffer.from(PATTERN.subarray(start, start + length));
}

/** Bytes, from the beginning of the connection. */
export interface EchoProgress {
  readonly sent: number;
  readonly came: number;
}

export interface EchoEnd extends EchoProgress {
  readonly why: string;
  /** It was given up, since something else came than was sent. */
  readonly isWrong: boolean;
}

/** @returns how it ended. @param tell told of every echo; @param over aborts when it is to be given up */
export async function echoOn(
  socket: Socket,
  read: Reader,
  tell: (progress: EchoProgress) => void,
  over: AbortSignal,
): Promise<EchoEnd> {
  let [sent, arrived] = [0, 0];
  const giveUp = () => socket.destroy(new Error('given up'));
  over.addEventListener('abort', giveUp, { once: true });
  const timer = setInterval(() => {
    if (socket.connecting) return;
    socket.write(pattern(sent, BLOCK));
    sent += BLOCK;
  }, ECHO_EVERY_MS);
  try {
    for (;;) {
      const bytes = await read.some(LARGEST_READ);
      if (!bytes.equals(pattern(arrived, bytes.length))) {
        throw new WrongBytes(`a byte between ${arrived} and ${arrived + bytes.length} is wrong`);
      }
      arrived += bytes.length;
      tell({ sent, came: arrived });
    }
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { why, isWrong: error instanceof WrongBytes, sent, came: arrived };
  } finally {
    clearInterval(timer);
    over.removeEventListener('abort', giveUp);
    socket.destroy();
  }
}

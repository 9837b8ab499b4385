/**
 * When a key was last in use, kept beside its file for the next gateway that starts with it: routers hold a key for a
 * while after its session has ended. A gateway that is killed cannot say when, so the file is empty while one runs; that
 * needs no room on a disk either. It is held open: at the end the gateway may have given up the rights to open it.
 */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { asGateError } from '../kit/errors.ts';
import type { B32 } from '../wire/i2p/destination.ts';

export interface KeyUse {
  /** Milliseconds since the use of this key before ended: 0 when that is not known, infinite when there was none. */
  readonly unusedMs: number;
  /** To be called when the key is let go. */
  ended(): Promise<void>;
}

/** A link there would have us write elsewhere; opening a named pipe would wait for ever. */
const FLAGS = constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/**
 * To be called with the key locked. A note about another key, which stood in the file before, says that this one was not
 * used. Where nothing can be noted, neither this start nor the next one knows the last use.
 *
 * @throws GateError `local-io` without room to note it. The next start would then go by what was noted before, hand the key
 * to a router that still holds it, and have a session that reaches nobody; so this start is refused, which loses nothing.
 */
export async function noteUse(keyFile: string, key: B32): Promise<KeyUse> {
  const path = `${keyFile}.last-use`;
  try {
    const file = await openIfThere(path);
    if (file !== undefined) return keyUse(file, key, await takeTime(file, key));
    return keyUse(await open(path, FLAGS | constants.O_CREAT, 0o600), key, Number.POSITIVE_INFINITY);
  } catch (error) {
    const why = asGateError(error, `noting in ${path} that the key is in use`);
    if (why.code === 'system.no-room') throw why;
    return UNKNOWN;
  }
}

const UNKNOWN: KeyUse = { unusedMs: 0, ended: async () => {} };

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, FLAGS);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Reads the time of the last use, and leaves none. @returns milliseconds since then */
async function takeTime(file: FileHandle, key: B32): Promise<number> {
  try {
    const noted = (await file.readFile()).toString('latin1');
    await file.truncate(0);
    return unusedMs(noted, key, Date.now());
  } catch (error) {
    await file.close();
    throw error;
  }
}

function keyUse(file: FileHandle, key: B32, unusedFor: number): KeyUse {
  return {
    unusedMs: unusedFor,
    ended: async () => {
      // An empty file means "not known", which is true and costs the next start some seconds.
      await file.write(`${new Date().toISOString()} ${key}\n`, 0).catch(() => {});
      await file.close();
    },
  };
}

/** Whatever stands in the future was written by a clock that has been set back since. */
function unusedMs(noted: string, key: B32, now: number): number {
  // Without its end, the time may be another one, and so may the key. An older note names none.
  const [, time = '', whose = key] = /^(\S+)(?: (\S+))?\n$/.exec(noted) ?? [];
  if (whose !== key) return Number.POSITIVE_INFINITY;
  const endedAt = Date.parse(time);
  return Number.isNaN(endedAt) || endedAt > now ? 0 : now - endedAt;
}

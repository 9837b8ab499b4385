/**
 * When a key was last in use, kept beside its file for the next gateway that starts with it: routers hold a key for a
 * while after its session has ended. A gateway that is killed cannot say when, so it leaves the word that it runs. The file
 * is held open: at the end the gateway may have given up the rights to open it.
 */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';

export interface KeyUse {
  /** Milliseconds since the use before this one ended: 0 when that is not known, infinite when there was none. */
  readonly unusedMs: number;
  /** To be called when the key is let go. */
  ended(): Promise<void>;
}

const RUNNING = 'in use\n';

/** Never rejects: where nothing can be noted, the last use is not known. */
export async function noteUse(keyFile: string): Promise<KeyUse> {
  // A link there would have us write elsewhere; opening a named pipe would wait for ever.
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const file = await open(`${keyFile}.last-use`, flags, 0o600).catch(() => undefined);
  if (file === undefined) return UNKNOWN;
  try {
    const before = (await file.readFile()).toString('latin1');
    await write(file, RUNNING);
    return {
      // Empty is a file that was made just now.
      unusedMs: before === '' ? Number.POSITIVE_INFINITY : unusedMs(before, Date.now()),
      ended: async () => {
        // What stands there otherwise means "not known", which is true and costs the next start some seconds.
        await write(file, `${new Date().toISOString()}\n`).catch(() => {});
        await file.close();
      },
    };
  } catch {
    await file.close();
    return UNKNOWN;
  }
}

const UNKNOWN: KeyUse = { unusedMs: 0, ended: async () => {} };

/** Never empty in between, which would say that the key was never used. */
async function write(file: FileHandle, text: string): Promise<void> {
  await file.write(text, 0);
  await file.truncate(text.length);
}

/** Whoever stands in the future was written by a clock that has been set back since. */
function unusedMs(before: string, now: number): number {
  const endedAt = Date.parse(before.trim());
  return Number.isNaN(endedAt) || endedAt > now ? 0 : now - endedAt;
}

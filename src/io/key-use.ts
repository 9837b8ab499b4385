/**
 * When a key was last in use, kept beside its file for the next gateway that starts with it: routers hold a key for a
 * while after its session has ended. A gateway that is killed cannot say when, so it leaves the word that it runs.
 */
import { readFile, writeFile } from 'node:fs/promises';

export interface KeyUse {
  /** Milliseconds since the use before this one ended: 0 when that is not known, infinite when there was none. */
  readonly unusedMs: number;
  /** To be called when the key is let go. */
  ended(): Promise<void>;
}

const RUNNING = 'in use\n';

/** Never rejects: where nothing can be noted, the last use is not known. */
export async function noteUse(keyFile: string): Promise<KeyUse> {
  const path = `${keyFile}.last-use`;
  const note = (text: string) => writeFile(path, text, { mode: 0o600 });
  try {
    const before = await readIfThere(path);
    await note(RUNNING);
    return {
      unusedMs: before === undefined ? Number.POSITIVE_INFINITY : unusedMs(before, Date.now()),
      // What stands there then means "not known", which is true and costs the next start some seconds.
      ended: () => note(`${new Date().toISOString()}\n`).catch(() => {}),
    };
  } catch {
    return { unusedMs: 0, ended: async () => {} };
  }
}

/** @returns undefined when there is no such file */
async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'latin1');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Whoever stands in the future was written by a clock that has been set back since. */
function unusedMs(before: string, now: number): number {
  const endedAt = Date.parse(before.trim());
  return Number.isNaN(endedAt) || endedAt > now ? 0 : now - endedAt;
}

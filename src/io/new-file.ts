/** Makes a file that is there whole or not at all, whatever happens meanwhile, and that takes the place of no other. */
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { link, lstat, open, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

export interface NewFile {
  readonly path: string;
  readonly text: string;
  readonly mode: number;
  /** That of the directory or of this process unless told. */
  readonly gid?: number | undefined;
}

/**
 * The directory must be there.
 *
 * @returns false when something stands at `path` already
 * @throws the system's error
 */
export async function makeFile({ path, text, mode, gid }: NewFile): Promise<boolean> {
  // Where nothing has to be made, neither room nor the right to make it is needed.
  if (await isThere(path)) return false;
  const directory = dirname(path);
  const temporary = join(directory, `.${basename(path)}.${randomBytes(8).toString('hex')}`);
  // Nobody ever has more rights than in the end.
  const file = await open(temporary, 'wx', 0o600);
  try {
    await file.writeFile(text);
    if (gid !== undefined) await file.chown(-1, gid);
    await file.chmod(mode);
    await file.sync();
    // Refused where a rename would replace.
    await link(temporary, path);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  } finally {
    await file.close();
    await unlink(temporary);
  }
  const parent = await open(directory, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await parent.sync();
  } finally {
    await parent.close();
  }
  return true;
}

function isThere(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}

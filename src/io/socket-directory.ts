/**
 * The directory of the control socket: made where it is missing, kept from everybody else, and given to the user who has to
 * remove the socket from it at the end.
 */
import { constants } from 'node:fs';
import { mkdir, open, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { asGateError, GateError } from '../kit/errors.ts';
import type { Ownership } from './owners.ts';
import { SYSTEM_PATHS } from './places.ts';

/** Ours by its name, whichever version has made it. */
const OWN_DIRECTORY = dirname(SYSTEM_PATHS.controlSocket);

/**
 * It keeps others out even where the socket's own mode is not looked at.
 *
 * @param keeper gets it when it is ours to give: made just now, or the system's directory for garligate
 * @throws GateError `config` when everybody can write to it, `local-io` or `permission` when it cannot be had
 */
export async function makeSocketDirectory(directory: string, keeper: Ownership | undefined): Promise<void> {
  try {
    const made = await mkdir(directory, { recursive: true, mode: 0o750 });
    const isOurs = made !== undefined || directory === OWN_DIRECTORY;
    const { mode } = await stat(directory);
    if ((mode & 0o002) !== 0 && (mode & 0o1000) === 0) {
      throw new GateError(
        'config',
        'control.directory',
        `${directory} can be written to by everybody; chmod o-w ${directory}, or set control.socket`,
      );
    }
    if (keeper !== undefined && isOurs) await giveDirectory(directory, keeper);
  } catch (error) {
    throw asGateError(error, `making the directory ${directory} of control.socket`);
  }
}

async function giveDirectory(directory: string, { uid, gid }: Ownership): Promise<void> {
  // In hand, so that no link that somebody puts there meanwhile is given away in its place.
  const found = await open(directory, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  try {
    if ((await found.stat()).uid === process.geteuid?.()) await found.chown(uid, gid);
  } finally {
    await found.close();
  }
}

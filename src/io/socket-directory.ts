/**
 * The directory of the control socket: made where it is missing, kept from everybody else, and given to the user who has to
 * remove the socket from it at the end.
 */
import { constants } from 'node:fs';
import { mkdir, open, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { asGateError, GateError } from '../kit/errors.ts';
import type { FileOwnership } from './owners.ts';
import { SYSTEM_PATHS } from './paths.ts';

/** Ours by its name, whichever version has made it. */
const OWN_DIRECTORY = dirname(SYSTEM_PATHS.controlSocket);

const MODE = 0o750;
/** Until it is given away: told by its sticky bit from all that others make, also by a gateway that comes after a killed one. */
const UNFINISHED_MODE = 0o1700;

/**
 * It keeps others out even where the socket's own mode is not looked at.
 *
 * @param keeper gets it when it is ours to give: made by a gateway, or the system's directory for garligate
 * @throws GateError `config` when everybody can write to it, `local-io` or `permission` when it cannot be had
 */
export async function makeSocketDirectory(directory: string, keeper: FileOwnership | undefined): Promise<void> {
  try {
    await mkdir(dirname(directory), { recursive: true, mode: MODE });
    await makeUnfinished(directory);
    const { mode } = await stat(directory);
    if ((mode & 0o002) !== 0 && (mode & 0o1000) === 0) {
      throw new GateError(
        'config',
        'control.directory',
        `${directory} can be written to by everybody; chmod o-w ${directory}, or set control.socket`,
      );
    }
    const isUnfinished = (mode & 0o7777) === UNFINISHED_MODE;
    if (isUnfinished || (keeper !== undefined && directory === OWN_DIRECTORY)) await finish(directory, keeper);
  } catch (error) {
    throw asGateError(error, `making the directory ${directory} of control.socket`);
  }
}

async function makeUnfinished(directory: string): Promise<void> {
  try {
    await mkdir(directory, { mode: UNFINISHED_MODE });
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  }
}

async function finish(directory: string, keeper: FileOwnership | undefined): Promise<void> {
  // In hand, so that no link that somebody puts there meanwhile is given away in its place.
  const found = await open(directory, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  try {
    const { uid, mode } = await found.stat();
    if (uid !== process.geteuid?.() && uid !== keeper?.uid) return;
    if (keeper !== undefined) await found.chown(keeper.uid, keeper.gid);
    if ((mode & 0o7777) === UNFINISHED_MODE) await found.chmod(MODE);
  } finally {
    await found.close();
  }
}

/** Finds and reads the config file. Refuses one that the wrong people could have changed: it decides where packets go. */
import { constants, type Stats } from 'node:fs';
import { open } from 'node:fs/promises';
import { type Decoded, decodeConfig, defaultConfig } from '../config/decode.ts';
import { describeProblem } from '../config/problem.ts';
import type { Config } from '../config/schema.ts';
import { GateError } from '../kit/errors.ts';
import { Sensitive } from '../kit/sensitive.ts';
import type { SamCredentials } from '../wire/sam/command.ts';
import { currentEnvironment, type Paths } from './paths.ts';

export interface LoadedConfig {
  readonly config: Config;
  /** The file that was read; undefined when there is none and the defaults hold. */
  readonly file: string | undefined;
}

const LARGEST_FILE = 1024 * 1024;

/**
 * @param named the file that the user asked for; without one the usual place is tried
 * @param uid effective user id of this process
 * @throws GateError `config` with one line for every mistake, `permission`, or `local-io`
 */
export async function loadConfig(
  named: string | undefined,
  places: Paths,
  uid = currentEnvironment().uid,
): Promise<LoadedConfig> {
  const path = named ?? places.configFile;
  const text = await readChecked(path, (found) => refuseChangeable(path, found, uid));
  if (text === undefined) {
    if (named === undefined) return { config: defaultConfig(places), file: undefined };
    throw new GateError('config', 'config.missing', `${path}: there is no such file; make it with \`garligate init\``);
  }
  return { config: configOf(decodeConfig(text, places), path), file: path };
}

/**
 * `loadConfig` for a gateway that reads its config again: a file that was there and is gone is no wish for the defaults, under
 * which it would have no peers.
 */
export function createConfigReader(named: string | undefined, places: Paths, uid: number): () => Promise<Config> {
  let path = named;
  return async () => {
    const { config, file } = await loadConfig(path, places, uid);
    path = file;
    return config;
  };
}

/**
 * Reads `router.password_file`, of which only the first line counts.
 *
 * @returns undefined when the config names no user
 * @throws GateError
 */
export async function loadCredentials({ user, password_file }: Config['router']): Promise<SamCredentials | undefined> {
  if (user === '') return undefined;
  const text = await readChecked(password_file, (found) => refuseOpenSecret(password_file, found));
  const [password = ''] = (text ?? '').split(/\r?\n/, 1);
  if (password === '') {
    throw new GateError('config', 'config.password', `${password_file}: no password there; see router.password_file`);
  }
  return { user, password: new Sensitive(password) };
}

function configOf(decoded: Decoded, path: string): Config {
  if (decoded.kind === 'config') return decoded.config;
  const lines = decoded.problems.map((problem) => describeProblem(path, problem));
  throw new GateError('config', 'config.invalid', lines.join('\n'));
}

/** Whoever can change the file decides what is done with the rights of this process. */
function refuseChangeable(path: string, { mode, uid: owner }: Stats, uid: number): void {
  if ((mode & 0o002) !== 0) {
    throw new GateError('config', 'config.world-writable', `${path}: everybody may write to it; chmod o-w ${path}`);
  }
  if (uid === 0 && owner !== 0) {
    const message = `${path}: belongs to user ${owner}, who could have root do anything by it; chown root ${path}`;
    throw new GateError('config', 'config.foreign-owner', message);
  }
}

function refuseOpenSecret(path: string, { mode }: Stats): void {
  if ((mode & 0o006) === 0) return;
  const message = `${path}: everybody may read or write this password; chmod o-rwx ${path}, and change the password`;
  throw new GateError('config', 'config.password-open', message);
}

/** @param refuse throws when others than the right ones could read or change the file */
async function readChecked(path: string, refuse: (found: Stats) => void): Promise<string | undefined> {
  try {
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const found = await file.stat();
      if (!found.isFile()) throw new GateError('config', 'config.not-a-file', `${path}: not a regular file`);
      refuse(found);
      if (found.size > LARGEST_FILE) throw new GateError('config', 'config.too-large', `${path}: larger than 1 MiB`);
      return await file.readFile('utf8');
    } finally {
      await file.close();
    }
  } catch (error) {
    if (error instanceof GateError) throw error;
    const errno = error instanceof Error && 'code' in error ? error.code : undefined;
    if (errno === 'ENOENT' || errno === 'ENOTDIR') return undefined;
    if (errno === 'EACCES') {
      throw new GateError('permission', 'config.unreadable', `${path}: this user may not read it`, { cause: error });
    }
    throw new GateError('local-io', 'config.unreadable', `${path}: cannot be read (${String(errno)})`, {
      cause: error,
    });
  }
}

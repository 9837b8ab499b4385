/** Finds and reads the config file. Refuses one that everybody could have changed: it decides where packets go. */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { type Decoded, decodeConfig, defaultConfig } from '../config/decode.ts';
import { describeProblem } from '../config/problem.ts';
import type { Config } from '../config/schema.ts';
import { GateError } from '../kit/errors.ts';
import { Sensitive } from '../kit/sensitive.ts';
import type { SamCredentials } from '../wire/sam/command.ts';
import type { Places } from './places.ts';

export interface LoadedConfig {
  readonly config: Config;
  /** The file that was read; undefined when there is none and the defaults hold. */
  readonly file: string | undefined;
}

const LARGEST_FILE = 1024 * 1024;

/**
 * @param named the file that the user asked for; without one the usual place is tried
 * @throws GateError `config` with one line for every mistake, `permission`, or `local-io`
 */
export async function loadConfig(named: string | undefined, places: Places): Promise<LoadedConfig> {
  const path = named ?? places.configFile;
  const text = await readChecked(path);
  if (text === undefined) {
    if (named === undefined) return { config: defaultConfig(places), file: undefined };
    throw new GateError('config', 'config.missing', `${path}: there is no such file; make it with \`garligate init\``);
  }
  return { config: configOf(decodeConfig(text, places), path), file: path };
}

/**
 * Reads `router.password_file`, of which only the first line counts.
 *
 * @returns undefined when the config names no user
 * @throws GateError
 */
export async function loadCredentials({ user, password_file }: Config['router']): Promise<SamCredentials | undefined> {
  if (user === '') return undefined;
  const text = await readChecked(password_file, refuseOpenSecret);
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

function refuseWritable(path: string, mode: number): void {
  if ((mode & 0o002) === 0) return;
  throw new GateError('config', 'config.world-writable', `${path}: everybody may write to it; chmod o-w ${path}`);
}

function refuseOpenSecret(path: string, mode: number): void {
  if ((mode & 0o006) === 0) return;
  const message = `${path}: everybody may read or write this password; chmod o-rwx ${path}, and change the password`;
  throw new GateError('config', 'config.password-open', message);
}

/** @param checkMode throws when the permissions of the file are too wide */
async function readChecked(path: string, checkMode = refuseWritable): Promise<string | undefined> {
  try {
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const found = await file.stat();
      if (!found.isFile()) throw new GateError('config', 'config.not-a-file', `${path}: not a regular file`);
      checkMode(path, found.mode);
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

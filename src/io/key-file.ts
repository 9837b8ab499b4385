/**
 * The identity on disk: one line with SAM's private key blob, 0600, in a directory that nobody else can write to. Made
 * atomically, never printed, and refused with the fix in the message when somebody else could have read or replaced it.
 */
import { spawn } from 'node:child_process';
import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { asGateError, GateError } from '../kit/errors.ts';
import { type PrivateKeys, parsePrivateKeys } from '../wire/i2p/destination.ts';
import { generateKeys } from './key-generate.ts';
import { noteUse } from './key-use.ts';
import { makeFile } from './new-file.ts';

export interface LoadedKeys {
  readonly keys: PrivateKeys;
  /** Were they made just now? */
  readonly created: boolean;
}

/** A held identity: no other gateway on this machine can use the key file until it is released or the process ends. */
export interface KeyLock {
  /** Milliseconds since the last gateway let go of it: 0 when that may be just now, infinite when there was none. */
  readonly unusedMs: number;
  release(): Promise<void>;
}

/** A blob with an offline signature and post-quantum keys stays below this. Bytes. */
const LARGEST_FILE = 16 * 1024;

/** @throws GateError with a code `identity.*` */
export async function loadOrCreateKeys(path: string): Promise<LoadedKeys> {
  const found = await readIfThere(path);
  if (found !== undefined) return { keys: found, created: false };
  const keys = generateKeys();
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await checkDirectory(path);
    if (await makeFile({ path, text: `${keys.blob.reveal()}\n`, mode: 0o600 })) return { keys, created: true };
  } catch (error) {
    throw asGateError(error, `making the identity ${path}`);
  }
  // Another process was faster: its key is the identity, and ours was never used.
  return { keys: await readKeys(path), created: false };
}

/** @throws GateError with a code `identity.*`; `identity.missing` when there is none */
export async function readKeys(path: string): Promise<PrivateKeys> {
  const keys = await readIfThere(path);
  if (keys !== undefined) return keys;
  throw refuse('missing', path, 'does not exist', 'make one with `garligate init`');
}

/**
 * Two sessions with one key break each other, and crash an old i2pd. The lock is the kernel's (flock), so it vanishes
 * with the process however that ends. Node cannot lock, hence util-linux's `flock`, which locks the open file that it
 * shares with us and exits.
 *
 * @throws GateError `identity.in-use`
 */
export async function lockKeys(path: string): Promise<KeyLock> {
  const file = await openKeyFile(path);
  if (file === undefined) throw refuse('missing', path, 'does not exist', 'make one with `garligate init`');
  try {
    await lock(file, path);
    const { destination } = parse((await file.readFile()).toString('latin1'), path);
    const { unusedMs, ended } = await noteUse(path, destination.b32);
    return { unusedMs, release: () => ended().finally(() => file.close()) };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** What flock ends with when somebody else has the lock. */
const LOCKED = 1;

async function lock(file: FileHandle, path: string): Promise<void> {
  const flock = spawn('flock', ['-n', '3'], {
    stdio: ['ignore', 'ignore', 'ignore', file.fd],
    // A session of its own: Ctrl-C at our terminal ends us in order, and not this step of the start with an error.
    detached: true,
  });
  const how = await new Promise<number | string>((resolve) => {
    flock.once('error', ({ message }) => resolve(message));
    flock.once('exit', (code, signal) => resolve(code ?? String(signal)));
  });
  switch (how) {
    case 0:
      return;
    case LOCKED:
      throw refuse(
        'in-use',
        path,
        'is in use by another gateway',
        'stop that one, or give this one a key_file of its own',
      );
    default:
      throw refuse('no-lock', path, `cannot be locked with the program flock (${how})`, 'install util-linux');
  }
}

/** Two sessions with one key break each other, so each identity needs its own. */
export function sameKeys(path: string): GateError {
  return refuse('same', path, 'is a copy of another one of this gateway', 'move it away to get a new one');
}

/** @returns undefined when there is none @throws GateError with a code `identity.*` */
export async function readIfThere(path: string): Promise<PrivateKeys | undefined> {
  const file = await openKeyFile(path);
  if (file === undefined) return undefined;
  try {
    await checkFile(file, path);
    await checkDirectory(path);
    return parse((await file.readFile()).toString('latin1'), path);
  } finally {
    await file.close();
  }
}

async function openKeyFile(path: string): Promise<FileHandle | undefined> {
  try {
    // O_NONBLOCK: opening a named pipe would otherwise wait for ever.
    return await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    const errno = error instanceof Error && 'code' in error ? error.code : undefined;
    switch (errno) {
      case 'ENOENT':
        return undefined;
      case 'ELOOP':
        throw refuse('symlink', path, 'is a symbolic link', 'put the file itself there, or name its real path', error);
      case 'EACCES':
      case 'EPERM':
        throw refuse('unreadable', path, 'may not be read by this user', 'run garligate as its owner', error);
      default:
        throw refuse('unreadable', path, `cannot be opened (${String(errno)})`, 'check its key_file', error);
    }
  }
}

async function checkFile(file: FileHandle, path: string): Promise<void> {
  const found = await file.stat();
  if (!found.isFile()) throw refuse('not-a-file', path, 'is not a regular file', 'move it away');
  const user = process.geteuid?.();
  if (found.uid !== user) {
    throw refuse('owner', path, `belongs to user ${found.uid} and not to ${user}`, `chown ${user} ${path}`);
  }
  if ((found.mode & 0o077) !== 0) {
    const mode = (found.mode & 0o777).toString(8).padStart(4, '0');
    throw refuse('mode', path, `is open to others (mode ${mode})`, `chmod 600 ${path}`);
  }
  if (found.size > LARGEST_FILE) throw refuse('content', path, 'is too large for a key', RESTORE);
}

async function checkDirectory(path: string): Promise<void> {
  const directory = dirname(path);
  const found = await stat(directory);
  const user = process.geteuid?.();
  if (found.uid !== user && found.uid !== 0) {
    throw refuse('directory', directory, `belongs to user ${found.uid}`, `chown ${user} ${directory}`);
  }
  if ((found.mode & 0o022) !== 0) {
    throw refuse('directory', directory, 'can be written to by others', `chmod 700 ${directory}`);
  }
}

function parse(text: string, path: string): PrivateKeys {
  const line = text.replace(/\r?\n$/, '');
  if (line === '') throw refuse('content', path, 'is empty', RESTORE);
  if (/[\r\n]/.test(line)) throw refuse('content', path, 'has several lines, and one is wanted', RESTORE);
  try {
    return parsePrivateKeys(line);
  } catch (error) {
    const reason = error instanceof GateError ? error.message : 'it cannot be read';
    throw refuse('content', path, `holds no private key: ${reason}`, RESTORE, error);
  }
}

const RESTORE = 'restore it from a backup, or move it away to get a new identity and address';

function refuse(code: string, path: string, what: string, fix: string, cause?: unknown): GateError {
  return new GateError('config', `identity.${code}`, `the identity ${path} ${what}; ${fix}`, { cause });
}

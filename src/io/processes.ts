/** What Linux tells about processes, users and programs, out of /proc and /etc/passwd. */
import { constants } from 'node:fs';
import { access, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** A process that cannot be mistaken for a later one with the same number. */
export interface ProcessMark {
  readonly pid: number;
  /** In clock ticks since the machine started (proc(5), field 22 of stat). */
  readonly startedAt: string;
}

export interface UserIds {
  readonly uid: number;
  readonly gid: number;
}

/** Undefined when there is no such process, or only its remains. */
export async function markOf(pid: number): Promise<ProcessMark | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => '');
  // The second field is the program's name in brackets, and may hold blanks and brackets itself.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state] = fields;
  const startedAt = fields[19];
  return startedAt === undefined || state === 'Z' || state === 'X' ? undefined : { pid, startedAt };
}

export async function isAlive(mark: ProcessMark): Promise<boolean> {
  return (await markOf(mark.pid))?.startedAt === mark.startedAt;
}

/** Also of another user's, whom /proc may hide from us. Remains that wait for their parent count as if it still ran. */
export async function hasEnded(mark: ProcessMark): Promise<boolean> {
  const there = await markOf(mark.pid);
  return there === undefined ? !exists(mark.pid) : there.startedAt !== mark.startedAt;
}

function exists(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return !(error instanceof Error && 'code' in error && error.code === 'ESRCH');
  }
}

/** 127.0.0.1 as /proc/net/tcp writes it: the four bytes in host order. */
const LOOPBACK = '0100007F';
const STATE_LISTEN = '0A';

/**
 * Does this user listen at 127.0.0.1:port? A stranger who is faster must not be taken for a program of ours; whoever is
 * the same user has that program in his hands anyway.
 */
export async function listensAt(uid: number, port: number): Promise<boolean> {
  const table = await readFile('/proc/net/tcp', 'latin1').catch(() => '');
  const local = `${LOOPBACK}:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return table.split('\n').some((line) => {
    const [, address, , state, , , , owner] = line.trim().split(/\s+/);
    return address === local && state === STATE_LISTEN && owner === String(uid);
  });
}

/** The first of these users that exists, and is not `except`. */
export async function findUser(names: readonly string[], except?: number): Promise<UserIds | undefined> {
  const accounts = await readAccounts();
  for (const wanted of names) {
    const [, , uid, gid] = accounts.find(([name]) => name === wanted) ?? [];
    if (uid === undefined || gid === undefined || Number(uid) === except) continue;
    return { uid: Number(uid), gid: Number(gid) };
  }
  return undefined;
}

/** The user's name; undefined for one that has none. */
export async function nameOf(uid: number): Promise<string | undefined> {
  return (await readAccounts()).find(([, , number]) => number === String(uid))?.[0];
}

/** The fields of the lines of /etc/passwd: anything else could ask a network. */
async function readAccounts(): Promise<readonly (readonly string[])[]> {
  const text = await readFile('/etc/passwd', 'utf8').catch(() => '');
  return text.split('\n').map((line) => line.split(':'));
}

/** @param path directories with colons between them, as in the environment variable */
export async function findProgram(name: string, path: string): Promise<string | undefined> {
  for (const directory of path.split(':').filter((part) => part.startsWith('/'))) {
    const candidate = join(directory, name);
    const isThere = await access(candidate, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (isThere) return candidate;
  }
  return undefined;
}

/**
 * Which process a gateway has started in a directory, on record beside it, so that the next gateway ends what one that was
 * killed left running. The file is held open, since a gateway that has given up its rights could not open it again.
 */
import { constants } from 'node:fs';
import { type FileHandle, open, readFile, readlink, realpath, rm } from 'node:fs/promises';
import { type Clock, sleep } from '../kit/clock.ts';
import { asGateError, GateError } from '../kit/errors.ts';
import type { Logger } from '../kit/log.ts';
import { isAlive, markOf, type ProcessMark } from './processes.ts';

export interface RunRecord {
  /** @throws GateError `local-io` */
  write(child: ProcessMark): Promise<void>;
  /** What was recorded does not run any more. Never rejects. */
  release(): Promise<void>;
  /** What was recorded may go on without us: the next gateway ends it. Never rejects. */
  keep(): Promise<void>;
}

interface RecordParts {
  readonly clock: Clock;
  readonly log: Logger;
}

const POLL_MS = 200;
const TERMINATE_MS = 2_000;

/**
 * Ends what is still on record there, and takes the record over.
 *
 * @param directory in which the recorded process works, for the message
 * @throws GateError `local-io` when it belongs to a gateway that runs, or cannot be had
 */
export async function claimRecord(path: string, directory: string, parts: RecordParts): Promise<RunRecord> {
  await endLeftover(path, directory, parts);
  // A link there would have us write elsewhere.
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW;
  const file = await open(path, flags, 0o600).catch((error: unknown) => {
    throw asGateError(error, `opening the record of garligate's own i2pd in ${path}`);
  });
  // Harmless: what it names is looked at by the next start.
  const report = (error: unknown) => {
    const { message, code } = asGateError(error, "clearing the record of garligate's own i2pd");
    parts.log.warn(message, { code });
  };
  return {
    write: (child) =>
      write(file, child).catch((error: unknown) => {
        throw asGateError(error, `recording garligate's own i2pd in ${path}`);
      }),
    keep: () => file.close().catch(report),
    release: async () => {
      await file.truncate(0).catch(report);
      await file.close().catch(report);
      // Without the rights to remove it, it stays and names nothing.
      await rm(path, { force: true }).catch(() => {});
    },
  };
}

/** The child first, then the gateway that owns it. */
async function write(file: FileHandle, child: ProcessMark): Promise<void> {
  const marks = [child, await markOf(process.pid)];
  await file.truncate(0);
  await file.write(`${JSON.stringify(marks)}\n`, 0);
}

async function endLeftover(path: string, directory: string, { clock, log }: RecordParts): Promise<void> {
  const [child, owner] = await readMarks(path);
  // Who could write the record may not choose whom the next gateway, perhaps as root, ends.
  if (child === undefined || !(await isAlive(child)) || !(await worksIn(child.pid, directory))) return;
  if (owner !== undefined && owner.pid !== process.pid && (await isAlive(owner))) {
    const message = `another gateway (process ${owner.pid}) runs a router in ${directory}; set router.directory`;
    throw new GateError('local-io', 'router.directory-in-use', message);
  }
  log.warn('ending an i2pd that a killed gateway left behind', { pid: child.pid });
  signalIfThere(child.pid, 'SIGTERM');
  const end = clock.now() + TERMINATE_MS;
  const never = new AbortController().signal;
  while (clock.now() < end && (await isAlive(child))) await sleep(clock, POLL_MS, never);
  if (await isAlive(child)) signalIfThere(child.pid, 'SIGKILL');
}

/** It may have ended just now, of itself or by an earlier signal. */
function signalIfThere(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}

async function worksIn(pid: number, directory: string): Promise<boolean> {
  const [there, here] = await Promise.all([
    readlink(`/proc/${pid}/cwd`).catch(() => undefined),
    realpath(directory).catch(() => undefined),
  ]);
  return there !== undefined && there === here;
}

async function readMarks(path: string): Promise<readonly (ProcessMark | undefined)[]> {
  const text = await readFile(path, 'utf8').catch(() => '');
  const marks = parseJson(text);
  return Array.isArray(marks) ? marks.map((mark) => (isMark(mark) ? mark : undefined)) : [];
}

/** A file that was cut off by a power failure names no process that could still run. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isMark(value: unknown): value is ProcessMark {
  return (
    typeof value === 'object' &&
    value !== null &&
    'pid' in value &&
    typeof value.pid === 'number' &&
    'startedAt' in value &&
    typeof value.startedAt === 'string'
  );
}

/** What can be seen of a gateway from outside: what its log warns of, and what its process holds. */
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Gateway } from '../lab/gateway.ts';

export interface Held {
  readonly pid: number;
  readonly descriptors: number;
  readonly megabytes: number;
}

/** Undefined while it does not run. */
export function held(gateway: Gateway): Held | undefined {
  const pid = gateway.pid();
  if (pid === undefined || !gateway.alive()) return undefined;
  const resident = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return {
    pid,
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
    megabytes: Math.round(Number(resident) / 1_000),
  };
}

/** Levels of the log that tell an operator that something is wrong. */
const WARNINGS: ReadonlySet<unknown> = new Set(['warn', 'error', 'fatal']);

/** @returns what says which warnings and errors, by their codes, the gateway has logged since this was called */
export function listen({ logFile }: Gateway): () => readonly string[] {
  const from = statSync(logFile).size;
  return () => warnings(readFileSync(logFile).subarray(from).toString('utf8').split('\n'));
}

/** The codes of the warnings and errors among the lines of a log, each once. */
export function warnings(lines: readonly string[]): readonly string[] {
  const codes = lines.flatMap((line) => {
    if (!line.startsWith('{')) return [];
    const { level, code, msg }: { level?: string; code?: string; msg?: string } = JSON.parse(line);
    return WARNINGS.has(level) ? [code ?? msg ?? ''] : [];
  });
  return [...new Set(codes)];
}

/** What this process holds: the least of some seconds, since much comes and goes. */
export interface HeldHere {
  readonly sockets: number;
  readonly timers: number;
  /** In use on the heap and beside it; what only waits for a collection is not. */
  readonly megabytes: number;
}

const LOOKS = 40;
const LOOK_EVERY_MS = 100;

export async function heldHere(): Promise<HeldHere> {
  let [sockets, timers] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (let look = 0; look < LOOKS; look += 1) {
    await pause(LOOK_EVERY_MS);
    sockets = Math.min(sockets, openSockets());
    timers = Math.min(timers, process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length);
  }
  return { sockets, timers, megabytes: await megabytesInUse() };
}

/** By their descriptors: those of the native part are no handles of Node. */
function openSockets(): number {
  const isSocket = (descriptor: string) => {
    try {
      return readlinkSync(`/proc/self/fd/${descriptor}`).startsWith('socket:');
    } catch {
      return false; // That of the folder itself has gone.
    }
  };
  return readdirSync('/proc/self/fd').filter(isSocket).length;
}

async function megabytesInUse(): Promise<number> {
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  if (typeof collect !== 'function') throw new Error('this Node lets nobody collect');
  for (let count = 0; count < 3; count += 1) {
    await new Promise((resolve) => setImmediate(resolve));
    collect();
  }
  const { heapUsed, external } = process.memoryUsage();
  return Math.round((heapUsed + external) / 1_000_000);
}

/**
 * Runs programs for the lab: short commands to their end, and waiting for a condition. Every wait has a deadline and ends
 * at once when the lab is torn down. Knows nothing of namespaces or I2P.
 */
import { execFile } from 'node:child_process';
import { setTimeout as pause } from 'node:timers/promises';

/** Output of a command is kept up to this many bytes; none that the lab runs comes near. */
const LONGEST_OUTPUT = 4 * 1024 * 1024;

export type CommandOptions = {
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds; 30 s unless told. */
  readonly timeoutMs?: number;
};

/**
 * Runs a program without a shell.
 *
 * @returns its standard output
 * @throws Error that names the command, how it ended and the end of what it said
 */
export function runCommand(command: string, args: readonly string[], options: CommandOptions = {}): Promise<string> {
  const { signal, timeoutMs = 30_000 } = options;
  return new Promise((resolve, reject) => {
    const settings = { timeout: timeoutMs, maxBuffer: LONGEST_OUTPUT, ...(signal && { signal }) };
    execFile(command, args, settings, (error, stdout, stderr) => {
      if (error === null) return resolve(stdout);
      if (signal?.aborted) return reject(error);
      const ending = error.killed ? `no end after ${timeoutMs / 1000} s` : describeEnd(error.code, error.signal);
      const said = lastLines(`${stdout}\n${stderr}`, 5);
      reject(new Error(`${command} ${args.join(' ')}: ${ending}${said === '' ? '' : `: ${said}`}`, { cause: error }));
    });
  });
}

function describeEnd(code: unknown, signal: NodeJS.Signals | null | undefined): string {
  if (signal) return `ended by ${signal}`;
  return code === 'ENOENT' ? 'no such program' : `exit code ${String(code)}`;
}

export type WaitOptions = {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds between two looks. */
  readonly everyMs?: number;
  /** Why waiting has no use any more: the process that it is about has ended. */
  readonly inVain?: () => string | undefined;
};

/**
 * Looks until `look` returns something other than `undefined`. What `look` throws counts as "not yet" and becomes the
 * cause of the failure at the deadline.
 *
 * @param what for the error text: "the SAM bridge of r1 answers"
 */
export async function waitUntil<T>(what: string, look: () => Promise<T | undefined>, options: WaitOptions): Promise<T> {
  const { timeoutMs, signal, everyMs = 100 } = options;
  const start = performance.now();
  let last: unknown;
  for (;;) {
    signal?.throwIfAborted();
    const vain = options.inVain?.();
    if (vain !== undefined) throw new Error(`waiting for this has no use: ${what}: ${vain}`, { cause: last });
    try {
      const found = await look();
      if (found !== undefined) return found;
    } catch (error) {
      last = error;
    }
    if (performance.now() - start > timeoutMs) {
      const why = last === undefined ? '' : ` (last: ${messageOf(last)})`;
      throw new Error(`waited ${timeoutMs / 1000} s in vain: ${what}${why}`, { cause: last });
    }
    await pause(everyMs, undefined, signal && { signal });
  }
}

/**
 * A limit for one operation, which also ends when the whole lab ends. Not AbortSignal.timeout: nothing holds that for
 * AbortSignal.any on Node 20, and once the collector has been there it never aborts.
 */
export function limit(timeoutMs: number, signal?: AbortSignal): AbortSignal {
  const late = new AbortController();
  setTimeout(() => late.abort(new Error(`it took longer than ${timeoutMs / 1000} s`)), timeoutMs).unref();
  return signal === undefined ? late.signal : AbortSignal.any([late.signal, signal]);
}

export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

export function lastLines(text: string, count: number): string {
  return text.trim().split('\n').slice(-count).join('\n');
}

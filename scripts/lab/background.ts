/**
 * A program that runs inside a namespace until it is told to stop: routers and gateways. Its output goes to a log file.
 * Whether it lives is known from the process itself, not from a pid in a file, so a reused pid can never be taken for it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { lastLines } from './command.ts';
import { inNamespace } from './namespaces.ts';
import type { WallClock } from './wall-clock.ts';

export interface BackgroundProgram {
  readonly pid: number;
  alive(): boolean;
  /** How it ended, for error texts; `undefined` while it runs. */
  ending(): string | undefined;
  /** The end of its log. */
  said(lines?: number): string;
  signal(name: NodeJS.Signals): void;
  /**
   * SIGTERM, and SIGKILL after `graceMs`. Harmless when it has ended already.
   *
   * @returns whether it went without being killed
   */
  stop(graceMs: number): Promise<boolean>;
  /** SIGKILL; returns when it is gone. */
  kill(): Promise<void>;
}

export type BackgroundOptions = {
  readonly namespace: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly logFile: string;
  /** What it goes by; the machine's unless told. */
  readonly clock?: WallClock | undefined;
};

/** @throws Error when the program cannot be started at all */
export async function startInBackground(options: BackgroundOptions): Promise<BackgroundProgram> {
  const log = openSync(options.logFile, 'a', 0o600);
  let child: ChildProcess;
  try {
    // Detached, so that a Ctrl-C in the terminal reaches the lab only, which then ends things in order.
    const [command = options.command, ...args] = [...(options.clock?.wrapper ?? []), options.command, ...options.args];
    child = spawn(...inNamespace(options.namespace, command, args), {
      detached: true,
      stdio: ['ignore', log, log],
    });
    await once(child, 'spawn');
  } finally {
    closeSync(log);
  }
  child.on('error', () => {}); // A signal to a process that has just ended: `alive` tells.
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const alive = () => child.exitCode === null && child.signalCode === null;
  const kill = async () => {
    if (alive()) child.kill('SIGKILL');
    await gone;
  };
  const { pid } = child;
  if (pid === undefined) throw new Error(`${options.command}: started without a pid`);

  return {
    pid,
    alive,
    ending: () => (alive() ? undefined : child.signalCode === null ? `exit code ${child.exitCode}` : child.signalCode),
    said: (lines = 8) => lastLines(readFileSync(options.logFile, 'utf8'), lines),
    signal: (name) => void child.kill(name),
    stop: async (graceMs) => {
      if (!alive()) return true;
      child.kill('SIGTERM');
      let killed = false;
      const timer = setTimeout(() => {
        killed = true;
        child.kill('SIGKILL');
      }, graceMs);
      await gone;
      clearTimeout(timer);
      return !killed;
    },
    kill,
  };
}

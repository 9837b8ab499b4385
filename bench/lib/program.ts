/**
 * A program under measurement: started with as many files as the machine allows, weighed while it runs, and ended by its
 * own process number. What its children use counts as its own.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { SEARCH_PATH } from '../../scripts/lib/command.mjs';

/** A process that runs, whoever started it. */
export interface Weighed {
  /** CPU seconds used since its start, by it and all of its children. */
  cpuSeconds(): number;
  /** Memory of it and its living children, shared pages divided among those who share them (PSS). Bytes. */
  memory(): number;
}

export interface Program extends Weighed {
  readonly pid: number;
  processes(): number;
  /** Everything that it has written to standard output so far. */
  said(): string;
  /** What it has written to standard error. */
  complained(): string;
  /** Closes its standard input and waits for its end. */
  finish(): Promise<void>;
  /** SIGTERM, and SIGKILL when that is not heard. */
  stop(): Promise<void>;
}

/** The kernel counts CPU time for programs in these: USER_HZ, 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;
const STOP_MS = 5_000;
const LAST_WORDS_MS = 1_000;

export function weigh(pid: number): Weighed {
  const family = () => [pid, ...descendantsOf(pid)];
  return {
    cpuSeconds: () => family().reduce((sum, each) => sum + cpuOf(each), 0),
    memory: () => family().reduce((sum, each) => sum + memoryOf(each), 0),
  };
}

/**
 * @param complaints `dropped`: its standard error goes nowhere, for programs that write a line for every connection
 * @throws Error when there is no such program
 */
export function startProgram(
  command: string,
  args: readonly string[],
  complaints: 'kept' | 'dropped' = 'kept',
): Program {
  // microsocks and dante take the soft limit as it is; Node raises its own.
  const child = spawn('sh', ['-c', 'ulimit -n "$(ulimit -Hn)" && exec "$0" "$@"', command, ...args], {
    stdio: ['pipe', 'pipe', complaints === 'kept' ? 'pipe' : 'ignore'],
    env: { ...process.env, PATH: SEARCH_PATH, NODE_OPTIONS: '' },
  });
  const { pid } = child;
  if (pid === undefined) throw new Error(`${command} could not be started`);
  const heard = { out: '', err: '' };
  child.stdout?.on('data', (text) => {
    heard.out += text;
  });
  child.stderr?.on('data', (text) => {
    heard.err = `${heard.err}${text}`.slice(-10_000);
  });
  child.stdin?.on('error', () => {
    // It has ended already, which is what closing its input is for.
  });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  return {
    ...weigh(pid),
    pid,
    processes: () => 1 + descendantsOf(pid).length,
    said: () => heard.out,
    complained: () => heard.err,
    finish: async () => {
      child.stdin?.end();
      await ended;
    },
    stop: () => stop(child, ended),
  };
}

/** @throws Error when it does not come true, or when the program ends before */
export async function untilSaid(program: Program, pattern: RegExp, timeoutMs: number): Promise<RegExpExecArray> {
  const start = performance.now();
  for (;;) {
    const isOver = !isAlive(program.pid);
    // What it said last may still be under way; a child that it left behind may hold its output open.
    if (isOver) await Promise.race([program.finish(), pause(LAST_WORDS_MS)]);
    const found = pattern.exec(program.said());
    if (found !== null) return found;
    if (isOver || performance.now() - start > timeoutMs) {
      throw new Error(`program ${program.pid} never said ${pattern}: ${program.said()}${program.complained()}`);
    }
    await pause(20);
  }
}

async function stop(child: ChildProcess, ended: Promise<void>): Promise<void> {
  child.kill('SIGTERM');
  const late = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
  await ended;
  clearTimeout(late);
}

function isAlive(pid: number): boolean {
  const state = statOf(pid)?.[0];
  return state !== undefined && state !== 'Z';
}

/** The fields of /proc/PID/stat from the third, the state, on (proc(5)); the second may contain spaces. */
function statOf(pid: number): readonly string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}

/** utime, stime, cutime and cstime: its own, and that of children that have ended. */
function cpuOf(pid: number): number {
  const ticks = statOf(pid)?.slice(11, 15).map(Number) ?? [];
  return ticks.reduce((sum, each) => sum + each, 0) / TICKS_PER_SECOND;
}

function memoryOf(pid: number): number {
  try {
    const kilobytes = /^Pss:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1];
    return Number(kilobytes ?? 0) * 1024;
  } catch {
    // It ended just now.
    return 0;
  }
}

function descendantsOf(pid: number): number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const parent = Number(statOf(Number(name))?.[1] ?? 0);
    children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
  }
  const below = (of: number): number[] => (children.get(of) ?? []).flatMap((each) => [each, ...below(each)]);
  return below(pid);
}

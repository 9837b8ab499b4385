/**
 * The program slow-cable.c, compiled, started and spoken with: a cable between two namespaces that is as slow, narrow and
 * bad as it is told to be. It dies with whoever started it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { ROOT } from '../lib/command.mjs';
import { runCommand } from './command.ts';
import { type CableShape, describeRate } from './line-shape.ts';
import type { CableEnd } from './namespaces.ts';

/** One direction, counted by the cable itself since it was last shaped. */
export interface CableFigures {
  readonly carried: number;
  readonly lost: number;
  /** Found the queue full. */
  readonly dropped: number;
  /** By an interface that was down. */
  readonly refused: number;
  /** Mean over the frames carried: waiting and way. Milliseconds. */
  readonly delayMs: number;
  /** Of the busiest second. */
  readonly bytesPerSecond: number;
}

export interface SlowCable {
  shape(shape: CableShape): Promise<void>;
  /** From the first end to the second, and back. */
  figures(): Promise<readonly [CableFigures, CableFigures]>;
  /** Both interfaces are gone then; idempotent. */
  remove(): Promise<void>;
}

const FLAGS = ['-std=gnu11', '-D_GNU_SOURCE', '-O2', '-Wall', '-Wextra', '-Werror'];

/** Compiles the program, which takes a second. @returns where it is. @throws Error with the compiler's words */
export async function compileSlowCable(): Promise<string> {
  const folder = join(ROOT, 'build/lab');
  await mkdir(folder, { recursive: true });
  const target = join(folder, 'slow-cable');
  await runCommand('cc', [...FLAGS, join(ROOT, 'scripts/lab/slow-cable.c'), '-o', target, '-lm']);
  return target;
}

/**
 * Makes both interfaces; they are down and have no address yet.
 *
 * @param seed of the losses
 * @throws Error with what the program said
 */
export async function laySlowCable(
  program: string,
  ends: readonly [CableEnd, CableEnd],
  seed: number,
): Promise<SlowCable> {
  const args = [...ends.flatMap((end) => [`/run/netns/${end.namespace}`, end.interface]), `${seed}`];
  // Its standard input ends with this process, and it with that.
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'], detached: true });
  const { say, ask, gone } = conversation(child);
  if ((await say()) !== 'ready') throw new Error('the slow cable did not get ready');
  return {
    shape: async ({ delayMs, bytesPerSecond, loss, queueBytes }) => {
      const answer = await ask(`set ${delayMs} ${bytesPerSecond} ${loss} ${queueBytes}`);
      if (answer !== 'set') throw new Error(`the slow cable did not take its shape: ${answer}`);
    },
    figures: async () => {
      const [first, second] = await Promise.all([ask('show'), say()]);
      return [readFigures(first), readFigures(second)];
    },
    remove: async () => {
      child.stdin?.end();
      await gone;
    },
  };
}

interface Conversation {
  /** The next line that it says. */
  say(): Promise<string>;
  ask(order: string): Promise<string>;
  readonly gone: Promise<void>;
}

function conversation(child: ChildProcess): Conversation {
  const { stdin, stdout, stderr } = child;
  if (stdin === null || stdout === null || stderr === null) throw new Error('the slow cable was started without pipes');
  const lines: string[] = [];
  const waiting: { resolve(line: string): void; reject(error: Error): void }[] = [];
  let complaint = '';
  let ended: Error | undefined;
  stderr.on('data', (text) => {
    complaint += text;
  });
  stdin.on('error', () => {}); // It has ended, which fails what waits.
  createInterface({ input: stdout }).on('line', (line) => {
    const next = waiting.shift();
    if (next === undefined) lines.push(line);
    else next.resolve(line);
  });
  const end = (why: string) => {
    ended = new Error(`the slow cable has ended: ${why}`);
    for (const { reject } of waiting.splice(0)) reject(ended);
  };
  const gone = new Promise<void>((resolve) => {
    child.once('error', (error) => {
      end(error.message);
      resolve();
    });
    child.once('close', (code) => {
      end(complaint.trim() === '' ? `exit code ${code}` : complaint.trim());
      resolve();
    });
  });
  const say = () => {
    const line = lines.shift();
    if (line !== undefined) return Promise.resolve(line);
    if (ended !== undefined) return Promise.reject(ended);
    return new Promise<string>((resolve, reject) => waiting.push({ resolve, reject }));
  };
  return {
    say,
    ask: (order) => {
      stdin.write(`${order}\n`);
      return say();
    },
    gone,
  };
}

export function describeFigures({ carried, lost, dropped, refused, delayMs, bytesPerSecond }: CableFigures): string {
  const share = carried + lost === 0 ? 0 : (100 * lost) / (carried + lost);
  const counts = `${carried} carried, ${lost} lost (${share.toFixed(2)} %), ${dropped} found the queue full`;
  const down = refused === 0 ? '' : `, ${refused} found the interface down`;
  return `${counts}${down}; mean delay ${delayMs.toFixed(1)} ms, busiest second ${describeRate(bytesPerSecond)}`;
}

function readFigures(line: string): CableFigures {
  const figure = (name: string) => {
    const found = new RegExp(`\\b${name} ([\\d.]+)`).exec(line)?.[1];
    if (found === undefined) throw new Error(`the slow cable did not say "${name}": ${line}`);
    return Number(found);
  };
  return {
    carried: figure('carried'),
    lost: figure('lost'),
    dropped: figure('dropped'),
    refused: figure('refused'),
    delayMs: figure('delay'),
    bytesPerSecond: figure('rate'),
  };
}

/**
 * The native part as targets of the fuzzer: a program of its files that know no JavaScript and of scenarios for them
 * (test/fuzz/native/), under the sanitizers of the C compiler. An input is a row of decisions: which packets there are, what the
 * kernel answers, in which order calls come.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { compileInto, compiler } from '../../scripts/lib/c-compiler.mjs';
import { ROOT } from '../../scripts/lib/command.mjs';
import type { FuzzTarget } from './engine.ts';

type Scenario = 'write' | 'read' | 'sockets' | 'netlink';

/** A kind of work of the native part; the names of test/fuzz/native/main.c. */
export type Work =
  | 'alone'
  | 'joined'
  | 'whole'
  | 'refused'
  | 'cut'
  | 'completed'
  | 'uncut'
  | 'malformed'
  | 'noRoom'
  | 'connected'
  | 'moved'
  | 'stale'
  | 'answered';

export interface NativeTarget extends FuzzTarget {
  /** What many inputs must have met: where nothing comes that far, nothing was tested. */
  readonly work: readonly Work[];
  /** How often it was met, over all inputs so far. */
  readonly met: ReadonlyMap<string, number>;
}

const NATIVE = join(ROOT, 'native');
const SCENARIOS = join(ROOT, 'test/fuzz/native');
const FOLDER = join(ROOT, 'build/fuzz');
/** What reads what others have said or counts whose it is; not what asks the kernel for something that a test cannot play. */
const PARTS = [
  'checksum',
  'coalesce',
  'intake',
  'netlink',
  'network_link',
  'network_route',
  'network_ruleset',
  'network_watch',
  'packets',
  'segment',
  'sockets',
  'whole',
  'write',
];
const FLAGS = [
  '-std=c11',
  '-O1',
  '-g',
  '-pthread',
  '-fsanitize=address,undefined',
  '-fno-sanitize-recover=all',
  '-fno-omit-frame-pointer',
  '-Wall',
  '-Wextra',
  '-Wconversion',
  '-Wcast-qual',
  '-Werror',
  // What is read from a TUN or from netlink, and written there, goes through the scenario.
  ...['read', 'readv', 'writev', 'socket', 'bind', 'send', 'recv'].map((call) => `-Wl,--wrap=${call}`),
];
/** The program takes about 20 ms to begin, and a thousand inputs a second. */
const BATCH = 500;
const LONGEST_MS = 120_000;
/** Memory that was freed is kept for so long that a use of it is noticed, and not for longer. */
const ENVIRONMENT = { ASAN_OPTIONS: 'quarantine_size_mb=16:detect_stack_use_after_return=1' };

/** What the sanitizers, or a scenario, found. */
class BrokenPromise extends Error {}

export function nativeTarget(scenario: Scenario, seeds: readonly Buffer[], work: readonly Work[]): NativeTarget {
  const met = new Map<string, number>();
  const firstFailure: FuzzTarget['firstFailure'] = (inputs) => {
    const outcome = run(scenario, inputs);
    if (outcome.kind === 'broken') {
      const { index } = outcome;
      if (index !== undefined || inputs.length <= 1) return { index: index ?? 0, error: outcome.error };
      // It ended without a word about which, as when it runs out of memory.
      const alone = inputs.findIndex((input) => firstFailure([input]) !== undefined);
      return { index: Math.max(0, alone), error: outcome.error };
    }
    for (const [what, times] of Object.entries(outcome.met)) met.set(what, (met.get(what) ?? 0) + times);
    return undefined;
  };
  return { name: `native-${scenario}`, seeds, batch: BATCH, firstFailure, work, met };
}

type Outcome =
  | { readonly kind: 'borne'; readonly met: Readonly<Record<string, number>> }
  | { readonly kind: 'broken'; readonly index: number | undefined; readonly error: BrokenPromise };

function run(scenario: Scenario, inputs: readonly Buffer[]): Outcome {
  const { status, signal, stdout, stderr, error } = spawnSync(program(), [scenario], {
    input: Buffer.concat(inputs.flatMap((input) => [lengthOf(input), input])),
    env: ENVIRONMENT,
    timeout: LONGEST_MS,
    killSignal: 'SIGKILL',
  });
  const said = lastLineOf(stdout.toString('utf8'));
  if (error === undefined && status === 0 && said['inputs'] === inputs.length) {
    const { inputs: _, ...met } = said;
    return { kind: 'borne', met };
  }
  const ending = error?.message ?? (signal === null ? `exit code ${status}` : `signal ${signal}`);
  return {
    kind: 'broken',
    index: said['failed'],
    error: new BrokenPromise(summaryOf(stderr.toString('utf8'), ending)),
  };
}

function lengthOf(input: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(input.length);
  return length;
}

function lastLineOf(output: string): Readonly<Record<string, number>> {
  const line = output.trimEnd().split('\n').at(-1) ?? '';
  return line.startsWith('{') ? JSON.parse(line) : {};
}

/** One line for people, and all of it behind. */
function summaryOf(stderr: string, ending: string): string {
  const [summary] = /(?<=^broken: |^SUMMARY: ).*$|^\S+: runtime error: .*$/m.exec(stderr) ?? [ending];
  return `${summary.replaceAll(/\/\S*\//g, '')}\n${stderr.trimEnd()}`;
}

let built: string | undefined;

/** @throws CompilerError where it cannot be built */
function program(): string {
  built ??= build();
  return built;
}

function build(): string {
  const files = [
    ...PARTS.map((part) => join(NATIVE, `${part}.c`)),
    ...readdirSync(SCENARIOS)
      .filter((name) => name.endsWith('.c'))
      .sort()
      .map((name) => join(SCENARIOS, name)),
  ];
  const headers = [NATIVE, SCENARIOS].flatMap((folder) =>
    readdirSync(folder)
      .filter((name) => name.endsWith('.h'))
      .map((name) => join(folder, name)),
  );
  const hash = createHash('sha256').update(JSON.stringify([process.arch, compiler(), FLAGS]));
  for (const file of [...files, ...headers]) hash.update(`\0${file}\0`).update(readFileSync(file));
  // Another name for other sources: a run that has begun goes on with its own.
  const target = join(FOLDER, `native-${hash.digest('hex').slice(0, 16)}`);
  if (existsSync(target)) return target;
  mkdirSync(FOLDER, { recursive: true });
  compileInto('the native part for the fuzzer', target, [...FLAGS, '-I', NATIVE, ...files]);
  return target;
}

/**
 * Tests inside network namespaces: each scenario of a test file runs in a process and a namespace of its own, uniquely
 * named, with loopback up and nothing else, and both are gone afterwards. For that the file runs itself a second time.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import process from 'node:process';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';

export interface Scenario {
  /** Runs inside. The process must come to its end by itself when this is over: an open handle is a failure. */
  run(): Promise<void> | void;
  /** Shell text that runs first, as root, in the namespace and in a mount namespace that nobody else sees. */
  readonly prepare?: string;
  /** What it may take where that is more than usual. Milliseconds. */
  readonly longestMs?: number;
  /** Runs it as nobody, without any capability. */
  readonly unprivileged?: boolean;
  /** Looks at the namespace after the end of the process, from outside. */
  readonly afterwards?: (namespace: Namespace, status: End) => void;
}

export interface Namespace {
  readonly name: string;
  /** Runs a command inside and returns what it printed. @throws when it fails */
  run(command: string, ...args: string[]): string;
}

export type End = number | NodeJS.Signals | null;

const INSIDE = 'GARLIGATE_TEST_SCENARIO';
const LONGEST_MS = 30_000;
export const NOBODY = 65534;

/** Declares one test per scenario, or, inside, runs the one that is asked for. Needs root and the `ip` program. */
export async function declareScenarios(file: string, scenarios: Readonly<Record<string, Scenario>>): Promise<void> {
  const wanted = process.env[INSIDE];
  if (wanted !== undefined) return scenarios[wanted]?.run();
  for (const [title, scenario] of Object.entries(scenarios)) test(title, () => runOutside(file, title, scenario));
}

async function runOutside(file: string, title: string, scenario: Scenario): Promise<void> {
  const namespace = makeNamespace();
  try {
    const end = await runInside(namespace, file, title, scenario);
    scenario.afterwards?.(namespace, end.status);
    if (scenario.afterwards === undefined) assert.equal(end.status, 0, `${end.status}: ${end.output}`);
  } finally {
    execFileSync('ip', ['netns', 'del', namespace.name]);
  }
}

async function runInside(
  namespace: Namespace,
  file: string,
  title: string,
  { prepare = ':', longestMs = LONGEST_MS, unprivileged = false }: Scenario,
): Promise<{ status: End; output: string }> {
  const { NODE_TEST_CONTEXT: _, ...environment } = process.env;
  const privileges = unprivileged
    ? ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups', '--bounding-set=-all', '--']
    : [];
  const command = [...privileges, process.execPath, ...process.execArgv, file];
  const script = `set -e; ${prepare}; exec "$@"`;
  const child = spawn('ip', ['netns', 'exec', namespace.name, 'sh', '-c', script, 'sh', ...command], {
    env: { ...environment, [INSIDE]: title },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  // ip and sh become the command by exec: the pid is that of the process under test.
  const tooLong = setTimeout(() => child.kill('SIGKILL'), longestMs);
  const ended = new Promise<End>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status, signal) => resolve(status ?? signal));
  });
  const [out, errors, status] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  clearTimeout(tooLong);
  return { status, output: out + errors };
}

let made = 0;

function makeNamespace(): Namespace {
  made += 1;
  const name = `garligate-test-${process.pid}-${made}`;
  execFileSync('ip', ['netns', 'add', name]);
  const run = (command: string, ...args: string[]) =>
    execFileSync('ip', ['netns', 'exec', name, command, ...args], { encoding: 'utf8' });
  run('ip', 'link', 'set', 'lo', 'up');
  return { name, run };
}

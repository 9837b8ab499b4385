/** Runs the command in a process of its own, in a temporary directory. */
import { type ChildProcess, type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before } from 'node:test';

export const MAIN = new URL('../../../src/cli/main.ts', import.meta.url).pathname;
export const ALICE = 'ktmhezukbp6jyuldedcjmso6p4e6aegeikqli2mne67hnttgmvfa.b32.i2p';
/** Made before the tests and removed behind them. */
let root = '';

export function inRoot(...path: readonly string[]): string {
  return join(root, ...path);
}

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

before(() => {
  root = mkdtempSync(join(tmpdir(), 'garligate-cli-'));
});
after(() => rmSync(root, { recursive: true }));

/** Node's flags for running the sources; absolute, since the command runs in another folder. */
export const WITH_TYPESCRIPT = ['--import', import.meta.resolve('tsx')];

export function start(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): ChildProcess & { ended: Promise<Ended> } {
  const { GARLIGATE_CONFIG: _, ...inherited } = process.env;
  const child = spawn(process.execPath, [...WITH_TYPESCRIPT, MAIN, ...args], {
    cwd: root,
    env: { ...inherited, HOME: root, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const closed = new Promise<number | null>((resolve) => child.once('close', resolve));
  const ended = Promise.all([text(child.stdout), text(child.stderr), closed]).then(([out, err, code]) => ({
    code,
    out,
    err,
  }));
  return Object.assign(child, { ended });
}

/** The same at a terminal of its own: what is written to its input is typed there, and its output is all that stands on it. */
export function startAtTerminal(args: readonly string[]): ChildProcessWithoutNullStreams {
  const { GARLIGATE_CONFIG: _, ...inherited } = process.env;
  const words = [process.execPath, ...WITH_TYPESCRIPT, MAIN, ...args].map((word) => `'${word}'`);
  return spawn('script', ['--quiet', '--return', '--command', `exec ${words.join(' ')}`, '/dev/null'], {
    cwd: root,
    env: { ...inherited, HOME: root, SHELL: '/bin/sh' },
  });
}

export function garligate(...args: readonly string[]): Promise<Ended> {
  return start(args).ended;
}

/** A config whose every path lies in a directory of its own; root needs no user and no native part for it. */
export function place(name: string, more = ''): { config: string; key: string; socket: string } {
  const paths = {
    config: join(root, `${name}.toml`),
    key: join(root, name, 'id.key'),
    socket: join(root, name, 'run/s'),
  };
  const [top = '', rest = ''] = more.startsWith('socks') ? [more, ''] : ['', more];
  writeFileSync(
    paths.config,
    `${top}
[identity]
key_file = "${paths.key}"
[control]
socket = "${paths.socket}"
[router]
sam = "127.0.0.1:1"
directory = "${join(root, name, 'router')}"
[privileges]
user = "root"
${rest}`,
    { mode: 0o600 },
  );
  return paths;
}

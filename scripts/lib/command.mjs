/**
 * Runs other programs for the developer's commands: finds them on the PATH, runs them quietly or in the open, and tells a
 * person what went wrong. Knows nothing of what the programs are for.
 */
import { spawn } from 'node:child_process';
import { accessSync, constants, realpathSync, statSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The checkout, wherever the command was typed. */
export const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** A failure that a person can repair: printed without a stack. */
export class SetUpError extends Error {}

/** This very Node first, for what it starts; the sbin folders last, which the PATH of an ordinary user lacks. */
export const SEARCH_PATH = [
  ...new Set([
    dirname(process.execPath),
    ...(process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== ''),
    '/usr/sbin',
    '/sbin',
  ]),
].join(delimiter);

export const isRoot = () => process.getuid?.() === 0;

/**
 * @param {string} name a program's name, without folders
 * @returns {string | undefined} where it is
 */
export function findProgram(name) {
  return SEARCH_PATH.split(delimiter)
    .map((folder) => join(folder, name))
    .find(isExecutable);
}

/** @param {string} path */
function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/**
 * @typedef {object} Outcome
 * @property {boolean} ok
 * @property {number} code the exit code; 128 + the number of the signal, as a shell counts, for a program that was killed
 * @property {string} output what it wrote, both streams in the order of arrival
 */

/**
 * Runs a program to its end, with no standard input, and collects what it writes.
 * @param {string} program
 * @param {readonly string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv }} [options]
 * @returns {Promise<Outcome>}
 */
export function collect(program, args, options = {}) {
  return new Promise((resolve) => {
    const child = spawn(program, args, {
      cwd: options.cwd ?? ROOT,
      env: options.env ?? { ...process.env, PATH: SEARCH_PATH },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    /** @type {Buffer[]} */
    const chunks = [];
    child.stdout.on('data', (chunk) => chunks.push(chunk));
    child.stderr.on('data', (chunk) => chunks.push(chunk));
    child.on('error', (error) => resolve({ ok: false, code: 127, output: `${program}: ${error.message}\n` }));
    child.on('close', (code, signal) => {
      const output = Buffer.concat(chunks).toString('utf8');
      resolve({ ok: code === 0, code: exitCodeOf(code, signal), output });
    });
  });
}

const SIGNAL_NUMBERS = /** @type {Readonly<Record<string, number>>} */ ({
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGABRT: 6,
  SIGKILL: 9,
  SIGSEGV: 11,
  SIGPIPE: 13,
  SIGTERM: 15,
});

/**
 * @param {number | null} code
 * @param {string | null} signal
 */
export function exitCodeOf(code, signal) {
  return code ?? 128 + (SIGNAL_NUMBERS[signal ?? ''] ?? 0);
}

/**
 * Runs a program that must succeed.
 * @param {string} doing what a person would call it
 * @param {string} program
 * @param {readonly string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv }} [options]
 * @returns {Promise<string>} its output
 */
export async function mustRun(doing, program, args, options) {
  const outcome = await collect(program, args, options);
  if (outcome.ok) return outcome.output;
  throw new SetUpError(
    `${outcome.output.trimEnd()}\n\n${doing} failed (${program} ended with ${outcome.code}); see above.`,
  );
}

/**
 * The body of a command: prints a SetUpError as a message and anything else with its stack.
 * @param {() => Promise<number | void>} work returns the exit code, 0 when it returns nothing
 */
export async function main(work) {
  try {
    process.exitCode = (await work()) ?? 0;
  } catch (error) {
    console.error(error instanceof SetUpError ? error.message : error);
    process.exitCode = 1;
  }
}

/**
 * Whether this module is the command that was typed, and not imported by another.
 * @param {string} moduleUrl its import.meta.url
 */
export function isCommand(moduleUrl) {
  return process.argv[1] !== undefined && fileURLToPath(moduleUrl) === realpathSync(process.argv[1]);
}

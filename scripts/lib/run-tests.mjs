/**
 * Runs test files, each in a process of its own, and counts. A file that hangs is ended with all that it started; a file
 * that ends early, runs no test or skips one counts as failed. Knows no groups.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ROOT, SEARCH_PATH } from './command.mjs';
import { TALLY_FOLDER } from './tally-reporter.mjs';

/**
 * @typedef {object} FileResult
 * @property {string} file
 * @property {number} passed
 * @property {number} failed every file that is not well has at least one
 * @property {number} seconds
 * @property {readonly string[]} complaints what is wrong beyond the tests that failed
 * @property {string} output
 */

const TALLY_REPORTER = fileURLToPath(new URL('./tally-reporter.mjs', import.meta.url));
/** What V8 made of the code, for the files that load the same code next; from 22.1 on, and Node keeps its versions apart. */
const COMPILE_CACHE = join(ROOT, 'build/compile-cache');
/** Between the polite signal and the final one. */
const GRACE_MS = 5_000;

/** Process groups of the files that run now. @type {Set<number>} */
const running = new Set();

/**
 * @param {readonly string[]} files relative to the checkout
 * @param {{ atOnce: number, fileSeconds: number, onFile: (result: FileResult) => void }} options
 * @returns {Promise<FileResult[]>}
 */
export async function runFiles(files, { atOnce, fileSeconds, onFile }) {
  const waiting = [...files];
  /** @type {FileResult[]} */
  const results = [];
  const worker = async () => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
      const result = await runFile(file, fileSeconds);
      results.push(result);
      onFile(result);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return results;
}

/** Ends whatever runs now, for a person who pressed Ctrl-C. */
export function endAll() {
  for (const group of running) signalGroup(group, 'SIGKILL');
}

/**
 * @param {string} file
 * @param {number} seconds
 * @returns {Promise<FileResult>}
 */
async function runFile(file, seconds) {
  const startedAt = performance.now();
  const folder = mkdtempSync(join(tmpdir(), 'garligate-test-'));
  try {
    const { pid, timedOut, ending, output } = await runProcess(file, folder, seconds);
    const { passed, failures, skipped, running: unfinished, complete } = readTally(join(folder, String(pid)));
    const complaints = skipped.map((name) => `skipped: ${name}`);
    if (timedOut) complaints.push(`it took more than ${seconds} s and was ended`);
    else if (passed + failures.length + skipped.length === 0)
      complaints.push(`no test of it came to an end (${ending})`);
    else if (!complete) complaints.push(`it ended before its tests did (${ending})`);
    else if (failures.length === 0 && ending !== 'exit code 0') complaints.push(`it passed, but ended with ${ending}`);
    const failed = failures.length + complaints.length;
    // A file that was cut short had no chance to print what it knew.
    const lost = complete ? [] : [...failures, ...unfinished.map((name) => `was running: ${name}`)];
    const took = (performance.now() - startedAt) / 1000;
    return { file, passed, failed, seconds: took, complaints, output: [...lost, output].join('\n') };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** From 22.18 on Node leaves types out by itself, in half the time. */
const TYPES = Reflect.get(process.features, 'typescript') ? [] : ['--import', 'tsx'];

const FLAGS = [
  ...TYPES,
  '--test-reporter=spec',
  '--test-reporter-destination=stdout',
  `--test-reporter=${TALLY_REPORTER}`,
];

/**
 * @param {string} file
 * @param {string} tallyFolder
 * @param {number} seconds
 * @returns {Promise<{ pid: number | undefined, timedOut: boolean, ending: string, output: string }>}
 */
function runProcess(file, tallyFolder, seconds) {
  // Stays empty, since the reporter writes by itself; a device will not do, because Node wants it on the disk.
  const destination = `--test-reporter-destination=${join(tallyFolder, 'nothing')}`;
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [...FLAGS, destination, file], {
      cwd: ROOT,
      // Under `node --test` the last variable would turn the reporters off.
      env: {
        ...process.env,
        PATH: SEARCH_PATH,
        NODE_COMPILE_CACHE: COMPILE_CACHE,
        [TALLY_FOLDER]: tallyFolder,
        NODE_TEST_CONTEXT: undefined,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    const group = child.pid;
    if (group !== undefined) running.add(group);
    /** @type {Buffer[]} */
    const chunks = [];
    child.stdout.on('data', (chunk) => chunks.push(chunk));
    child.stderr.on('data', (chunk) => chunks.push(chunk));
    let timedOut = false;
    /** @type {NodeJS.Timeout | undefined} */
    let final;
    const limit = setTimeout(() => {
      timedOut = true;
      signalGroup(group, 'SIGTERM');
      final = setTimeout(() => signalGroup(group, 'SIGKILL'), GRACE_MS);
    }, seconds * 1000);
    /** @param {string} ending */
    const finish = (ending) => {
      clearTimeout(limit);
      clearTimeout(final);
      if (group !== undefined) running.delete(group);
      resolve({ pid: group, timedOut, ending, output: Buffer.concat(chunks).toString('utf8') });
    };
    child.on('error', (error) => finish(error.message));
    // A test must not leave processes behind, and one that did would hold the pipes open for ever.
    child.on('exit', () => signalGroup(group, 'SIGKILL'));
    child.on('close', (code, signal) => finish(signal === null ? `exit code ${code}` : `signal ${signal}`));
  });
}

/**
 * @param {number | undefined} group
 * @param {NodeJS.Signals} signal
 */
function signalGroup(group, signal) {
  if (group === undefined) return;
  try {
    process.kill(-group, signal);
  } catch {
    // Nobody of that group is left.
  }
}

/**
 * @typedef {object} Tally
 * @property {number} passed
 * @property {string[]} failures names and messages
 * @property {string[]} skipped
 * @property {string[]} running tests and suites that had begun and not ended, the outer ones first
 * @property {boolean} complete whether node:test came to its end
 */

/**
 * @param {string} file
 * @returns {Tally}
 */
function readTally(file) {
  /** @type {Tally} */
  const tally = { passed: 0, failures: [], skipped: [], running: [], complete: false };
  for (const line of readTextIfThere(file).split('\n')) {
    if (line === '') continue;
    /** @type {import('./tally-reporter.mjs').TallyLine} */
    const entry = JSON.parse(line);
    if (entry.kind === 'complete') tally.complete = true;
    else if (entry.kind === 'started') tally.running.push(entry.name);
    else {
      const at = tally.running.lastIndexOf(entry.name);
      if (at >= 0) tally.running.splice(at, 1);
      if (!entry.suite) countTest(tally, entry);
    }
  }
  return tally;
}

/**
 * @param {Tally} tally
 * @param {{ name: string, result: 'passed' | 'failed' | 'skipped', message: string }} test
 */
function countTest(tally, { name, result, message }) {
  if (result === 'passed') tally.passed += 1;
  else if (result === 'skipped') tally.skipped.push(name);
  else tally.failures.push(`failed: ${name}: ${message}`);
}

/** @param {string} file */
function readTextIfThere(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

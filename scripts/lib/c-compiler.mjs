/**
 * Calls the C compiler, and says where that cannot be done what a person has to install. Knows nothing of what is compiled.
 */
import { spawnSync } from 'node:child_process';
import { renameSync, rmSync } from 'node:fs';

const INSTALL = 'install one, on Debian and Ubuntu with: apt-get install gcc libc6-dev';

/** What compilers and linkers say, and what a person can do. The first that fits. */
const ADVICE = [
  {
    said: /cannot find \S*(?:asan|ubsan)|fatal error: sanitizer\/|-fsanitize/,
    means:
      'It has no sanitizers: use a compiler with AddressSanitizer and UndefinedBehaviorSanitizer. On Debian and Ubuntu gcc ' +
      'brings both: apt-get install gcc',
  },
  { said: /fatal error: .*No such file or directory/, means: `The C library's headers are missing: ${INSTALL}` },
];

/** A failure that the person at the keyboard can mend: its message is all there is to say. */
export class CompilerError extends Error {}

export const compiler = () => process.env['CC'] || 'cc';

/**
 * @param {string} what what is built, for people
 * @param {string} target moved into place when whole: another process may be loading, or building, the same file
 * @param {readonly string[]} args flags and files
 * @throws {CompilerError} without a compiler, without what it needs, or when it refuses
 */
export function compileInto(what, target, args) {
  const fresh = `${target}.${process.pid}`;
  const run = spawnSync(compiler(), ['-o', fresh, ...args], { encoding: 'utf8' });
  if (run.error !== undefined || run.status !== 0) {
    rmSync(fresh, { force: true });
    throw new CompilerError(complaint(what, run));
  }
  renameSync(fresh, target);
}

/**
 * @param {string} what
 * @param {import('node:child_process').SpawnSyncReturns<string>} run
 */
function complaint(what, run) {
  const name = compiler();
  if (run.error !== undefined && 'code' in run.error && run.error.code === 'ENOENT') {
    return `There is no C compiler ("${name}") to build ${what} with: ${INSTALL}`;
  }
  if (run.error !== undefined) return `The C compiler "${name}" could not be started: ${run.error.message}`;
  const advice = ADVICE.find(({ said }) => said.test(run.stderr));
  return [`Building ${what} failed:`, run.stderr.trim(), ...(advice === undefined ? [] : [advice.means])].join('\n');
}

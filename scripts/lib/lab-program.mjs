/**
 * Runs a program that makes namespaces and starts others. It gets SIGTERM, and then takes everything down in order, also
 * when this process is killed.
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { exitCodeOf, ROOT, SEARCH_PATH } from './command.mjs';

/**
 * @param {string} program its path in the checkout
 * @param {readonly string[]} args
 * @param {readonly string[]} [wrapper] a command that becomes the program
 * @returns {Promise<number>} its exit code
 */
export function runLabProgram(program, args, wrapper = []) {
  return new Promise((finished) => {
    const command = [...wrapper, process.execPath, '--import', 'tsx', join(ROOT, program), ...args];
    const child = spawn('setpriv', ['--pdeathsig', 'TERM', ...command], {
      cwd: ROOT,
      env: { ...process.env, PATH: SEARCH_PATH },
      stdio: 'inherit',
    });
    // From a terminal the lab hears these too; a second one changes nothing for it.
    for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) {
      process.on(signal, () => child.kill(signal));
    }
    child.on('error', (error) => {
      console.error(`${program} could not be started: ${error.message}`);
      finished(1);
    });
    child.on('exit', (code, signal) => finished(exitCodeOf(code, signal)));
  });
}

/**
 * `npm run lab`: sets up what the lab needs on this machine, then runs it (scripts/lab/main.ts with the arguments given
 * here). Knows nothing of what the lab does.
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { exitCodeOf, isRoot, main, ROOT, SEARCH_PATH, SetUpError } from './lib/command.mjs';
import { TEST_PACKAGES } from './lib/debian.mjs';
import { setUp } from './setup.mjs';

async function lab() {
  const args = process.argv.slice(2);
  if (!isRoot()) {
    throw new SetUpError(`The lab makes network namespaces and interfaces, for which it needs root: run
  sudo npm run lab${args.length > 0 ? ` -- ${args.join(' ')}` : ''}`);
  }
  await setUp({ packages: TEST_PACKAGES });
  return runLab(args);
}

/**
 * The lab gets SIGTERM, and then takes everything down in order, also when this process is killed.
 * @param {readonly string[]} args
 * @returns {Promise<number>} its exit code
 */
function runLab(args) {
  return new Promise((finished) => {
    const program = [process.execPath, '--import', 'tsx', join(ROOT, 'scripts/lab/main.ts'), ...args];
    const child = spawn('setpriv', ['--pdeathsig', 'TERM', ...program], {
      cwd: ROOT,
      env: { ...process.env, PATH: SEARCH_PATH },
      stdio: 'inherit',
    });
    // From a terminal the lab hears these too; a second one changes nothing for it.
    for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) {
      process.on(signal, () => child.kill(signal));
    }
    child.on('error', (error) => {
      console.error(`The lab could not be started: ${error.message}`);
      finished(1);
    });
    child.on('exit', (code, signal) => finished(exitCodeOf(code, signal)));
  });
}

await main(lab);

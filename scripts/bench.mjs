/**
 * `npm run bench`: sets up what the measurements need on this machine, then runs one of them (bench/main.ts with the
 * arguments given here). Knows nothing of what is measured.
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { exitCodeOf, isRoot, main, ROOT, SEARCH_PATH } from './lib/command.mjs';
import { BENCH_PACKAGES, COMPILER_PACKAGES, TEST_PACKAGES } from './lib/debian.mjs';
import { setUp } from './setup.mjs';

async function bench() {
  await setUp({ packages: [...COMPILER_PACKAGES, ...BENCH_PACKAGES, ...(isRoot() ? TEST_PACKAGES : [])] });
  const child = spawn(process.execPath, ['--import', 'tsx', join(ROOT, 'bench/main.ts'), ...process.argv.slice(2)], {
    env: { ...process.env, PATH: SEARCH_PATH },
    stdio: 'inherit',
  });
  return /** @type {Promise<number>} */ (
    new Promise((finished) => child.on('exit', (code, signal) => finished(exitCodeOf(code, signal))))
  );
}

await main(bench);

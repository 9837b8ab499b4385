/**
 * `npm run bench`: sets up what the measurements need on this machine, then runs one of them (bench/main.ts with the
 * arguments given here). Knows nothing of what is measured.
 */
import { isRoot, main } from './lib/command.mjs';
import { BENCH_PACKAGES, COMPILER_PACKAGES, TEST_PACKAGES } from './lib/debian.mjs';
import { runLabProgram } from './lib/lab-program.mjs';
import { setUp } from './setup.mjs';

async function bench() {
  await setUp({ packages: [...COMPILER_PACKAGES, ...BENCH_PACKAGES, ...(isRoot() ? TEST_PACKAGES : [])] });
  return runLabProgram('bench/main.ts', process.argv.slice(2));
}

await main(bench);

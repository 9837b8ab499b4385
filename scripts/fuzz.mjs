/** `npm run fuzz`: sets up what the fuzzer needs, then runs it (test/fuzz/main.ts with the arguments given here). */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { exitCodeOf, main, ROOT } from './lib/command.mjs';
import { COMPILER_PACKAGES } from './lib/debian.mjs';
import { setUp } from './setup.mjs';

async function fuzz() {
  await setUp({ packages: COMPILER_PACKAGES, native: false, dist: false });
  const child = spawn(
    process.execPath,
    ['--import', 'tsx', join(ROOT, 'test/fuzz/main.ts'), ...process.argv.slice(2)],
    {
      cwd: ROOT,
      stdio: 'inherit',
    },
  );
  return /** @type {Promise<number>} */ (
    new Promise((finished) => child.on('exit', (code, signal) => finished(exitCodeOf(code, signal))))
  );
}

await main(fuzz);

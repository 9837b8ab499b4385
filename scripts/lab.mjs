/**
 * `npm run lab`: sets up what the lab needs on this machine, then runs it (scripts/lab/main.ts with the arguments given
 * here). Knows nothing of what the lab does.
 */
import { isRoot, main, SetUpError } from './lib/command.mjs';
import { TEST_PACKAGES } from './lib/debian.mjs';
import { runLabProgram } from './lib/lab-program.mjs';
import { setUp } from './setup.mjs';

async function lab() {
  const args = process.argv.slice(2);
  if (!isRoot()) {
    throw new SetUpError(`The lab makes network namespaces and interfaces, for which it needs root: run
  sudo npm run lab${args.length > 0 ? ` -- ${args.join(' ')}` : ''}`);
  }
  await setUp({ packages: TEST_PACKAGES });
  return runLabProgram('scripts/lab/main.ts', args);
}

await main(lab);

/**
 * `npm run chaos`: sets up what the fault lab needs on this machine, then runs it (scripts/chaos/main.ts with the arguments
 * given here). Knows no fault.
 */
import { isRoot, main, SetUpError } from './lib/command.mjs';
import { TEST_PACKAGES } from './lib/debian.mjs';
import { runLabProgram } from './lib/lab-program.mjs';
import { setUp } from './setup.mjs';

async function chaos() {
  const args = process.argv.slice(2);
  if (!isRoot()) {
    throw new SetUpError(`The fault lab makes network namespaces and interfaces, for which it needs root: run
  sudo npm run chaos${args.length > 0 ? ` -- ${args.join(' ')}` : ''}`);
  }
  await setUp({ packages: TEST_PACKAGES });
  return runLabProgram('scripts/chaos/main.ts', args);
}

await main(chaos);

/**
 * `npm run soak`: sets up what a soak needs on this machine, then runs it (scripts/soak/main.ts with the arguments given
 * here) in a network namespace of its own, which goes with it.
 */
import { isRoot, main, SetUpError } from './lib/command.mjs';
import { TEST_PACKAGES } from './lib/debian.mjs';
import { runLabProgram } from './lib/lab-program.mjs';
import { setUp } from './setup.mjs';

async function soak() {
  const args = process.argv.slice(2);
  if (!isRoot()) {
    throw new SetUpError(`A soak makes a network namespace and an interface, for which it needs root: run
  sudo npm run soak${args.length > 0 ? ` -- ${args.join(' ')}` : ''}`);
  }
  await setUp({ packages: TEST_PACKAGES });
  return runLabProgram('scripts/soak/main.ts', args, ['unshare', '--net']);
}

await main(soak);

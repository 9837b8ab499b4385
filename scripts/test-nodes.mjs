/**
 * `npm run test:nodes`: runs tests with the other release lines of Node, whose real binaries come from the npm registry and
 * are kept in build/nodes. Arguments are those of `npm test`; without any, all groups that the caller has the rights for,
 * but for the routers, which do not depend on Node.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { collect, exitCodeOf, isRoot, main, mustRun, ROOT, SetUpError } from './lib/command.mjs';
import { setUp } from './setup.mjs';

const VERSIONS = ['22.23.3', '24.21.0'];

/**
 * The package `node` fetches the package of its platform with an install script; that one holds the binary and needs none.
 * @param {string} version
 * @returns {Promise<string>} the path of the binary
 */
async function binaryOf(version) {
  const name = `node-linux-${process.arch}`;
  const folder = join(ROOT, 'build/nodes', version);
  const binary = join(folder, 'node_modules', name, 'bin/node');
  if (!existsSync(binary)) {
    console.log(`Fetching Node ${version} ...`);
    const flags = ['--no-save', '--no-package-lock', '--ignore-scripts', '--no-audit', '--no-fund'];
    await mustRun(`Fetching Node ${version}`, 'npm', ['install', '--prefix', folder, ...flags, `${name}@${version}`]);
  }
  const found = (await collect(binary, ['--print', 'process.version'])).output.trim();
  if (found === `v${version}`) return binary;
  throw new SetUpError(
    `${binary} should be Node ${version} and calls itself "${found}". Remove build/nodes and try again.`,
  );
}

/**
 * @param {string} binary
 * @param {readonly string[]} args
 * @param {NodeJS.ProcessEnv} env
 * @returns {Promise<number>} its exit code
 */
function runTests(binary, args, env) {
  return new Promise((resolve, reject) => {
    const child = spawn(binary, [join(ROOT, 'scripts/test.mjs'), ...args], { cwd: ROOT, env, stdio: 'inherit' });
    child.on('error', reject);
    child.on('exit', (code, signal) => resolve(exitCodeOf(code, signal)));
  });
}

await main(async () => {
  await setUp({ native: false, dist: false });
  const given = process.argv.slice(2);
  const args = given.length > 0 ? given : ['unit', 'sim', ...(isRoot() ? ['net'] : [])];
  const folder = mkdtempSync(join(tmpdir(), 'garligate-nodes-'));
  try {
    // One sum over all versions, unless the caller keeps one already.
    const env = { GARLIGATE_TEST_SUM: join(folder, 'sum'), ...process.env };
    let worst = 0;
    for (const version of VERSIONS) {
      const binary = await binaryOf(version);
      console.log(`\nNode ${version}`);
      worst = Math.max(worst, await runTests(binary, args, env));
    }
    return worst;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

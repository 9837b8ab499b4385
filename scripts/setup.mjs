/**
 * Sets up what the other commands stand on: node_modules, Debian packages, the native part, the compiled program. Does
 * only what is missing, so that it may run before every command. Uses nothing but Node, since it comes first.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { buildNative } from './build-native.mjs';
import { makeAccount } from './lib/account.mjs';
import { findProgram, isCommand, isRoot, main, mustRun, ROOT, SetUpError } from './lib/command.mjs';
import { COMPILER_PACKAGES, installPackages, missingPackages } from './lib/debian.mjs';

const OLDEST_NODE = [20, 19];
const DIST = join(ROOT, 'dist');
const DIST_STAMP = join(DIST, '.made-from');

/**
 * @param {object} [wanted]
 * @param {readonly string[]} [wanted.packages] Debian packages that the caller needs
 * @param {boolean} [wanted.native] whether to compile native/
 * @param {boolean} [wanted.dist] whether to compile src/ to dist/
 * @param {boolean} [wanted.account] whether to make the user that the gateway becomes
 * @param {boolean} [wanted.quiet] says only what is installed, not what is built
 * @throws {SetUpError} with what a person has to do
 */
export async function setUp({ packages = [], native = true, dist = true, account = dist, quiet = false } = {}) {
  /** @param {string} line */
  const say = (line) => quiet || console.error(line);
  checkNode();
  await installNodeModules(say);
  await installPackages(await missingPackages(packages));
  if (native && !nativeIsBuilt()) await buildWithCompiler();
  if (account) await makeAccount();
  if (dist) await compile(say);
  await giveToOwner('build');
}

function checkNode() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const [oldestMajor = 0, oldestMinor = 0] = OLDEST_NODE;
  if (major > oldestMajor || (major === oldestMajor && minor >= oldestMinor)) return;
  throw new SetUpError(
    `Node ${process.versions.node} is too old: garligate needs ${OLDEST_NODE.join('.')} or newer (${process.execPath} was ` +
      'used). Install a newer Node and run the command again; with sudo, check that `sudo node --version` is the new one.',
  );
}

/** @param {(line: string) => void} say */
async function installNodeModules(say) {
  if (nodeModulesMatch()) return;
  if (findProgram('npm') === undefined) {
    throw new SetUpError('npm is missing. Install it (it comes with Node; on Debian the package npm) and try again.');
  }
  say('Installing node_modules ...');
  // Not `npm ci`, which begins by throwing all of node_modules away, also for one package that is missing; the comparison
  // below is as strict. The compiler and the test tools are development packages, so NODE_ENV=production must not leave
  // them out. No install script is needed, and none gets to run.
  const flags = ['--no-save', '--ignore-scripts', '--include=dev', '--no-audit', '--no-fund'];
  await mustRun('Installing node_modules', 'npm', ['install', ...flags]);
  if (!nodeModulesMatch()) {
    throw new SetUpError(
      'node_modules is not what package-lock.json says, although npm has just installed it. Remove node_modules and try ' +
        'again; if that does not help, package.json and package-lock.json contradict each other.',
    );
  }
  await giveToOwner('node_modules');
}

/** Compares versions instead of dates: a checkout changes dates, and an unneeded install takes ten seconds. */
function nodeModulesMatch() {
  const installedFile = join(ROOT, 'node_modules/.package-lock.json');
  if (!existsSync(installedFile)) return false;
  const installed = lockedPackages(installedFile);
  return Object.entries(lockedPackages(join(ROOT, 'package-lock.json'))).every(
    ([path, { version, optional }]) =>
      path === '' || (installed[path]?.version ?? (optional ? version : '')) === version,
  );
}

/**
 * @param {string} file
 * @returns {Record<string, { version?: string, optional?: boolean }>}
 */
function lockedPackages(file) {
  return JSON.parse(readFileSync(file, 'utf8')).packages;
}

/** Whether the native part is there, or could be built with what is there. */
export function nativeIsBuilt() {
  try {
    buildNative();
    return true;
  } catch {
    // Whoever needs it installs a compiler and asks again.
    return false;
  }
}

async function buildWithCompiler() {
  await installPackages(await missingPackages(COMPILER_PACKAGES));
  try {
    buildNative();
  } catch (error) {
    throw new SetUpError(error instanceof Error ? error.message : String(error));
  }
}

/** @param {(line: string) => void} say */
async function compile(say) {
  const madeFrom = fingerprint(['src', 'tsconfig.json', 'tsconfig.build.json', 'package-lock.json']);
  if (existsSync(DIST_STAMP) && readFileSync(DIST_STAMP, 'utf8') === madeFrom) return;
  say('Compiling src/ ...');
  rmSync(DIST_STAMP, { force: true });
  const compiler = join(ROOT, 'node_modules/typescript/bin/tsc');
  await mustRun('Compiling src/', process.execPath, [compiler, '-p', 'tsconfig.build.json']);
  removeOrphans();
  mkdirSync(DIST, { recursive: true });
  writeFileSync(DIST_STAMP, madeFrom);
  await giveToOwner('dist');
}

/**
 * Changes when any of the files does, by the names, sizes and dates of all of them.
 * @param {readonly string[]} paths files or folders, relative to the checkout
 */
function fingerprint(paths) {
  const hash = createHash('sha256');
  for (const path of paths) {
    for (const file of filesUnder(join(ROOT, path))) {
      const { size, mtimeMs } = statSync(file);
      hash.update(`${relative(ROOT, file)} ${size} ${mtimeMs}\n`);
    }
  }
  return hash.digest('hex');
}

/** The compiler leaves the output of deleted sources behind. */
function removeOrphans() {
  for (const file of filesUnder(DIST)) {
    const source = join(ROOT, 'src', relative(DIST, file).replace(/\.js(\.map)?$/, '.ts'));
    if (!existsSync(source)) rmSync(file);
  }
}

/**
 * @param {string} path
 * @returns {string[]} the file itself, or all files in the folder, sorted
 */
function filesUnder(path) {
  if (statSync(path).isFile()) return [path];
  return readdirSync(path, { recursive: true, encoding: 'utf8' })
    .map((name) => join(path, name))
    .filter((file) => statSync(file).isFile())
    .sort();
}

/**
 * What root makes under sudo in a person's checkout belongs to that person, who could not remove it otherwise.
 * @param {string} path relative to the checkout
 */
async function giveToOwner(path) {
  const { uid, gid } = statSync(ROOT);
  if (!isRoot() || uid === 0 || !existsSync(join(ROOT, path))) return;
  await mustRun(`Changing the owner of ${path}`, 'chown', ['--recursive', '--no-dereference', `${uid}:${gid}`, path]);
}

if (isCommand(import.meta.url)) await main(() => setUp());

/**
 * Compiles native/ into build/native/garligate.node with one call of the C compiler: no node-gyp, no network, about a
 * second, and nothing at all when the sources are those of the last build.
 *
 * Node-API keeps its binary interface, so one build serves every Node from 20 on; the libc and the processor do not, which
 * is why it is built on the machine that runs it.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const sources = join(root, 'native');
const headers = join(root, 'node_modules/node-api-headers/include');
const directory = join(root, 'build/native');
const target = join(directory, 'garligate.node');
const stamp = join(directory, 'garligate.stamp');

const FLAGS = [
  '-std=c11',
  '-O3',
  '-shared',
  '-fPIC',
  '-pthread',
  '-fvisibility=hidden',
  '-fstack-protector-strong',
  '-U_FORTIFY_SOURCE',
  '-D_FORTIFY_SOURCE=2',
  '-DNAPI_VERSION=8',
  '-Wall',
  '-Wextra',
  '-Wconversion',
  '-Wcast-qual',
  '-Werror',
  '-Wl,-z,relro,-z,now',
];

const INSTALL = 'install one, on Debian and Ubuntu with: apt-get install gcc libc6-dev';

/** A failure that the person at the keyboard can mend: its message is all there is to say. */
class BuildError extends Error {}

/**
 * @param {{ force?: boolean }} [options]
 * @returns {{ target: string, built: boolean }} `built` is false when the last build still fits
 * @throws {BuildError} without a compiler, without the headers, or when the compiler refuses
 */
export function buildNative({ force = false } = {}) {
  if (process.platform !== 'linux') throw new BuildError('garligate runs on Linux only: the native part is not built.');
  const compiler = process.env['CC'] || 'cc';
  const names = readdirSync(sources)
    .filter((name) => /\.[ch]$/.test(name))
    .sort();
  const fingerprint = fingerprintOf(compiler, names);
  if (!force && existsSync(target) && existsSync(stamp) && readFileSync(stamp, 'utf8') === fingerprint) {
    return { target, built: false };
  }
  if (!existsSync(join(headers, 'node_api.h'))) {
    throw new BuildError('The Node-API headers are missing (package node-api-headers): run "npm ci" first.');
  }

  mkdirSync(directory, { recursive: true });
  // Moved into place when whole: another process may be loading, or building, the same file.
  const fresh = `${target}.${process.pid}`;
  const files = names.filter((name) => name.endsWith('.c')).map((name) => join(sources, name));
  const run = spawnSync(compiler, [...FLAGS, '-I', headers, '-o', fresh, ...files], { encoding: 'utf8' });
  if (run.error !== undefined || run.status !== 0) {
    rmSync(fresh, { force: true });
    throw new BuildError(complaint(compiler, run));
  }
  renameSync(fresh, target);
  writeFileSync(stamp, fingerprint);
  return { target, built: true };
}

/**
 * @param {string} compiler
 * @param {readonly string[]} names
 */
function fingerprintOf(compiler, names) {
  const hash = createHash('sha256').update(JSON.stringify([process.arch, compiler, FLAGS]));
  for (const name of names) hash.update(`\0${name}\0`).update(readFileSync(join(sources, name)));
  return hash.digest('hex');
}

/**
 * @param {string} compiler
 * @param {import('node:child_process').SpawnSyncReturns<string>} run
 */
function complaint(compiler, run) {
  if (run.error !== undefined && 'code' in run.error && run.error.code === 'ENOENT') {
    return `There is no C compiler ("${compiler}") to build the native part with: ${INSTALL}`;
  }
  if (run.error !== undefined) return `The C compiler "${compiler}" could not be started: ${run.error.message}`;
  const headersMissing = /fatal error: .*No such file or directory/.test(run.stderr);
  const advice = headersMissing ? `\nThe C library's headers are missing: ${INSTALL}` : '';
  return `Building the native part failed:\n${run.stderr.trim()}${advice}`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    const { target: path, built } = buildNative({ force: process.argv.includes('--force') });
    console.log(built ? `built ${path}` : `${path} is up to date`);
  } catch (error) {
    if (!(error instanceof BuildError)) throw error;
    console.error(error.message);
    process.exitCode = 1;
  }
}

/**
 * Compiles native/ into build/native/garligate.node with one call of the C compiler: no node-gyp, no network, about a
 * second, and nothing at all when the sources are those of the last build.
 *
 * Node-API keeps its binary interface, so one build serves every Node from 20 on; the libc and the processor do not, which
 * is why it is built on the machine that runs it.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { CompilerError, compileInto, compiler } from './lib/c-compiler.mjs';

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

/**
 * @param {{ force?: boolean }} [options]
 * @returns {{ target: string, built: boolean }} `built` is false when the last build still fits
 * @throws {CompilerError} without a compiler, without the headers, or when the compiler refuses
 */
export function buildNative({ force = false } = {}) {
  if (process.platform !== 'linux')
    throw new CompilerError('garligate runs on Linux only: the native part is not built.');
  const names = readdirSync(sources)
    .filter((name) => /\.[ch]$/.test(name))
    .sort();
  const fingerprint = fingerprintOf(names);
  if (!force && existsSync(target) && existsSync(stamp) && readFileSync(stamp, 'utf8') === fingerprint) {
    return { target, built: false };
  }
  if (!existsSync(join(headers, 'node_api.h'))) {
    throw new CompilerError('The Node-API headers are missing (package node-api-headers): run "npm ci" first.');
  }

  mkdirSync(directory, { recursive: true });
  const files = names.filter((name) => name.endsWith('.c')).map((name) => join(sources, name));
  compileInto('the native part', target, [...FLAGS, '-I', headers, ...files]);
  writeFileSync(stamp, fingerprint);
  return { target, built: true };
}

/** @param {readonly string[]} names */
function fingerprintOf(names) {
  const hash = createHash('sha256').update(JSON.stringify([process.arch, compiler(), FLAGS]));
  for (const name of names) hash.update(`\0${name}\0`).update(readFileSync(join(sources, name)));
  return hash.digest('hex');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    const { target: path, built } = buildNative({ force: process.argv.includes('--force') });
    console.log(built ? `built ${path}` : `${path} is up to date`);
  } catch (error) {
    if (!(error instanceof CompilerError)) throw error;
    console.error(error.message);
    process.exitCode = 1;
  }
}

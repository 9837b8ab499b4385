/** What is built is always the same, wherever it is built. Here among the tests that have a compiler for the native part. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { promisify } from 'node:util';

const ROOT = join(import.meta.dirname, '../..');
const run = promisify(execFile);

const directories: string[] = [];
after(() => {
  for (const directory of directories) rmSync(directory, { recursive: true });
});

/** Builds a copy of the sources in a directory of its own. @returns the hash of each file that came of it */
async function build(name: string): Promise<ReadonlyMap<string, string>> {
  const directory = mkdtempSync(join(tmpdir(), name));
  directories.push(directory);
  for (const part of ['src', 'native', 'scripts', 'package.json', 'tsconfig.json', 'tsconfig.build.json']) {
    cpSync(join(ROOT, part), join(directory, part), { recursive: true });
  }
  symlinkSync(join(ROOT, 'node_modules'), join(directory, 'node_modules'));
  const compiler = join(directory, 'node_modules/typescript/bin/tsc');
  // What is right for the compiler is what `npm run check` asks.
  await run(process.execPath, [compiler, '-p', 'tsconfig.build.json', '--noCheck'], { cwd: directory });
  await run(process.execPath, ['scripts/build-native.mjs'], { cwd: directory });
  const made = ['dist', 'build'].flatMap((part) =>
    readdirSync(join(directory, part), { recursive: true, encoding: 'utf8' }).map((file) => join(part, file)),
  );
  return new Map(
    made
      .filter((file) => statSync(join(directory, file)).isFile())
      .sort()
      .map((file) => [
        file,
        createHash('sha256')
          .update(readFileSync(join(directory, file)))
          .digest('hex'),
      ]),
  );
}

test('built twice, in two directories, every file of the program and of its native part is the same', async () => {
  const [one, other] = await Promise.all([build('a-'), build('another-place-')]);
  assert.ok(one.has('dist/cli/main.js') && one.has('build/native/garligate.node'));
  assert.deepEqual(other, one);
});

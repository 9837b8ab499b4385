/** What comes from elsewhere into the program is pinned, and runs nothing on its way in. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const ROOT = join(import.meta.dirname, '..');

interface Locked {
  readonly version?: string;
  readonly resolved?: string;
  readonly integrity?: string;
  readonly dev?: boolean;
  readonly hasInstallScript?: boolean;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const { packages }: { readonly packages: Readonly<Record<string, Locked>> } = JSON.parse(
  readFileSync(join(ROOT, 'package-lock.json'), 'utf8'),
);
const locked = Object.entries(packages).filter(([place]) => place !== '');

test('every package is pinned by its version and its hash', () => {
  assert.ok(locked.length > 20);
  const loose = locked.filter(
    ([, { version, integrity }]) => version === undefined || !/^sha512-[\w+/]{86}==$/.test(integrity ?? ''),
  );
  assert.deepEqual(
    loose.map(([place]) => place),
    [],
  );
});

test('the lock file is whole, also for machines of other kinds, as `npm ci` demands', () => {
  /** As Node looks for it: beside whoever wants it, then further out. */
  const isLocked = (place: string, name: string): boolean =>
    `${place === '' ? '' : `${place}/`}node_modules/${name}` in packages ||
    (place !== '' && isLocked(place.slice(0, Math.max(0, place.lastIndexOf('/node_modules/'))), name));
  const missing = Object.entries(packages).flatMap(([place, { dependencies, devDependencies, optionalDependencies }]) =>
    Object.keys({ ...dependencies, ...(place === '' ? devDependencies : {}), ...optionalDependencies })
      .filter((name) => !isLocked(place, name))
      .map((name) => `${name}, which ${place} wants`),
  );
  assert.deepEqual(missing, []);
});

test('no package of the running program wants a script to be run when it is installed, and setting up runs none of any', () => {
  const wanting = locked.filter(([, { dev = false, hasInstallScript = false }]) => hasInstallScript && !dev);
  assert.deepEqual(
    wanting.map(([place]) => place),
    [],
  );
  // All of these tests run on what it has installed.
  const installing = readFileSync(join(ROOT, 'scripts/setup.mjs'), 'utf8').match(/'npm', \[[^\]]*\]/g);
  assert.deepEqual(installing, ["'npm', ['install', ...flags]"]);
  assert.match(readFileSync(join(ROOT, 'scripts/setup.mjs'), 'utf8'), /const flags = \[.*'--ignore-scripts'/);
});

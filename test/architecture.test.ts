/**
 * The rules of the house that neither the compiler nor the linter knows: who may import whom (and that the checker of that
 * still bites), how long a file may be, that it says what it is for, who may look at a secret, and who at the
 * clock on the wall.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { checkLayers, describeProblem } from '../scripts/check-layers.mjs';

const SOURCE = fileURLToPath(new URL('../src', import.meta.url));
const BAD_LAYERS = fileURLToPath(new URL('./fixtures/bad-layers', import.meta.url));

const LONGEST_FILE = 350;

/** The places that need the text of a secret, and why. */
const MAY_REVEAL: Readonly<Record<string, string>> = {
  'front/socks/authentication.ts': 'it checks passwords against their hashes',
  'front/socks/isolation.ts': 'equal credentials get the same session',
  'kit/same.ts': 'a password that was changed has changed the config',
  'io/key-file.ts': 'it writes the key that it made',
  'wire/sam/command.ts': 'the bridge wants the private key and the password in a line',
};

/** The places that need the time of day, which anybody may set to another: whatever waits goes by a clock that only goes on. */
const MAY_ASK_THE_TIME: Readonly<Record<string, string>> = {
  'io/key-use.ts': 'the last use of a key is noted for another process',
  'io/log-pino.ts': 'a line of the log says when it was written',
};

const sources = readdirSync(SOURCE, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts'))
  .sort()
  .map((file) => ({ file, text: readFileSync(join(SOURCE, file), 'utf8') }));

describe('the one-way rule', () => {
  test('is kept in src', () => {
    const { problems } = checkLayers(SOURCE);
    assert.deepEqual(
      problems.map((problem) => describeProblem(problem, 'src')),
      [],
    );
  });

  test('is broken by each bad import of the fixture, and by no good one', () => {
    const { modules, problems } = checkLayers(BAD_LAYERS, { fewestModules: 1 });
    assert.equal(modules, 9);
    assert.deepEqual(problems.map((problem) => describeProblem(problem, '')).sort(), [
      'core/circle-three.ts:1: cycle: core/circle-one.ts -> core/circle-two.ts -> core/circle-three.ts -> core/circle-one.ts',
      'core/socket.ts:1: builtin: node:net is not for core, which uses of Node: node:stream, node:crypto; the outside world is for io/',
      'front/left/left.ts:3: front: fronts are strangers to each other, and front/right/right.ts belongs to another one',
      'front/right/right.ts:1: layer: front may not know io (io/resolver.ts); it sees kit, wire, core',
      'io/resolver.ts:1: builtin: node:dns is forbidden everywhere: a name that reaches the resolver of the system has left I2P',
      'io/resolver.ts:2: package: fast-check is not one of the packages that src/ may use',
      'io/resolver.ts:3: package: commander is used only in cli',
      'kit/upward.ts:1: layer: kit may not know io (io/resolver.ts); it sees nothing but itself',
      'kit/upward.ts:3: builtin: node:stream is not for kit, which uses of Node: the types of node:stream, node:events, node:util; the outside world is for io/',
    ]);
  });

  test('is not taken as kept in a folder that is not the source', () => {
    const { problems } = checkLayers(BAD_LAYERS);
    assert.equal(problems.filter(({ rule }) => rule === 'count').length, 1);
  });
});

describe('each file of src', () => {
  test(`has at most ${LONGEST_FILE} lines`, () => {
    const lengths = sources.map(({ file, text }) => ({ file, lines: text.trimEnd().split('\n').length }));
    assert.deepEqual(
      lengths.filter(({ lines }) => lines > LONGEST_FILE),
      [],
    );
  });

  test('begins by saying what it is for', () => {
    const silent = sources.filter(({ text }) => !/^(#!.*\n)?\/\*\*\s*\n? \*? ?\S/.test(text));
    assert.deepEqual(
      silent.map(({ file }) => file),
      [],
    );
  });
});

describe('a secret', () => {
  const revealing = sources.filter(({ text }) => /\.reveal\(/.test(text)).map(({ file }) => file);

  test('is looked at only where it has to be', () => {
    assert.deepEqual(
      revealing.filter((file) => !(file in MAY_REVEAL)),
      [],
    );
  });

  test('is still looked at in each of those places', () => {
    assert.deepEqual(
      Object.keys(MAY_REVEAL).filter((file) => !revealing.includes(file)),
      [],
    );
  });
});

describe('the clock on the wall', () => {
  const asking = sources
    .filter(({ text }) => /\bDate\.(now|parse|UTC)|\bnew Date\b|\bDate\(/.test(text))
    .map(({ file }) => file);

  test('is looked at only where the time of day is wanted', () => {
    assert.deepEqual(
      asking.filter((file) => !(file in MAY_ASK_THE_TIME)),
      [],
    );
  });

  test('is still looked at in each of those places', () => {
    assert.deepEqual(
      Object.keys(MAY_ASK_THE_TIME).filter((file) => !asking.includes(file)),
      [],
    );
  });
});

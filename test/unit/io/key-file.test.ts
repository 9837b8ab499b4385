import assert from 'node:assert/strict';
import { execFileSync, fork } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { inspect } from 'node:util';
import { loadOrCreateKeys, lockKeys, readKeys } from '../../../src/io/key-file.ts';
import { generateKeys } from '../../../src/io/key-generate.ts';
import { GateError } from '../../../src/kit/errors.ts';

const CREATOR = new URL('../../../src/io/key-file.ts', import.meta.url).href;
let root = '';
let path = '';
let count = 0;

before(() => {
  root = mkdtempSync(join(tmpdir(), 'garligate-key-'));
});
after(() => rmSync(root, { recursive: true }));
beforeEach(() => {
  count += 1;
  path = join(root, String(count), 'identity.key');
});

function place(text: string | Buffer, mode = 0o600): void {
  mkdirSync(dirname(path), { mode: 0o700 });
  writeFileSync(path, text, { mode });
  chmodSync(path, mode);
}

function refused(code: string, pattern: RegExp): (error: unknown) => boolean {
  return (error) => error instanceof GateError && error.code === `identity.${code}` && pattern.test(error.message);
}

test('makes a key once and then keeps it', async () => {
  const made = await loadOrCreateKeys(path);
  assert.equal(made.created, true);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal(statSync(dirname(path)).mode & 0o777, 0o700);
  assert.deepEqual(readdirSync(dirname(path)), ['identity.key']);
  assert.equal(readFileSync(path, 'utf8'), `${made.keys.blob.reveal()}\n`);
  const again = await loadOrCreateKeys(path);
  assert.equal(again.created, false);
  assert.equal(again.keys.blob.reveal(), made.keys.blob.reveal());
  assert.equal(inspect(made, { depth: 9 }).includes(made.keys.blob.reveal()), false);
});

test('modes do not depend on the umask', async () => {
  const before = process.umask(0);
  try {
    await loadOrCreateKeys(path);
  } finally {
    process.umask(before);
  }
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal(statSync(dirname(path)).mode & 0o777, 0o700);
});

for (const ending of ['', '\n', '\r\n']) {
  test(`reads a key of another program that ends with ${JSON.stringify(ending)}`, async () => {
    const keys = generateKeys();
    place(keys.blob.reveal() + ending);
    assert.equal((await readKeys(path)).destination.b32, keys.destination.b32);
  });
}

test('without a file, reading says how to get one', async () => {
  await assert.rejects(readKeys(path), refused('missing', /garligate init/));
});

const blob = generateKeys().blob.reveal();
for (const [what, text, pattern] of [
  ['an empty file', '', /is empty/],
  ['only a newline', '\n', /is empty/],
  ['several lines', `${blob}\n${blob}\n`, /several lines/],
  ['a truncated key', blob.slice(0, 600), /holds no private key/],
  ['a public destination', blob.slice(0, 520), /holds no private key/],
  ['standard base64', blob.replace(/[-~A]/, '+'), /holds no private key/],
  ['something else', 'hello', /holds no private key/],
  ['bytes', Buffer.from([0, 1, 2, 255]), /holds no private key/],
  ['a huge file', 'A'.repeat(20_000), /too large/],
] as const) {
  test(`refuses ${what} and does not replace it`, async () => {
    place(text);
    const before = readFileSync(path);
    await assert.rejects(loadOrCreateKeys(path), refused('content', pattern));
    await assert.rejects(loadOrCreateKeys(path), (error) => !String(error).includes(blob.slice(0, 40)));
    assert.deepEqual(readFileSync(path), before);
  });
}

for (const mode of [0o640, 0o604, 0o620, 0o602, 0o644]) {
  test(`refuses mode ${mode.toString(8)}`, async () => {
    place(blob, mode);
    await assert.rejects(loadOrCreateKeys(path), refused('mode', /chmod 600/));
  });
}

test('refuses a symbolic link, even to a good key', async () => {
  place(blob);
  const link = join(root, 'link.key');
  symlinkSync(path, link);
  await assert.rejects(loadOrCreateKeys(link), refused('symlink', /symbolic link/));
});

test('refuses a link to nothing instead of following it', async () => {
  mkdirSync(dirname(path), { mode: 0o700 });
  symlinkSync('/nowhere/at/all', path);
  await assert.rejects(loadOrCreateKeys(path), refused('symlink', /symbolic link/));
});

test('refuses a directory and a named pipe, without waiting for the pipe', async () => {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  await assert.rejects(loadOrCreateKeys(path), refused('not-a-file', /not a regular file/));
  const pipe = join(dirname(path), 'pipe');
  execFileSync('mkfifo', ['-m', '600', pipe]);
  await assert.rejects(loadOrCreateKeys(pipe), refused('not-a-file', /not a regular file/));
});

test('refuses a directory that others can write to', async () => {
  place(blob);
  chmodSync(dirname(path), 0o770);
  await assert.rejects(loadOrCreateKeys(path), refused('directory', /chmod 700/));
});

test('refuses to make a key in a directory that others can write to', async () => {
  mkdirSync(dirname(path));
  chmodSync(dirname(path), 0o777);
  await assert.rejects(loadOrCreateKeys(path), refused('directory', /chmod 700/));
  assert.deepEqual(readdirSync(dirname(path)), []);
});

if (process.geteuid?.() === 0) {
  test('refuses the file and the directory of another user', async () => {
    place(blob);
    chownSync(path, 65_534, 65_534);
    await assert.rejects(loadOrCreateKeys(path), refused('owner', /chown 0/));
    chownSync(path, 0, 0);
    chownSync(dirname(path), 65_534, 65_534);
    await assert.rejects(loadOrCreateKeys(path), refused('directory', /belongs to user 65534/));
  });
}

test('several processes at once make one key', async () => {
  const script = join(root, 'create.mts');
  writeFileSync(
    script,
    `import { loadOrCreateKeys } from '${CREATOR}';
    const { keys, created } = await loadOrCreateKeys(process.argv[2]);
    process.send({ b32: keys.destination.b32, created });`,
  );
  const answers = await Promise.all(Array.from({ length: 6 }, () => childAnswer(script)));
  assert.equal(new Set(answers.map(({ b32 }) => b32)).size, 1);
  assert.equal(answers.filter(({ created }) => created).length, 1);
  assert.deepEqual(readdirSync(dirname(path)), ['identity.key']);
});

test('one key serves one gateway, until that ends in whatever way', async () => {
  await loadOrCreateKeys(path);
  const script = join(root, 'hold.mts');
  writeFileSync(
    script,
    `import { lockKeys } from '${CREATOR}';
    await lockKeys(process.argv[2]);
    process.send('held');
    setInterval(() => {}, 1000);`,
  );
  const holder = fork(script, [path], { execArgv: process.execArgv });
  await new Promise((resolve) => holder.once('message', resolve));
  await assert.rejects(lockKeys(path), refused('in-use', /another gateway/));
  // Reading, as `garligate address` does, is no use.
  await readKeys(path);
  holder.kill('SIGKILL');
  await new Promise((resolve) => holder.once('close', resolve));
  const lock = await lockKeys(path);
  await assert.rejects(lockKeys(path), refused('in-use', /another gateway/));
  await lock.release();
  await (await lockKeys(path)).release();
});

test('whoever holds a key learns how long nobody has used it', async () => {
  await loadOrCreateKeys(path);
  const first = await lockKeys(path);
  assert.equal(first.unusedMs, Number.POSITIVE_INFINITY);
  const note = `${path}.last-use`;
  assert.equal(statSync(note).mode & 0o777, 0o600);
  // A gateway that was killed has said nothing of its end.
  const whileInUse = readFileSync(note);
  await first.release();
  const second = await lockKeys(path);
  assert.ok(second.unusedMs < 60_000, `${second.unusedMs} ms`);
  await second.release();
  writeFileSync(note, whileInUse);
  await expectUnused(0);
  writeFileSync(note, `${new Date(Date.now() - 3_600_000).toISOString()}\n`);
  await expectUnused(3_600_000);
  // The clock has been set back since.
  writeFileSync(note, `${new Date(Date.now() + 3_600_000).toISOString()}\n`);
  await expectUnused(0);
  // One that was cut off, as by a full disk, would be the midnight before.
  writeFileSync(note, new Date(Date.now() - 48 * 3_600_000).toISOString().slice(0, 10));
  await expectUnused(0);
  // Of the key that stood in the file before.
  const replaced = await lockKeys(path);
  writeFileSync(path, `${generateKeys().blob.reveal()}\n`);
  await replaced.release();
  const anew = await lockKeys(path);
  assert.equal(anew.unusedMs, Number.POSITIVE_INFINITY);
  await anew.release();
  // What cannot be noted is not known.
  rmSync(note);
  mkdirSync(note);
  await expectUnused(0);
});

async function expectUnused(ms: number): Promise<void> {
  const { unusedMs, release } = await lockKeys(path);
  assert.ok(unusedMs >= ms && unusedMs <= ms + 60_000 && (ms > 0 || unusedMs === 0), `${unusedMs} ms`);
  await release();
}

function childAnswer(script: string): Promise<{ b32: string; created: boolean }> {
  return new Promise((resolve, reject) => {
    const child = fork(script, [path], { execArgv: process.execArgv });
    child.once('message', (answer: { b32: string; created: boolean }) => resolve(answer));
    child.once('close', (code) => reject(new Error(`ended with ${code}`)));
  });
}

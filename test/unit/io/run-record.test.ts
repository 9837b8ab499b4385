/** The record of a process that a gateway has started: whom the next gateway ends, and whom never. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { systemClock } from '../../../src/io/clock.ts';
import { isAlive, markOf, type ProcessMark } from '../../../src/io/processes.ts';
import { claimRecord } from '../../../src/io/run-record.ts';
import { silentLogger } from '../../../src/kit/log.ts';

const directory = mkdtempSync(join(tmpdir(), 'garligate-record-'));
after(() => rmSync(directory, { recursive: true }));
const parts = { clock: systemClock, log: silentLogger };
const GONE: ProcessMark = { pid: 1, startedAt: 'never' };

async function sleepIn(cwd: string) {
  const child = spawn('sleep', ['60'], { cwd, stdio: 'ignore' });
  const ended = new Promise((resolve) => child.once('close', resolve));
  const mark = (await markOf(child.pid ?? 0)) ?? assert.fail('no process');
  return { mark, end: () => child.kill('SIGKILL') && ended };
}

for (const [where, cwd, isEnded] of [
  ['works in the directory', directory, true],
  ['works elsewhere, whatever the record says', tmpdir(), false],
] as const) {
  test(`what is on record and ${where}, is ${isEnded ? 'ended' : 'left alone'}`, async () => {
    const { mark, end } = await sleepIn(cwd);
    const path = join(directory, `${isEnded}.pid`);
    writeFileSync(path, JSON.stringify([mark, GONE]));
    const record = await claimRecord(path, directory, parts);
    assert.equal(await isAlive(mark), !isEnded);
    await record.release();
    await end();
  });
}

test('a record names the process and its gateway, closed to others, and goes', async () => {
  const path = join(directory, 'own.pid');
  const record = await claimRecord(path, directory, parts);
  writeFileSync(path, 'x'.repeat(1000));
  const me = await markOf(process.pid);
  assert.ok(me !== undefined);
  await record.write(me);
  assert.deepEqual(JSON.parse(readFileSync(path, 'utf8')), [me, me]);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  await record.release();
  assert.throws(() => statSync(path), { code: 'ENOENT' });
});

test('what its gateway could not end is left on record, and the next gateway ends it', async () => {
  const { mark, end } = await sleepIn(directory);
  const path = join(directory, 'kept.pid');
  const record = await claimRecord(path, directory, parts);
  await record.write(mark);
  await record.keep();
  assert.equal(await isAlive(mark), true);
  const next = await claimRecord(path, directory, parts);
  assert.equal(await isAlive(mark), false);
  await next.release();
  await end();
});

test('one that ends by itself before its signal comes is no trouble', async (t) => {
  const { mark, end } = await sleepIn(directory);
  const path = join(directory, 'quick.pid');
  writeFileSync(path, JSON.stringify([mark, GONE]));
  const kill = t.mock.method(process, 'kill', (pid: number) => {
    void end();
    throw Object.assign(new Error(`kill ${pid}`), { code: 'ESRCH' });
  });
  const record = await claimRecord(path, directory, parts);
  assert.ok(kill.mock.callCount() > 0);
  await record.release();
});

test('a record that cannot be cleared is closed and removed all the same, and the log says so', async (t) => {
  const path = join(directory, 'full.pid');
  const warned: string[] = [];
  const log = { ...silentLogger, warn: (text: string) => void warned.push(text) };
  const record = await claimRecord(path, directory, { ...parts, log });
  const isHeld = () =>
    readdirSync('/proc/self/fd').some((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`).startsWith(path);
      } catch {
        return false;
      }
    });
  assert.equal(isHeld(), true);
  const other = await open(path);
  t.mock.method(Object.getPrototypeOf(other), 'truncate', () => Promise.reject(new Error('no')));
  await other.close();
  await record.release();
  assert.equal(isHeld(), false);
  assert.throws(() => statSync(path), { code: 'ENOENT' });
  assert.match(warned.join(), /clearing the record/);
});

test('a link in the place of the record is not followed', async () => {
  const path = join(directory, 'link.pid');
  symlinkSync(join(directory, 'elsewhere'), path);
  await assert.rejects(claimRecord(path, directory, parts), /record of garligate's own i2pd/);
  assert.throws(() => statSync(join(directory, 'elsewhere')), { code: 'ENOENT' });
});

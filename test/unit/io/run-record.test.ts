/** The record of a process that a gateway has started: whom the next gateway ends, and whom never. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
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
  await record.write(process.pid);
  const me = await markOf(process.pid);
  assert.deepEqual(JSON.parse(readFileSync(path, 'utf8')), [me, me]);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  await record.release();
  assert.throws(() => statSync(path), { code: 'ENOENT' });
});

test('a link in the place of the record is not followed', async () => {
  const path = join(directory, 'link.pid');
  symlinkSync(join(directory, 'elsewhere'), path);
  await assert.rejects(claimRecord(path, directory, parts), /record of the own i2pd/);
  assert.throws(() => statSync(join(directory, 'elsewhere')), { code: 'ENOENT' });
});

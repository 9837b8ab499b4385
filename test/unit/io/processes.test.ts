import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { findProgram, findUser, hasEnded, isAlive, listensAt, markOf } from '../../../src/io/processes.ts';

test('a process is known by its number and its start', async () => {
  const child = spawn('sleep', ['60']);
  const mark = await markOf(child.pid ?? 0);
  assert.ok(mark !== undefined);
  assert.equal(await isAlive(mark), true);
  assert.equal(await isAlive({ ...mark, startedAt: '1' }), false);
  assert.deepEqual([await hasEnded(mark), await hasEnded({ ...mark, startedAt: '1' })], [false, true]);
  child.kill('SIGKILL');
  await new Promise((resolve) => child.once('close', resolve));
  assert.deepEqual([await isAlive(mark), await hasEnded(mark)], [false, true]);
});

test('a listener is known to be of a user, on loopback only', async () => {
  const me = process.geteuid?.() ?? assert.fail();
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  assert.equal(await listensAt(me, address.port), true);
  assert.equal(await listensAt(me + 1, address.port), false);
  server.close();
  assert.equal(await listensAt(me, address.port), false);
});

test('finds the first user that exists', async () => {
  assert.deepEqual(await findUser(['no-such-user', 'root', 'nobody']), { uid: 0, gid: 0 });
  assert.equal(await findUser(['no-such-user', '']), undefined);
  assert.deepEqual(await findUser(['root', 'nobody'], 0), { uid: 65534, gid: 65534 });
});

test('finds programs along absolute directories only', async () => {
  assert.match((await findProgram('sh', '/nowhere:/usr/bin:/bin')) ?? '', /^\/(usr\/)?bin\/sh$/);
  assert.equal(await findProgram('sh', ''), undefined);
  assert.equal(await findProgram('sh', '.:bin:usr/bin'), undefined);
  assert.equal(await findProgram('no-such-program', process.env['PATH'] ?? ''), undefined);
});

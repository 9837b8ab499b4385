import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { request } from 'node:http';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { createMethodRegistry } from '../../../src/control/methods.ts';
import { parseAnswer } from '../../../src/control/protocol.ts';
import { shortened } from '../../../src/control/status.ts';
import { systemClock } from '../../../src/io/clock.ts';
import { ControlServer, connectControl } from '../../../src/io/control-socket.ts';
import { sleep } from '../../../src/kit/clock.ts';
import { GateError } from '../../../src/kit/errors.ts';
import { silentLogger } from '../../../src/kit/log.ts';
import { FakeClock } from '../../helpers/fake-clock.ts';
import { until } from '../../helpers/until.ts';
import { sampleExposure, samplePing, sampleReload, sampleReport, sampleSubject } from '../control/sample-report.ts';

const NEVER = new AbortController().signal;
const PING = '{"v":1,"id":1,"method":"ping","params":{"peer":"alice","timeoutMs":300000}}\n';
const STATUS = '{"v":1,"id":1,"method":"status","params":{}}\n';
let root = '';
let path = '';
let clock = new FakeClock();
let server: ControlServer;
let failing = false;
let reloads = 0;
let pings = { asked: 0, running: 0 };
let exposures = 0;
/** Let each exposure that is under way be answered. */
let release: Array<() => void> = [];
let logged: string[] = [];

before(() => {
  root = mkdtempSync(join(tmpdir(), 'garligate-control-'));
  path = join(root, 'run', 'control.sock');
});
after(() => rmSync(root, { recursive: true }));
beforeEach(async () => {
  clock = new FakeClock();
  failing = false;
  reloads = 0;
  pings = { asked: 0, running: 0 };
  exposures = 0;
  release = [];
  logged = [];
  const methods = createMethodRegistry({
    ...sampleSubject,
    status: () => {
      if (failing) throw new TypeError('the secret of the bug');
      return sampleReport();
    },
    reload: async () => {
      reloads += 1;
      return sampleReload();
    },
    ping: async (_peer, timeoutMs, signal) => {
      pings.asked += 1;
      pings.running += 1;
      try {
        await sleep(clock, timeoutMs, signal);
        return samplePing();
      } finally {
        pings.running -= 1;
      }
    },
    exposure: async () => {
      exposures += 1;
      await new Promise<void>((resolve) => release.push(resolve));
      return sampleExposure();
    },
  });
  const log = { ...silentLogger, error: (message: string) => void logged.push(message) };
  server = new ControlServer({ path, mode: 0o660, methods, clock, log });
  await server.start();
});
afterEach(() => server.stop());

function dial(): Socket {
  const socket = connect({ path, allowHalfOpen: true });
  socket.on('error', () => {});
  return socket;
}

async function answersTo(bytes: string | Buffer): Promise<readonly string[]> {
  const socket = dial();
  socket.end(bytes);
  return (await text(socket)).split('\n').filter((line) => line !== '');
}

test('answers a client, again and again on one connection', async () => {
  const client = await connectControl(path, systemClock, NEVER);
  assert.deepEqual(await client.request('status', { reveal: true }), sampleReport());
  assert.deepEqual(await client.request('peers', { reveal: true }), sampleReport().peers);
  await assert.rejects(
    client.request('nonsense'),
    (error) => error instanceof GateError && error.code === 'control.method',
  );
  assert.ok(Array.isArray(await client.request('help')));
  client.close();
});

test('the socket is closed to others from its first moment, and so is its directory', () => {
  assert.equal(statSync(path).mode & 0o777, 0o660);
  assert.equal(statSync(dirname(path)).mode & 0o7777, 0o750);
});

test('answers a client that has ended its own side', async () => {
  const answers = await answersTo(STATUS.repeat(3));
  assert.equal(answers.length, 3);
  for (const answer of answers) assert.ok('ok' in parseAnswer(answer));
});

test('a request may come byte by byte', async () => {
  const socket = dial();
  for (const letter of STATUS) {
    socket.write(letter);
    await new Promise((resolve) => setImmediate(resolve));
  }
  socket.end();
  assert.equal((await text(socket)).split('\n').length, 2);
});

test('garbage gets an error each and ends nothing', async () => {
  const answers = await answersTo(`GET / 1.1\n\u0000\u0001\n\n{"v":9}\n${STATUS}`);
  assert.equal(answers.length, 5);
  for (const answer of answers.slice(0, 4)) assert.ok('error' in parseAnswer(answer));
  assert.ok('ok' in parseAnswer(answers[4] ?? ''));
  const random = Buffer.from(Array.from({ length: 5000 }, (_, index) => (index * 7919) % 256));
  assert.ok((await answersTo(random)).every((answer) => 'error' in parseAnswer(answer)));
});

test('a page that has a browser post to it, through whoever relays that, has nothing done', async () => {
  const reload = '{"v":1,"id":1,"method":"reload","params":{}}\n';
  const post = request({ socketPath: path, method: 'POST', path: '/', headers: { Host: 'evil' } });
  post.end(Buffer.concat([Buffer.of(5, 1, 0, 5, 1, 0, 3, 5), Buffer.from(`a.i2p\0P\n${reload}`)]));
  // What comes back is no HTTP.
  await once(post, 'error');
  const [answer = '', ...more] = await answersTo(`POST / HTTP/1.1\r\nHost: evil\r\n\r\n${reload}`);
  assert.match(answer, /control\.http/);
  assert.deepEqual([more, reloads], [[], 0]);
  await answersTo(reload);
  assert.equal(reloads, 1);
});

test('a line without end is refused and its connection closed', async () => {
  const socket = dial();
  socket.write(Buffer.alloc(1_000_000, 'x'));
  const said = await text(socket).catch(() => '');
  // Closing with unread bytes may destroy the answer on its way, but never lets the sender go on.
  if (said !== '') assert.match(said, /control\.line-too-long/);
  await until('the connection is closed', () => socket.destroyed || socket.readableEnded);
  socket.destroy();
  assert.equal((await answersTo(STATUS)).length, 1);
});

test('a thousand clients that say nothing keep nobody out', async () => {
  const silent: Socket[] = [];
  // Fewer at a time than the kernel lets wait.
  while (silent.length < 1_000) {
    const wave = Array.from({ length: 100 }, dial);
    for (const socket of wave) socket.write('{"v":1,');
    silent.push(...wave);
    await until('all have come', () => {
      const { clients, counts } = server.snapshot();
      return clients + counts.displaced === silent.length;
    });
  }
  assert.equal((await answersTo(STATUS)).length, 1);
  await until(
    'only so many are kept',
    () => silent.filter((socket) => !socket.destroyed && !ended(socket)).length <= 32,
  );
  assert.deepEqual(server.snapshot().counts, { displaced: 969, refusedLimit: 0 });
  await clock.advance(15_000);
  await until('all are let go', () => silent.every((socket) => socket.destroyed || ended(socket)));
  assert.equal(clock.pending, 0);
  for (const socket of silent) socket.destroy();
});

function ended(socket: Socket): boolean {
  socket.resume();
  return socket.readableEnded;
}

test('a client that asks and never reads is let go in time', async () => {
  const socket = dial();
  socket.pause();
  // More than all buffers between the two hold on any release of Node.
  for (let count = 0; count < 50_000 && socket.writable; count += 1) socket.write(STATUS);
  await clock.settle();
  assert.equal((await answersTo(STATUS)).length, 1);
  await until('its questions wait', () => socket.writableLength > 0);
  await clock.advance(15_000);
  await until('it is gone', () => socket.destroyed || !socket.writable || clock.pending === 0);
  socket.destroy();
});

test('a bug is logged and not told', async () => {
  failing = true;
  const [answer = ''] = await answersTo(STATUS);
  assert.match(answer, /an internal error/);
  assert.doesNotMatch(answer, /secret/);
  assert.deepEqual(logged, ['a defect: answering a control request failed; please report this']);
});

test('stopping closes connections and removes the socket', async () => {
  const client = await connectControl(path, systemClock, NEVER);
  await client.request('help');
  await server.stop();
  await assert.rejects(client.request('help'), (error) => error instanceof GateError && error.code === 'control.gone');
  await assert.rejects(
    connectControl(path, systemClock, NEVER),
    (error) =>
      error instanceof GateError && error.code === 'control.not-running' && /garligate run/.test(error.message),
  );
  assert.equal(clock.pending, 0);
  await server.stop();
});

test('a gateway that does not answer is given up by the client', async () => {
  const mute = createServer().listen(join(root, 'mute'));
  const slow = new FakeClock();
  const client = await connectControl(join(root, 'mute'), slow, NEVER);
  const asked = assert.rejects(
    client.request('status'),
    (error) => error instanceof GateError && error.code === 'control.timeout',
  );
  await slow.advance(10_000);
  await asked;
  mute.close();
});

test('an answer that is none is called so', async () => {
  const strange = createServer((client) => client.end('hello\n')).listen(join(root, 'strange'));
  const client = await connectControl(join(root, 'strange'), systemClock, NEVER);
  await assert.rejects(
    client.request('status'),
    (error) => error instanceof GateError && error.code === 'control.answer',
  );
  strange.close();
});

test('refuses a directory where everybody could replace the socket', async () => {
  const open = join(root, 'open');
  mkdirSync(open);
  chmodSync(open, 0o777);
  const methods = createMethodRegistry(sampleSubject);
  const other = new ControlServer({ path: join(open, 's'), mode: 0o660, methods, clock, log: silentLogger });
  await assert.rejects(other.start(), (error) => error instanceof GateError && error.code === 'control.directory');
});

test('a question that takes longer than a connection may be idle is answered', async () => {
  const client = await connectControl(path, systemClock, NEVER);
  const answer = client.request('ping', { peer: 'alice', timeoutMs: 100_000 }, 30_000);
  await until('the question has come', () => pings.running === 1);
  await clock.advance(100_000);
  assert.deepEqual(await answer, samplePing());
  client.close();
});

test('a client that has ended its own side is waited for as long as its answer takes', async () => {
  const answer = answersTo(PING);
  await until('the question has come', () => pings.running === 1);
  await clock.advance(300_000);
  const [line = '', ...more] = await answer;
  assert.deepEqual([parseAnswer(line), more], [{ id: 1, ok: samplePing() }, []]);
});

test('nothing goes on for clients that asked and left, however many', async () => {
  for (let count = 0; count < 300; count += 1) {
    const socket = dial();
    socket.write(PING);
    await until('its question has come', () => pings.asked === count + 1);
    socket.destroy();
    assert.ok(pings.running <= 32);
  }
  assert.deepEqual(server.snapshot(), { clients: 32, counts: { displaced: 268, refusedLimit: 0 } });
  await clock.advance(1_000);
  await until('all is over', () => pings.running === 0 && server.snapshot().clients === 0);
  assert.equal(clock.pending, 0);
});

test('so many questions are answered at a time, those that clients have left behind among them', async () => {
  const ask = '{"v":1,"id":1,"method":"exposure"}\n';
  const left: Socket[] = [];
  while (left.length < 32) {
    const socket = dial();
    left.push(socket);
    socket.write(ask);
    await until('its question has come', () => exposures === left.length);
  }
  for (const socket of left) socket.destroy();
  const [busy = ''] = await answersTo(STATUS);
  assert.match(busy, /control\.busy/);
  assert.deepEqual([exposures, server.snapshot().counts.refusedLimit], [32, 1]);
  for (const answer of release) answer();
  await clock.settle();
  const [answer = ''] = await answersTo(STATUS);
  assert.deepEqual(parseAnswer(answer), { id: 1, ok: shortened(sampleReport()) });
});

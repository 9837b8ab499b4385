/** Listeners and the bridge on real loopback sockets: what ports.ts promises of the streams they hand out. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Duplex } from 'node:stream';
import { after, before, test } from 'node:test';
import { type Endpoint, parseEndpoint, type TcpEndpoint } from '../../../src/config/endpoint.ts';
import type { ListenerPort } from '../../../src/core/ports.ts';
import { tcpBridge } from '../../../src/io/bridge-tcp.ts';
import { systemClock } from '../../../src/io/clock.ts';
import { connected } from '../../../src/io/connected.ts';
import { listen } from '../../../src/io/listener.ts';
import { loadNative, type NativeAddon } from '../../../src/io/native.ts';
import { type ErrorKind, GateError } from '../../../src/kit/errors.ts';
import { silentLogger } from '../../../src/kit/log.ts';
import { FakeClock } from '../../helpers/fake-clock.ts';
import { until } from '../../helpers/until.ts';

const NEVER = new AbortController().signal;
const ANY_PORT: TcpEndpoint = { kind: 'tcp', host: '127.0.0.1', port: 0 };
/** A connected pair keeps the process alive, also when nobody holds it any more. */
const opened: Duplex[] = [];
let root = '';
before(() => {
  root = mkdtempSync(join(tmpdir(), 'garligate-sockets-'));
});
after(() => {
  rmSync(root, { recursive: true });
  for (const stream of opened) stream.destroy();
});

/** Clients are accepted by the native part, and by Node where that is not built. */
const WAYS: Readonly<Record<string, NativeAddon | GateError>> = {
  native: loadNative(),
  'not native': new GateError('local-io', 'native.not-built', 'not built'),
};

function open(): Promise<ListenerPort> {
  return listen({ endpoint: ANY_PORT, mode: 0o600 }, silentLogger);
}

function fails(kind: ErrorKind, code: string, pattern = /./): (error: unknown) => boolean {
  return (error) =>
    error instanceof GateError && error.kind === kind && error.code === code && pattern.test(error.message);
}

function endpointOf(listener: ListenerPort): TcpEndpoint {
  const endpoint = parseEndpoint(listener.where);
  assert.equal(endpoint?.kind, 'tcp');
  return endpoint?.kind === 'tcp' ? endpoint : ANY_PORT;
}

function dial(listener: ListenerPort): Socket {
  return dialAt(endpointOf(listener));
}

function dialAt({ host, port }: TcpEndpoint): Socket {
  const socket = connect({ host, port, allowHalfOpen: true });
  socket.on('error', () => {});
  opened.push(socket);
  return socket;
}

function firstClient(listener: ListenerPort): Promise<Duplex> {
  return new Promise((resolve) => {
    listener.accept((client) => {
      opened.push(client);
      resolve(client);
    });
  });
}

/** Unlike the consumers of node:stream, this leaves the other direction open. */
function readAll(stream: Duplex): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    stream.on('data', (chunk) => {
      text += String(chunk);
    });
    stream.once('end', () => resolve(text));
    stream.once('error', reject);
    stream.resume();
  });
}

for (const [way, native] of Object.entries(WAYS)) {
  const listenAt = (endpoint: Endpoint = ANY_PORT, mode = 0o600) => listen({ endpoint, mode }, silentLogger, native);
  let folder = '';
  before(() => {
    folder = mkdtempSync(join(root, 'way-'));
  });

  test(`${way}: clients arrive paused, with half-close, and with their address`, async () => {
    const listener = await listenAt();
    const origins: Array<string | undefined> = [];
    const arrived = new Promise<Duplex>((resolve) => {
      listener.accept((client, origin) => {
        origins.push(origin.address);
        resolve(client);
      });
    });
    const far = dial(listener);
    far.end('question');
    const near = await arrived;
    assert.deepEqual(origins, ['127.0.0.1']);
    assert.equal(near.readableFlowing, false);
    assert.equal(await readAll(near), 'question');
    // The client has ended its side and still gets its answer.
    near.end('answer');
    assert.equal(await readAll(far), 'answer');
    await listener.close();
  });

  test(`${way}: a client that resets in nobody's hands does no harm`, async () => {
    const listener = await listenAt();
    const early = dial(listener);
    await new Promise((resolve) => early.once('connect', resolve));
    early.resetAndDestroy();
    const near = firstClient(listener);
    const far = dial(listener);
    await near;
    far.resetAndDestroy();
    await until('the stream is gone', () => far.destroyed);
    await listener.close();
  });

  test(`${way}: clients that come before somebody accepts are kept, and let go when nobody does`, async () => {
    const listener = await listenAt();
    const far = dial(listener);
    far.end('early');
    await new Promise((resolve) => far.once('connect', resolve));
    assert.equal(await readAll(await firstClient(listener)), 'early');
    await listener.close();

    const unused = await listenAt();
    const waiting = dial(unused);
    await new Promise((resolve) => waiting.once('connect', resolve));
    await unused.close();
    waiting.resume();
    await until('the waiting client is let go', () => waiting.readableEnded || waiting.destroyed);
    waiting.destroy();
  });

  test(`${way}: closing frees the port while clients live on, and may be repeated`, async () => {
    const listener = await listenAt();
    const near = firstClient(listener);
    const far = dial(listener);
    const client = await near;
    await listener.close();
    await listener.close();
    const again = await listenAt(endpointOf(listener));
    client.end('still here');
    assert.equal(await readAll(far), 'still here');
    far.destroy();
    await again.close();
  });

  test(`${way}: says what is in the way of a listener`, async () => {
    const listener = await listenAt();
    await assert.rejects(
      listenAt(endpointOf(listener)),
      fails('local-io', 'listener.in-use', /in use by another program/),
    );
    await listener.close();
    const elsewhere: TcpEndpoint = { kind: 'tcp', host: '203.0.113.1', port: 0 };
    await assert.rejects(listenAt(elsewhere), fails('local-io', 'listener.address', /does not have the address/));
    const lost: Endpoint = { kind: 'unix', path: join(folder, 'no/such/directory/s') };
    await assert.rejects(listenAt(lost), fails('local-io', 'listener.directory'));
  });

  for (const mode of [0o600, 0o660, 0o620]) {
    test(`${way}: a unix socket has mode ${mode.toString(8)} and is gone afterwards`, async () => {
      const path = join(folder, `mode-${mode}`);
      const before = process.umask();
      const listener = await listenAt({ kind: 'unix', path }, mode);
      assert.equal(process.umask(), before);
      assert.equal(statSync(path).mode & 0o777, mode);
      assert.equal(listener.where, `unix:${path}`);
      const origin = new Promise((resolve) => {
        listener.accept((client, from) => {
          client.destroy();
          resolve(from.address);
        });
      });
      connect({ path }).on('error', () => {});
      assert.equal(await origin, undefined);
      await listener.close();
      assert.equal(existsSync(path), false);
    });
  }

  test(`${way}: a unix socket of a dead run is replaced, one of a living run is not`, async () => {
    const path = join(folder, 'shared');
    const first = await listenAt({ kind: 'unix', path });
    await assert.rejects(listenAt({ kind: 'unix', path }), fails('local-io', 'listener.in-use'));
    assert.ok(existsSync(path));
    await first.close();
    // A bound socket whose process is gone looks like this: a socket file, and nobody behind it.
    const stale = createServer();
    await new Promise<void>((resolve) => stale.listen(path, resolve));
    renameSync(path, `${path}.kept`);
    await new Promise((resolve) => stale.close(resolve));
    renameSync(`${path}.kept`, path);
    const second = await listenAt({ kind: 'unix', path });
    await second.close();
  });

  test(`${way}: a file in the place of a unix socket is not touched`, async () => {
    const path = join(folder, 'precious');
    writeFileSync(path, 'text');
    await assert.rejects(listenAt({ kind: 'unix', path }), fails('local-io', 'listener.not-a-socket', /move it away/));
    assert.ok(existsSync(path));
  });
}

test('clients that come while the file table is full wait at the door, are told of, and are served later', async () => {
  const script = join(import.meta.dirname, 'full-table.ts');
  const child = spawn('sh', ['-c', 'ulimit -n 80; exec "$0" "$@"', process.execPath, '--import', 'tsx', script]);
  child.stderr.pipe(process.stderr);
  const said: string[] = [];
  const lines = createInterface({ input: child.stdout });
  lines.on('line', (line) => said.push(line));
  await until('it listens', () => said.length > 0, 60_000);
  const clients = Array.from({ length: 100 }, () => dialAt({ ...ANY_PORT, port: Number(said[0]) }));
  await until('its table is full', () => said.includes('EMFILE'), 60_000);
  child.stdin.write('make room\n');
  const answered = () => clients.filter((client) => client.bytesRead > 0 || client.readableLength > 0).length;
  for (const client of clients) client.resume();
  await until('all are served', () => answered() === clients.length, 60_000);
  child.stdin.end();
  await new Promise((resolve) => child.once('exit', resolve));
});

test('the bridge hands out a paused connection with half-close', async () => {
  const listener = await open();
  const near = firstClient(listener);
  const stream = await tcpBridge(endpointOf(listener), systemClock).open(NEVER);
  assert.equal(stream.readableFlowing, false);
  const far = await near;
  far.end('last words');
  stream.write('a');
  assert.equal(await readAll(stream), 'last words');
  stream.end('after the end');
  assert.equal(await readAll(far), 'aafter the end');
  await listener.close();
});

test('the bridge says what to do when nobody listens, and keeps no timer', async () => {
  const listener = await open();
  await listener.close();
  const clock = new FakeClock();
  const bridge = tcpBridge(endpointOf(listener), clock);
  await assert.rejects(bridge.open(NEVER), fails('router-down', 'router.unreachable', /start the router.*router\.sam/));
  await assert.rejects(bridge.open(AbortSignal.abort()), fails('cancelled', 'cancelled'));
  assert.equal(clock.pending, 0);
});

test('a bridge that does not even answer is given up', async () => {
  const holder = spawn(process.execPath, ['-e', SMALL_LISTENER]);
  const port = Number(await new Promise((resolve) => holder.stdout.once('data', resolve)));
  holder.kill('SIGSTOP');
  // Its queue is full and nobody accepts: a further connection gets no answer.
  const endpoint = { ...ANY_PORT, port };
  for (let count = 0; count < 8; count += 1) dialAt(endpoint);
  const clock = new FakeClock();
  const opening = tcpBridge(endpoint, clock).open(NEVER);
  const refused = assert.rejects(opening, fails('router-down', 'router.no-answer', /does not answer/));
  await clock.advance(10_000);
  await refused;
  holder.kill('SIGKILL');
});

const SMALL_LISTENER = `require('node:net').createServer().listen({ host: '127.0.0.1', port: 0, backlog: 1 }, function () {
  process.stdout.write(String(this.address().port));
})`;

test('an outgoing connection that is given up leaves no socket', async () => {
  const controller = new AbortController();
  const socket = connect({ host: '127.0.0.1', port: 1 });
  const opening = connected(socket, controller.signal, 'testing', () => new GateError('local-io', 'x', 'x'));
  controller.abort();
  await assert.rejects(opening, fails('cancelled', 'cancelled', /testing/));
  assert.ok(socket.destroyed);
});

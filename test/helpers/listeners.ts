/**
 * What ports.ts promises of the clients of a listener, as tests for each way to accept them, on real loopback sockets; and
 * the means to be such a client.
 */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { after, before, test } from 'node:test';
import { type Endpoint, parseEndpoint, type TcpEndpoint } from '../../src/config/endpoint.ts';
import type { ListenerPort } from '../../src/core/ports.ts';
import { createTcpBridge } from '../../src/io/bridge-tcp.ts';
import { systemClock } from '../../src/io/clock.ts';
import { listen } from '../../src/io/listener.ts';
import type { Sockets } from '../../src/io/sockets.ts';
import { type ErrorKind, GateError } from '../../src/kit/errors.ts';
import { silentLogger } from '../../src/kit/log.ts';
import { noDelayAt } from './no-delay.ts';
import { until } from './until.ts';

export const ANY_PORT: TcpEndpoint = { kind: 'tcp', host: '127.0.0.1', port: 0 };
/** A connected pair keeps the process alive, also when nobody holds it any more. */
const opened: Duplex[] = [];
after(() => {
  for (const stream of opened) stream.destroy();
});

export function fails(kind: ErrorKind, code: string, pattern = /./): (error: unknown) => boolean {
  return (error) =>
    error instanceof GateError && error.kind === kind && error.code === code && pattern.test(error.message);
}

export function endpointOf(listener: ListenerPort): TcpEndpoint {
  const endpoint = parseEndpoint(listener.where);
  assert.equal(endpoint?.kind, 'tcp');
  return endpoint?.kind === 'tcp' ? endpoint : ANY_PORT;
}

function dial(listener: ListenerPort): Socket {
  return dialAt(endpointOf(listener));
}

export function dialAt({ host, port }: TcpEndpoint): Socket {
  const socket = connect({ host, port, allowHalfOpen: true });
  socket.on('error', () => {});
  opened.push(socket);
  return socket;
}

export function firstClient(listener: ListenerPort): Promise<Duplex> {
  return new Promise((resolve) => {
    listener.accept((client) => {
      opened.push(client);
      resolve(client);
    });
  });
}

/** Unlike the consumers of node:stream, this leaves the other direction open. */
export function readAll(stream: Duplex): Promise<string> {
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

export function testListeners(sockets: Sockets): void {
  const listenAt = (endpoint: Endpoint = ANY_PORT, mode = 0o600) =>
    listen({ endpoint, mode }, { clock: systemClock, log: silentLogger }, sockets);
  let folder = '';
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'garligate-sockets-'));
  });
  after(() => rmSync(folder, { recursive: true }));

  test('no socket waits to fill its segments, whoever has connected', async () => {
    const listener = await listenAt();
    const near = firstClient(listener);
    const endpoint = endpointOf(listener);
    const far = await createTcpBridge(endpoint, systemClock, sockets).open(new AbortController().signal);
    opened.push(far);
    await near;
    assert.deepEqual(noDelayAt(endpoint.port), [true, true]);
    // One that is not ours, and is as the kernel makes it: it can be told.
    const arrival = firstClient(listener);
    dial(listener);
    await arrival;
    assert.deepEqual(noDelayAt(endpoint.port).toSorted(), [false, true, true, true]);
    await listener.close();
  });

  test(`clients arrive paused, with half-close, and with their address`, async () => {
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

  test(`a client that resets in nobody's hands does no harm`, async () => {
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

  test(`clients that come before somebody accepts are kept, and let go when nobody does`, async () => {
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

  test(`closing frees the port while clients live on, and may be repeated`, async () => {
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

  test(`says what is in the way of a listener`, async () => {
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
    test(`a unix socket has mode ${mode.toString(8)} and is gone afterwards`, async () => {
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

  test(`a unix socket of a dead run is replaced, one of a living run is not`, async () => {
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

  test(`a file in the place of a unix socket is not touched`, async () => {
    const path = join(folder, 'precious');
    writeFileSync(path, 'text');
    await assert.rejects(listenAt({ kind: 'unix', path }), fails('local-io', 'listener.not-a-socket', /move it away/));
    assert.ok(existsSync(path));
  });
}

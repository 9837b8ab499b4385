/** Bytes on streams, counted on real sockets: on any other nothing is counted, and nobody would notice. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { test } from 'node:test';
import { ReceivedBytes } from '../../../../src/core/session/received.ts';
import { createTcpBridge } from '../../../../src/io/bridge-tcp.ts';
import { systemClock } from '../../../../src/io/clock.ts';
import { until } from '../../../helpers/until.ts';

const NEVER = new AbortController().signal;

test('bytes count from when a stream was added, and when it has ended too', async () => {
  const server = createServer({ noDelay: true }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  const bridge = createTcpBridge({ kind: 'tcp', host: '127.0.0.1', port: address.port }, systemClock);
  const open = async () => {
    const accepted = once(server, 'connection');
    const stream = await bridge.open(NEVER);
    const [far]: Socket[] = await accepted;
    assert.ok(far !== undefined);
    return { stream, far };
  };
  const received = new ReceivedBytes();
  const one = await open();
  one.far.write('STREAM STATUS RESULT=OK\n');
  await once(one.stream.resume(), 'data');
  received.add(one.stream);
  assert.equal(received.total(), 0);
  one.far.write(Buffer.alloc(1_000));
  await until('it has come', () => received.total() === 1_000);

  const other = await open();
  received.add(other.stream);
  other.stream.resume();
  other.far.write(Buffer.alloc(500));
  await until('it has come', () => received.total() === 1_500);
  one.far.end(Buffer.alloc(10));
  one.stream.end();
  await once(one.stream, 'close');
  assert.equal(received.total(), 1_510);
  received.add(one.stream);
  other.stream.destroy();
  await once(other.stream, 'close');
  assert.equal(received.total(), 1_510);
  server.close();
});

test('where somebody else has opened the stream, what he said with that counts', async () => {
  const server = createServer((far) => far.write('STREAM STATUS RESULT=OK\n')).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  const bridge = createTcpBridge({ kind: 'tcp', host: '127.0.0.1', port: address.port }, systemClock);
  const stream = await bridge.open(NEVER);
  await once(stream.resume(), 'data');
  const received = new ReceivedBytes();
  received.add(stream, 'the start');
  assert.equal(received.total(), 24);
  stream.destroy();
  server.close();
});

test('of what is no socket nothing is known', () => {
  const received = new ReceivedBytes();
  const stream = new Duplex({ read: () => {}, write: (_chunk, _encoding, done) => done() });
  received.add(stream);
  assert.equal(received.total(), 0);
  assert.equal(stream.listenerCount('close'), 0);
});

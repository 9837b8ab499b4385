/**
 * The SOCKS front on real sockets of loopback, with the real relay: what only the kernel shows, namely ends and resets
 * and their order against the last bytes.
 */
import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { afterEach, test } from 'node:test';
import { createRelayCore } from '../../../../src/core/relay/relay.ts';
import { createSocksServer, type SocksServer } from '../../../../src/front/socks/server.ts';
import { systemClock } from '../../../../src/io/clock.ts';
import { listen } from '../../../../src/io/listener.ts';
import { GateError } from '../../../../src/kit/errors.ts';
import { silentLogger } from '../../../../src/kit/log.ts';
import { until } from '../../../helpers/until.ts';
import { spaced } from '../../wire/socks/feed.ts';
import { DIALECTS, type FakeDialer, fakeDialer, fakeParts } from './fakes.ts';

const ASK = DIALECTS.SOCKS5.ask('a.i2p');

let running: { server: SocksServer; sockets: Socket[] } | undefined;

afterEach(async () => {
  for (const socket of running?.sockets ?? []) socket.destroy();
  await running?.server.stop();
  running = undefined;
});

interface Loopback {
  readonly dialer: FakeDialer;
  readonly server: SocksServer;
  connect(): Client;
}

interface Client {
  readonly socket: Socket;
  received(): Buffer;
  /** How it ended, once it has. */
  readonly ended: 'end' | 'reset' | undefined;
}

async function loopback(): Promise<Loopback> {
  const listener = await listen(
    { endpoint: { kind: 'tcp', host: '127.0.0.1', port: 0 }, mode: 0o600 },
    { clock: systemClock, log: silentLogger },
  );
  const dialer = fakeDialer();
  const clock = systemClock;
  const relay = createRelayCore({ clock, maxPairs: 10, heldEndMs: 5_000 });
  const server = createSocksServer({ ...fakeParts(), listener, dialer, relay, clock });
  await server.start(new AbortController().signal);
  const sockets: Socket[] = [];
  running = { server, sockets };
  return {
    dialer,
    server,
    connect: () => {
      const socket = connect({ host: '127.0.0.1', port: Number(listener.where.split(':')[1]), allowHalfOpen: true });
      sockets.push(socket);
      const chunks: Buffer[] = [];
      let ended: Client['ended'];
      socket.on('data', (chunk) => chunks.push(chunk));
      socket.on('end', () => {
        ended ??= 'end';
      });
      socket.on('error', () => {
        ended ??= 'reset';
      });
      return {
        socket,
        received: () => Buffer.concat(chunks),
        get ended() {
          return ended;
        },
      };
    },
  };
}

test('D17 a failure reply arrives whole and ends regularly, though the client never stopped sending', async () => {
  const { connect, dialer, server } = await loopback();
  const client = connect();
  client.socket.write(Buffer.concat([ASK, Buffer.alloc(4 * 1024 * 1024)]));
  await until('the dial', () => dialer.dials.length === 1);
  dialer.only().fail(new GateError('peer-refused', 'test', 'of the test'));
  await until('the end', () => client.ended !== undefined);
  assert.equal(client.ended, 'end');
  assert.equal(spaced(client.received()), `05 00 ${DIALECTS.SOCKS5.reply('05')}`);
  client.socket.end();
  await until('the close', () => server.snapshot().clients === 0);
});

test('D20 a whole session in one write, its end included, is answered', async () => {
  const { connect, dialer } = await loopback();
  const client = connect();
  client.socket.end(Buffer.concat([ASK, Buffer.from('question')]));
  await until('the dial', () => dialer.dials.length === 1);
  const service = dialer.only().succeed();
  await until('the question', () => service.received().toString() === 'question');
  service.stream.end('answer');
  await until('the end', () => client.ended !== undefined);
  assert.equal(client.ended, 'end');
  assert.equal(client.received().subarray(-6).toString(), 'answer');
});

for (const [how, leave] of [
  ['an end', (socket: Socket) => socket.end()],
  ['a close', (socket: Socket) => socket.destroy()],
  ['a reset', (socket: Socket) => socket.resetAndDestroy()],
] as const) {
  test(`a client that leaves with ${how} while dialling cancels the dial`, async () => {
    const { connect, dialer, server } = await loopback();
    const client = connect();
    client.socket.write(ASK);
    await until('the dial', () => dialer.dials.length === 1);
    leave(client.socket);
    await until('the cancel', () => dialer.only().options.signal.aborted);
    await until('the count', () => server.snapshot().counts.cancelled === 1);
  });
}

test('a reset with early data unread cancels the dial as well', async () => {
  const { connect, dialer } = await loopback();
  const client = connect();
  client.socket.write(Buffer.concat([ASK, Buffer.from('early')]));
  await until('the dial', () => dialer.dials.length === 1);
  client.socket.resetAndDestroy();
  await until('the cancel', () => dialer.only().options.signal.aborted);
});

test('D20 no early data is lost, however much of it waits while dialling', async () => {
  const { connect, dialer } = await loopback();
  const client = connect();
  const early = Buffer.alloc(8 * 1024 * 1024, 'abcdefgh');
  client.socket.write(Buffer.concat([ASK, early]));
  await until('the dial', () => dialer.dials.length === 1);
  const service = dialer.only().succeed();
  await until('all of it', () => service.received().length === early.length);
  assert.equal(Buffer.compare(service.received(), early), 0);
});

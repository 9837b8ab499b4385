/** The SOCKS front as a whole: caps, deadlines, counters, and the end of everything. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createSocksServer } from '../../../../src/front/socks/server.ts';
import { CLIENT_ENDS } from '../../../../src/front/socks/serving.ts';
import { GateError } from '../../../../src/kit/errors.ts';
import { parseNetwork } from '../../../../src/wire/packet/prefix.ts';
import { hex, spaced } from '../../wire/socks/feed.ts';
import { type App, accessWith, DIALECTS, fakeDialer, fakeListener, fakeParts, settle, world } from './fakes.ts';

const HANDSHAKE_MS = 20_000;
const STOP_MS = 3_000;

test('D22 a handshake that trickles in is ended by one total deadline', async () => {
  const { listener, clock, server, counts, dialer } = await world();
  const app = listener.connect();
  const bytes = DIALECTS['SOCKS5 with credentials'].ask('a.i2p');
  for (let at = 0; at < 4; at += 1) {
    assert.equal(app.served.destroyed, false);
    app.stream.write(bytes.subarray(at, at + 1));
    await clock.advance(HANDSHAKE_MS / 4);
  }
  await settle();
  assert.equal(app.served.destroyed, true);
  assert.equal(server.snapshot().clients, 0);
  assert.equal(dialer.dials.length, 0);
  assert.equal(clock.pending, 0);
  assert.deepEqual(counts(), { accepted: 1, handshakeTimeout: 1 });
});

test('D22 the deadline of the handshake is over with the request', async () => {
  const { listener, clock, dialer } = await world();
  const app = listener.connect();
  await clock.advance(HANDSHAKE_MS - 1);
  app.stream.write(DIALECTS.SOCKS5.ask('a.i2p'));
  await settle();
  await clock.advance(HANDSHAKE_MS);
  assert.equal(app.served.destroyed, false);
  assert.equal(dialer.only().options.signal.aborted, false);
});

test('a client that closes before its request is complete costs nothing', async () => {
  const { listener, clock, server, counts } = await world();
  const silent = listener.connect();
  silent.stream.end();
  const halfway = listener.connect();
  halfway.stream.end(hex('05 01 00 05 01'));
  await settle();
  assert.equal(server.snapshot().clients, 0);
  assert.equal(silent.served.destroyed && halfway.served.destroyed, true);
  assert.equal(clock.pending, 0);
  assert.deepEqual(counts(), { accepted: 2, leftEarly: 2 });
});

test('D24 clients over the total cap are closed at once and counted, and places become free again', async () => {
  const { listener, server, counts } = await world({ maxClients: 2 });
  const first = asking(listener.connect());
  asking(listener.connect({ address: '127.0.0.2' }));
  await settle();
  const third = listener.connect({ address: '127.0.0.3' });
  assert.equal(third.served.destroyed, true);
  assert.equal(first.served.destroyed, false);
  assert.equal(server.snapshot().clients, 2);

  first.stream.destroy();
  await settle();
  assert.equal(listener.connect({ address: '127.0.0.4' }).served.destroyed, false);
  assert.deepEqual(counts(), { accepted: 3, cancelled: 1, refusedCap: 1 });
});

test('D24 clients over the cap of one address are closed at once, others are not', async () => {
  const { listener, counts } = await world({ maxClientsPerAddress: 1 });
  const first = asking(listener.connect());
  await settle();
  assert.equal(listener.connect().served.destroyed, true);
  assert.equal(listener.connect({ address: '::1' }).served.destroyed, false);

  first.stream.destroy();
  await settle();
  assert.equal(listener.connect().served.destroyed, false);
  assert.deepEqual(counts(), { accepted: 3, cancelled: 1, refusedCap: 1 });
});

test('D24 clients of a unix socket have no address and count in total only', async () => {
  const { listener } = await world({ maxClients: 2, maxClientsPerAddress: 1 });
  const clients = [1, 2].map(() => asking(listener.connect({ address: undefined })));
  await settle();
  clients.push(listener.connect({ address: undefined }));
  assert.deepEqual(
    clients.map(({ served }) => served.destroyed),
    [false, false, true],
  );
});

test('D24 the client that has been without a request for longest gives up its place to a newcomer', async () => {
  const { listener, server, counts } = await world({ maxClients: 3 });
  const asker = asking(listener.connect());
  const slow = listener.connect();
  slow.stream.write(hex('05 01'));
  const silent = listener.connect();
  await settle();

  const newcomer = asking(listener.connect());
  assert.equal(server.snapshot().clients, 3);
  await settle();
  assert.deepEqual(
    [asker, slow, silent, newcomer].map(({ served }) => served.destroyed),
    [false, true, false, false],
  );
  asking(listener.connect());
  await settle();
  assert.equal(listener.connect().served.destroyed, true, 'nobody without a request is left');
  assert.equal(server.snapshot().clients, 3);
  assert.deepEqual(counts(), { accepted: 5, displaced: 2, refusedCap: 1 });
});

test('D24 where one address is at its cap, only a client of that address makes room', async () => {
  const { listener, counts } = await world({ maxClients: 2, maxClientsPerAddress: 1 });
  const other = listener.connect({ address: '::1' });
  const first = listener.connect();
  assert.equal(listener.connect().served.destroyed, false);
  assert.equal(first.served.destroyed, true);
  assert.equal(other.served.destroyed, false);
  await settle();
  assert.deepEqual(counts(), { accepted: 3, displaced: 1 });
});

test('D24 a client that ended its direction once it was answered gives up its place, and its stream ends as it would have', async () => {
  const { listener, server, dialer, relay, counts } = await world({ maxClients: 2 });
  const first = asking(listener.connect());
  await settle();
  dialer.only().succeed();
  const second = asking(listener.connect());
  await settle();
  assert.equal(listener.connect().served.destroyed, true, 'both keep their places');
  let passedOn = 0;
  relay.joins[0]?.options.onAnswered?.(() => {
    passedOn += 1;
  });
  const newcomer = asking(listener.connect());
  await settle();
  assert.deepEqual([passedOn, first.served.destroyed, newcomer.served.destroyed], [1, false, false]);
  assert.equal(listener.connect().served.destroyed, true, 'a place is given up once');
  assert.equal(server.snapshot().clients, 2);
  first.stream.destroy();
  second.stream.destroy();
  await settle();
  assert.equal(server.snapshot().clients, 1);
  assert.deepEqual([counts()['accepted'], counts()['refusedCap']], [3, 2]);
});

test('D24 a client that was refused and does not go gives up its place, counted once', async () => {
  const { listener, counts, clock } = await world({ maxClients: 1 });
  const refused = listener.connect();
  refused.stream.write(DIALECTS.SOCKS5.ask('example.com'));
  await settle();
  assert.equal(spaced(refused.received()), `05 00 ${DIALECTS.SOCKS5.reply('02')}`);
  const garbage = listener.connect();
  assert.equal(refused.served.destroyed, true);
  garbage.stream.write(hex('05 01 80'));
  await settle();
  assert.equal(listener.connect().served.destroyed, false);
  await settle();
  assert.deepEqual(counts(), { accepted: 3, policyRefused: 1, protocolError: 1 });
  assert.equal(clock.pending, 1, 'nothing is left but the deadline of the last one');
});

test('a client from where nobody may come is closed at accept and counted, and takes no place', async () => {
  const bits = (text: string) => parseNetwork(text) ?? assert.fail(text);
  const clients = { allow: [bits('127.0.0.0/8'), bits('::1')], deny: [bits('127.0.0.66')] };
  const { listener, server, counts } = await world({}, fakeDialer(), accessWith({ clients }));
  for (const address of ['127.0.0.66', '::ffff:127.0.0.66', '192.0.2.1', 'fe80::1%eth0', '::2']) {
    assert.equal(listener.connect({ address }).served.destroyed, true, address);
  }
  assert.equal(server.snapshot().clients, 0);
  for (const address of ['127.0.0.1', '::ffff:127.0.0.1', '::1', undefined]) {
    assert.equal(listener.connect({ address }).served.destroyed, false, address);
  }
  assert.deepEqual(counts(), { accepted: 4, refusedClient: 5 });
});

test('a series of DNS leaks is shown with its number and times, and over after a quiet hour', async () => {
  const { listener, server, clock } = await world();
  const leak = async () => {
    const app = listener.connect();
    app.stream.end(DIALECTS.SOCKS5.ask('192.0.2.1'));
    await settle();
  };
  assert.equal(server.snapshot().dnsLeaks, undefined);
  const first = clock.now();
  await leak();
  await clock.advance(59 * 60_000);
  await leak();
  assert.deepEqual(server.snapshot().dnsLeaks, { count: 2, first, latest: first + 59 * 60_000 });
  await clock.advance(60 * 60_000);
  assert.equal(server.snapshot().dnsLeaks, undefined);
  assert.equal(server.snapshot().counts.dnsLeak, 2);
  await leak();
  assert.equal(server.snapshot().dnsLeaks?.count, 1);
});

test('a crowd of slow clients is gone at the deadline', async () => {
  const { listener, clock, server } = await world({ maxClients: 300, maxClientsPerAddress: 200 });
  for (let count = 0; count < 300; count += 1) listener.connect().stream.write(hex('05'));
  assert.equal(server.snapshot().clients, 200);
  await clock.advance(HANDSHAKE_MS);
  await settle();
  assert.equal(server.snapshot().clients, 0);
});

test('stop ends clients in every phase: those with a complete request are told, the rest is closed', async () => {
  const { listener, server, dialer, relay, clock, counts } = await world();
  const silent = listener.connect();
  const dialling = listener.connect();
  dialling.stream.write(DIALECTS.SOCKS5.ask('a.i2p'));
  await settle();
  const leaving = listener.connect();
  leaving.stream.write(DIALECTS.SOCKS5.ask('example.com'));
  const connected = listener.connect();
  connected.stream.write(DIALECTS.SOCKS4a.ask('b.i2p'));
  await settle();
  dialer.dials[1]?.succeed();
  await settle();

  await server.stop();
  await settle();
  assert.equal(listener.closed, true);
  assert.equal(dialer.dials[0]?.options.signal.aborted, true);
  assert.equal(relay.joins[0]?.options.signal.aborted, true);
  assert.equal(spaced(dialling.received()), `05 00 ${DIALECTS.SOCKS5.reply('01')}`);
  for (const { served } of [silent, dialling, leaving, connected]) assert.equal(served.destroyed, true);
  assert.equal(server.snapshot().clients, 0);
  assert.equal(clock.pending, 0);
  assert.deepEqual(counts(), { accepted: 4, stopped: 2, policyRefused: 1, connected: 1 });
});

test('stop does not wait for ever for a dialer that does not heed its signal', async () => {
  const { listener, server, clock } = await world({}, fakeDialer(false));
  const app = listener.connect();
  app.stream.write(DIALECTS.SOCKS5.ask('a.i2p'));
  await settle();
  const stopped = server.stop();
  await clock.advance(STOP_MS);
  await stopped;
  assert.equal(app.served.destroyed, true);
});

test('stop may be called twice, before the start, and with a listener that fails', async () => {
  const running = await world();
  await Promise.all([running.server.stop(), running.server.stop()]);
  await running.server.stop();

  const listener = {
    ...fakeListener(),
    close: () => Promise.reject(new GateError('local-io', 'test', 'of the test')),
  };
  await createSocksServer({ ...fakeParts(), listener }).stop();
});

test('a client that comes after the stop is closed', async () => {
  const { listener, server, counts } = await world();
  await server.stop();
  assert.equal(listener.connect().served.destroyed, true);
  assert.deepEqual(counts(), {});
});

test('start does nothing when it is cancelled already', async () => {
  const parts = fakeParts();
  const server = createSocksServer(parts);
  await assert.rejects(server.start(AbortSignal.abort()), { kind: 'cancelled' });
  assert.throws(() => parts.listener.connect(), /does not accept/);
});

test('the snapshot says where it listens and shows every counter from the start', async () => {
  const { server } = await world();
  const { where, clients, counts } = server.snapshot();
  assert.equal(where, '127.0.0.1:9160');
  assert.equal(clients, 0);
  assert.deepEqual(
    Object.keys(counts).sort(),
    ['accepted', 'dnsLeak', 'refusedCap', 'refusedClient', ...CLIENT_ENDS].sort(),
  );
});

test('logs say nothing above debug about clients, and never a name', async () => {
  const lines: string[] = [];
  const record = (level: string) => (message: string, facts?: object) => {
    lines.push(`${level} ${message} ${JSON.stringify(facts)}`);
  };
  const log = {
    trace: record('trace'),
    debug: record('debug'),
    info: record('info'),
    warn: record('warn'),
    error: record('error'),
  };
  const parts = fakeParts();
  const { listener, dialer } = parts;
  const server = createSocksServer({ ...parts, log });
  await server.start(new AbortController().signal);
  for (const name of ['secret.example', 'secret.i2p', 'secret name.i2p']) {
    listener.connect().stream.write(DIALECTS['SOCKS5 with credentials'].ask(name));
    await settle();
  }
  dialer.only().fail(new GateError('name-unknown', 'test', 'secret.i2p is not known'));
  await settle();
  assert.equal(lines.length, 3);
  for (const line of lines) {
    assert.match(line, /^debug /);
    assert.doesNotMatch(line, /secret/);
  }
});

test('property: whatever clients send, each ends once, is counted once, and leaves no timer', async () => {
  const starts = fc.constantFrom(
    '',
    '04 01 00 50 00 00 00 01',
    '05 01 00',
    '05 01 02 01',
    '05 01 00 05 01 00 03 05 61 2e 69 32 70',
  );
  const sessions = fc.array(fc.tuple(starts, fc.uint8Array({ maxLength: 40 }), fc.boolean()), { maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(sessions, async (clients) => {
      const { listener, server, dialer, clock } = await world({ maxClients: 4 });
      for (const [start, bytes, ends] of clients) {
        const app = listener.connect();
        app.stream.write(Buffer.concat([hex(start), bytes]));
        if (ends) app.stream.end();
      }
      await settle();
      for (const dial of dialer.dials) dial.fail(new GateError('peer-refused', 'test', 'of the test'));
      await settle();
      await clock.advance(HANDSHAKE_MS);
      await settle();
      const { counts, clients: left } = server.snapshot();
      assert.equal(left, 0);
      assert.equal(counts.accepted + counts.refusedCap, clients.length);
      assert.equal(
        CLIENT_ENDS.reduce((sum, end) => sum + counts[end], 0),
        counts.accepted,
      );
      assert.equal(clock.pending, 0);
    }),
    { numRuns: 60 },
  );
});

function asking(app: App): App {
  app.stream.write(DIALECTS.SOCKS5.ask('a.i2p'));
  return app;
}

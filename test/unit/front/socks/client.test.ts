/** One SOCKS client, from its first byte to its end, against a dialer and a relay that do as they are told. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createSocksServer } from '../../../../src/front/socks/server.ts';
import { type ErrorKind, GateError } from '../../../../src/kit/errors.ts';
import { hex, spaced } from '../../wire/socks/feed.ts';
import { DIALECTS, fakeDialer, fakeListener, fakeParts, settle, world } from './fakes.ts';

const PEER = 'fd 60 db 4d dd b5 54 d8 72 66 8a 0b fc 9c 51 63';
const CONNECT_MS = 120_000;
const FAREWELL_MS = 10_000;

for (const [dialect, { ask, greeting, reply }] of Object.entries(DIALECTS)) {
  test(`D18 ${dialect}: success is told after the dial succeeded, and then bytes flow both ways`, async () => {
    const { listener, dialer, relay, counts } = await world();
    const app = listener.connect();
    app.stream.write(ask('a.i2p'));
    await settle();
    assert.equal(spaced(app.received()), greeting.trim());

    const dial = dialer.only();
    assert.deepEqual(dial.target, { kind: 'host', host: 'a.i2p' });
    assert.equal(dial.options.port, 80);
    const service = dial.succeed();
    await settle();
    assert.equal(spaced(app.received()), greeting + reply('00'));
    assert.equal(relay.joins.length, 1);
    assert.equal(relay.joins[0]?.near.halfClose, true);

    const before = app.received().length;
    service.stream.write('hello');
    app.stream.write('good day');
    await settle();
    assert.equal(app.received().subarray(before).toString(), 'hello');
    assert.equal(service.received().toString(), 'good day');
    assert.deepEqual(counts(), { accepted: 1, connected: 1 });
  });

  test(`D20 ${dialect}: early data is sent first and in order, whether it came with the request or while dialling`, async () => {
    const { listener, dialer } = await world();
    const app = listener.connect();
    app.stream.write(Buffer.concat([ask('a.i2p'), Buffer.from('one ')]));
    await settle();
    app.stream.write('two ');
    await settle();
    const service = dialer.only().succeed();
    app.stream.write('three');
    await settle();
    assert.equal(service.received().toString(), 'one two three');
  });

  test(`D20 ${dialect}: one byte at a time gives the same`, async () => {
    const { listener, dialer } = await world();
    const app = listener.connect();
    for (const byte of ask('a.i2p')) {
      app.stream.write(Buffer.of(byte));
      await settle();
    }
    app.stream.write('early');
    const service = dialer.only().succeed();
    await settle();
    assert.equal(spaced(app.received()), greeting + reply('00'));
    assert.equal(service.received().toString(), 'early');
  });
}

test('D18 success comes after the stream and not before, in every dialect', async () => {
  for (const { ask, greeting, reply } of Object.values(DIALECTS)) {
    const { listener, dialer } = await world();
    const app = listener.connect();
    app.stream.write(ask('a.i2p'));
    await settle();
    assert.equal(spaced(app.received()), greeting.trim());
    dialer.only().succeed();
    await settle();
    assert.equal(spaced(app.received()), greeting + reply('00'));
  }
});

test('D18 without a place in the relay there is no success, and the stream is closed', async () => {
  for (const { ask, greeting, reply } of Object.values(DIALECTS)) {
    const { listener, dialer, relay, counts } = await world();
    relay.isFull = true;
    const app = listener.connect();
    app.stream.write(ask('a.i2p'));
    await settle();
    const service = dialer.only().succeed();
    await settle();
    assert.equal(spaced(app.received()), greeting + reply('01'));
    assert.deepEqual([relay.joins, service.ended], [[], true]);
    assert.deepEqual(counts(), { accepted: 1, dialFailed: 1 });
  }
});

/** For each kind of error: RFC 1928's code or what comes closest, and the extended one. */
const CODES: Readonly<Record<ErrorKind, readonly [standard: string, extended: string]>> = {
  config: ['01', '01'],
  permission: ['01', '01'],
  'local-io': ['01', '01'],
  'router-down': ['03', '03'],
  'router-refused': ['01', '01'],
  'router-protocol': ['01', '01'],
  'session-lost': ['03', '03'],
  'name-invalid': ['04', 'f6'],
  'name-unknown': ['04', 'f0'],
  'peer-unreachable': ['04', 'f2'],
  'peer-timeout': ['06', 'f7'],
  'peer-refused': ['05', '05'],
  'peer-closed': ['05', '05'],
  'peer-protocol': ['01', '01'],
  'client-protocol': ['01', '01'],
  policy: ['02', '02'],
  unsupported: ['07', '07'],
  limit: ['01', '01'],
  cancelled: ['01', '01'],
  shutdown: ['01', '01'],
  bug: ['01', '01'],
};

function isErrorKind(text: string): text is ErrorKind {
  return text in CODES;
}

for (const kind of Object.keys(CODES).filter(isErrorKind)) {
  const [code, extended] = CODES[kind];
  for (const [dialect, { ask, greeting, reply }] of Object.entries(DIALECTS)) {
    test(`D19 ${dialect}: ${kind} while dialling is answered ${code}, and early data is dropped`, async () => {
      const { listener, dialer, relay, counts, clock } = await world();
      const app = listener.connect();
      app.stream.write(Buffer.concat([ask('a.i2p'), Buffer.from('early data')]));
      await settle();
      dialer.only().fail(new GateError(kind, 'test', 'of the test'));
      await settle();
      assert.equal(spaced(app.received()), greeting + reply(code));
      assert.equal(app.ended, true);
      assert.equal(relay.joins.length, 0);
      assert.deepEqual(counts(), { accepted: 1, [kind === 'cancelled' ? 'cancelled' : 'dialFailed']: 1 });

      app.stream.end();
      await settle();
      assert.equal(app.served.destroyed, true);
      assert.equal(clock.pending, 0);
    });
  }

  test(`D16 ${kind} after a request for an IPv6 address is answered ${code} in 22 bytes`, async () => {
    const { listener, dialer } = await world();
    const app = listener.connect();
    app.stream.write(hex(`05 01 00 05 01 00 04 ${PEER} 00 50`));
    await settle();
    dialer.only().fail(new GateError(kind, 'test', 'of the test'));
    await settle();
    assert.equal(spaced(app.received()), `05 00 05 ${code} 00 04${' 00'.repeat(18)}`);
  });

  test(`D19 ${kind} is answered ${extended} where the listener has extended codes`, async () => {
    const { listener, dialer } = await world({ errors: 'extended' });
    const app = listener.connect();
    app.stream.write(DIALECTS.SOCKS5.ask('a.i2p'));
    await settle();
    dialer.only().fail(new GateError(kind, 'test', 'of the test'));
    await settle();
    assert.equal(spaced(app.received()), `05 00 ${DIALECTS.SOCKS5.reply(extended)}`);
  });
}

test('D19 a gateway that was reached and could go no further is F3 among the extended codes, and 04 otherwise', async () => {
  for (const [errors, code] of [
    ['standard', '04'],
    ['extended', 'f3'],
  ] as const) {
    const { listener, dialer } = await world({ errors });
    const app = listener.connect();
    app.stream.write(DIALECTS.SOCKS5.ask('a.i2p'));
    await settle();
    dialer.only().fail(new GateError('peer-unreachable', 'flow.unreachable', 'of the test'));
    await settle();
    assert.equal(spaced(app.received()), `05 00 ${DIALECTS.SOCKS5.reply(code)}`);
  }
});

test('D19 a name that cannot be is F6 among the extended codes, an empty one too', async () => {
  for (const name of ['a b.i2p', '']) {
    const { listener } = await world({ errors: 'extended' });
    const app = listener.connect();
    app.stream.write(DIALECTS.SOCKS5.ask(name));
    await settle();
    assert.equal(spaced(app.received()), `05 00 ${DIALECTS.SOCKS5.reply('f6')}`);
  }
});

test('something else than a GateError from the dialer is answered 01 and does no harm', async () => {
  const { listener, dialer, server } = await world();
  const app = listener.connect();
  app.stream.write(DIALECTS.SOCKS5.ask('a.i2p'));
  await settle();
  dialer.only().fail(new TypeError('of the test'));
  await settle();
  assert.equal(spaced(app.received()), `05 00 ${DIALECTS.SOCKS5.reply('01')}`);
  app.stream.end();
  await settle();
  assert.equal(server.snapshot().clients, 0);
});

const REFUSED_NAMES = [
  'example.com',
  'example.i2p.com',
  'x.onion',
  '127.0.0.1',
  '[::1]',
  '0177.0.0.1',
  '2130706433',
  '10.0.0.1',
  'fd00::1',
  'fe80::1%eth0',
  'localhost.',
  '192.0.2.1',
  'a b.i2p',
];

for (const name of REFUSED_NAMES) {
  for (const [dialect, { ask, greeting, reply }] of Object.entries(DIALECTS)) {
    test(`${dialect}: ${name} is refused with a reply and nothing is dialled`, async () => {
      const { listener, dialer, counts } = await world();
      const app = listener.connect();
      app.stream.write(ask(name));
      await settle();
      assert.equal(dialer.dials.length, 0);
      assert.equal(spaced(app.received()), greeting + reply(/[ %]/.test(name) ? '04' : '02'));
      assert.equal(app.ended, true);
      assert.equal(counts()['policyRefused'], 1);
    });
  }
}

const LEAKS: ReadonlyArray<readonly [what: string, request: string, reply: string]> = [
  ['SOCKS4 with an IPv4 address', '04 01 00 50 c0 00 02 01 00', '00 5b 00 00 00 00 00 00'],
  ['SOCKS5 with an IPv4 address', '05 01 00 05 01 00 01 c0 00 02 01 00 50', '05 00 05 02 00 01 00 00 00 00 00 00'],
  [
    'SOCKS5 with a foreign IPv6 address',
    `05 01 00 05 01 00 04 20 01 0d b8 ${'00 '.repeat(12)} 00 50`,
    `05 00 05 02 00 04${' 00'.repeat(18)}`,
  ],
];

for (const [what, request, reply] of LEAKS) {
  test(`D11 ${what} is refused and counted as a probable DNS leak`, async () => {
    const { listener, dialer, counts } = await world();
    const app = listener.connect();
    app.stream.write(hex(request));
    await settle();
    assert.equal(spaced(app.received()), reply);
    assert.equal(dialer.dials.length, 0);
    assert.deepEqual(counts(), { accepted: 1, policyRefused: 1, dnsLeak: 1 });
  });
}

for (const [command, code, leaks] of [
  ['CONNECT', '01', 1],
  ['BIND', '02', 1],
  ['RESOLVE', 'f0', 1],
  ['RESOLVE_PTR', 'f1', 0],
] as const) {
  test(`D11 ${command} of an address from outside is ${leaks === 0 ? 'no' : 'a probable'} DNS leak`, async () => {
    for (const host of ['01 c0 00 02 01', `04 20 01 0d b8 ${'00 '.repeat(12)}`]) {
      const { listener, counts } = await world();
      const app = listener.connect();
      app.stream.write(hex(`05 01 00 05 ${code} 00 ${host} 00 50`));
      await settle();
      assert.match(spaced(app.received()), /^05 00 05 02 /);
      assert.deepEqual([counts()['policyRefused'], counts()['dnsLeak'] ?? 0], [1, leaks]);
    }
  });
}

test('BIND for nobody in particular, where only peers with a name may call, is refused, and no DNS leak', async () => {
  const { listener, dialer, counts } = await world({ bind: 'named' });
  const app = listener.connect();
  app.stream.write(hex('05 01 00 05 02 00 01 00 00 00 00 00 00'));
  await settle();
  assert.equal(spaced(app.received()), `05 00 ${DIALECTS.SOCKS5.reply('02')}`);
  assert.equal(dialer.dials.length, 0);
  assert.deepEqual(counts(), { accepted: 1, policyRefused: 1 });
});

for (const [command, code] of [
  ['BIND', '02'],
  ['UDP ASSOCIATE', '03'],
  ['RESOLVE', 'f0'],
  ['RESOLVE_PTR', 'f1'],
]) {
  test(`D7 ${command} is answered 07 and nothing is dialled`, async () => {
    const { listener, dialer, counts } = await world({ resolve: false, bind: 'off' });
    const app = listener.connect();
    app.stream.write(hex(`05 01 00 05 ${code} 00 03 05 61 2e 69 32 70 00 50`));
    await settle();
    assert.equal(spaced(app.received()), `05 00 ${DIALECTS.SOCKS5.reply('07')}`);
    assert.equal(app.ended, true);
    assert.equal(dialer.dials.length, 0);
    assert.deepEqual(counts(), { accepted: 1, protocolError: 1 });
  });
}

const TUNNEL = 'CONNECT a.i2p:80 HTTP/1.1\r\nHost: evil.example\r\n';

test('HTTP CONNECT: success is told after the dial, early data is kept, and the target is what counts', async () => {
  const { listener, dialer, counts } = await world({ httpConnect: true });
  const app = listener.connect();
  app.stream.write(`${TUNNEL}\r\nearly`);
  await settle();
  assert.equal(app.received().length, 0);
  assert.deepEqual(dialer.only().target, { kind: 'host', host: 'a.i2p' });
  const service = dialer.only().succeed();
  await settle();
  assert.equal(String(app.received()), 'HTTP/1.1 200 Connection established\r\n\r\n');
  assert.equal(String(service.received()), 'early');
  assert.deepEqual(counts(), { accepted: 1, connected: 1 });
});

test('HTTP CONNECT: its credentials select the same session as those of SOCKS5', async () => {
  const { listener, dialer } = await world({ httpConnect: true });
  listener.connect().stream.write(`${TUNNEL}Proxy-Authorization: Basic ${btoa('u:p')}\r\n\r\n`);
  await settle();
  listener.connect().stream.write(DIALECTS['SOCKS5 with credentials'].ask('a.i2p'));
  await settle();
  const [http, socks] = dialer.dials.map(({ options }) => options.session);
  assert.equal(http?.kind, 'isolated');
  assert.deepEqual(http, socks);
});

const HTTP_FAILURES: ReadonlyArray<readonly [kind: ErrorKind, status: RegExp]> = [
  ['name-unknown', /^HTTP\/1\.1 502 Name Unknown\r\n/],
  ['peer-unreachable', /^HTTP\/1\.1 502 Destination Offline Or Unknown\r\n/],
  ['peer-refused', /^HTTP\/1\.1 502 Connection Refused\r\n/],
  ['peer-timeout', /^HTTP\/1\.1 504 No Answer In Time\r\n/],
  ['router-down', /^HTTP\/1\.1 503 I2P Router Not Ready\r\n/],
  ['bug', /^HTTP\/1\.1 500 Gateway Failed\r\n/],
  ['limit', /^HTTP\/1\.1 500 Gateway Failed\r\n/],
  ['router-refused', /^HTTP\/1\.1 500 Gateway Failed\r\n/],
  ['policy', /^HTTP\/1\.1 403 Outside I2P Or Not Allowed\r\n/],
  ['name-invalid', /^HTTP\/1\.1 400 No Valid Name\r\n/],
];

for (const [kind, status] of HTTP_FAILURES) {
  test(`HTTP CONNECT: ${kind} is told by its status`, async () => {
    const { listener, dialer } = await world({ httpConnect: true });
    const app = listener.connect();
    app.stream.write(`${TUNNEL}\r\n`);
    await settle();
    dialer.only().fail(new GateError(kind, 'test', 'of the test'));
    await settle();
    assert.match(String(app.received()), status);
    assert.equal(app.ended, true);
  });
}

test('HTTP CONNECT: what lies outside I2P is refused with 403, and an IPv4 address counted as a leak', async () => {
  for (const [host, leaks] of [
    ['example.com:443', 0],
    ['192.0.2.1:443', 1],
    ['localhost:9160', 0],
    ['[::1]:80', 1],
  ] as const) {
    const { listener, dialer, counts } = await world({ httpConnect: true });
    const app = listener.connect();
    app.stream.write(`CONNECT ${host} HTTP/1.1\r\n\r\n`);
    await settle();
    assert.match(String(app.received()), /^HTTP\/1\.1 403 /);
    assert.equal(dialer.dials.length, 0);
    assert.equal(counts()['dnsLeak'] ?? 0, leaks);
  }
});

for (const httpConnect of [false, true]) {
  test(`D23 a browser that takes the port for a proxy gets a page of help ${httpConnect ? 'that tells of tunnels' : 'for SOCKS'}`, async () => {
    const { listener, dialer, counts } = await world({ httpConnect });
    const app = listener.connect();
    const hidden = `05 01 00 05 01 00 03 05 61 2e 69 32 70 00 50`;
    app.stream.write('POST http://a.i2p/ HTTP/1.1\r\nHost: a.i2p\r\nContent-Length: 999\r\n\r\n');
    app.stream.write(Buffer.concat([hex(hidden), Buffer.from(`${TUNNEL}\r\n`)]));
    await settle();
    assert.match(String(app.received()), /^HTTP\/1\.1 501 Not Implemented\r\n/);
    assert.equal(/--proxytunnel/.test(String(app.received())), httpConnect);
    assert.equal(dialer.dials.length, 0);
    assert.deepEqual(counts(), { accepted: 1, httpClient: 1 });
  });
}

test('x.I2P. is the name x.i2p and goes nowhere but to the dialer', async () => {
  const { listener, dialer } = await world();
  listener.connect().stream.write(DIALECTS.SOCKS5.ask('x.I2P.'));
  await settle();
  assert.deepEqual(dialer.only().target, { kind: 'host', host: 'x.i2p' });
});

test('credentials select a session of their own, the same ones the same', async () => {
  const { listener, dialer } = await world();
  for (const { ask } of [DIALECTS.SOCKS5, DIALECTS['SOCKS5 with credentials'], DIALECTS['SOCKS5 with credentials']]) {
    listener.connect().stream.write(ask('a.i2p'));
    await settle();
  }
  const [without, one, same] = dialer.dials.map(({ options }) => options.session);
  assert.deepEqual(without, { kind: 'gateway' });
  assert.equal(one?.kind, 'isolated');
  assert.deepEqual(same, one);
});

test('whatever streams are kept apart by, a client asks for all of them as the same', async () => {
  const isolate = new Set(['credentials', 'destination', 'port'] as const);
  const { listener, dialer } = await world({ isolation: { identity: { kind: 'isolated' }, isolate } });
  for (const name of ['a.i2p', 'b.i2p']) {
    for (const dialect of ['SOCKS5', 'SOCKS5 with credentials'] as const) {
      listener.connect().stream.write(DIALECTS[dialect].ask(name));
      await settle();
    }
  }
  const [a, credentialsA, b, credentialsB] = dialer.dials.map(({ options }) => options);
  assert.notDeepEqual(a?.session, b?.session);
  assert.deepEqual([a?.asker, credentialsA?.asker], [b?.asker, credentialsB?.asker]);
  assert.notDeepEqual(a?.asker, credentialsA?.asker);
});

for (const [fact, here, there] of [
  ['client', { client: '127.0.0.1', where: 'one' }, { client: '127.0.0.2', where: 'one' }],
  ['listener', { client: '127.0.0.1', where: 'one' }, { client: '127.0.0.1', where: 'two' }],
] as const) {
  test(`where streams are kept apart by ${fact}, each has sessions of its own`, async () => {
    const sessionOf = async ({ client, where }: { readonly client: string; readonly where: string }) => {
      const [listener, dialer] = [fakeListener(where), fakeDialer()];
      const isolation = { identity: { kind: 'isolated' }, isolate: new Set([fact]) } as const;
      await createSocksServer({ ...fakeParts(), listener, dialer }, { isolation }).start(new AbortController().signal);
      listener.connect({ address: client }).stream.write(DIALECTS.SOCKS5.ask('a.i2p'));
      await settle();
      return dialer.only().options.session;
    };
    assert.notDeepEqual(await sessionOf(here), await sessionOf(there));
    assert.deepEqual(await sessionOf(here), await sessionOf(here));
  });
}

test('a gateway that speaks another version of flows is no command that we do not have', async () => {
  const { listener, dialer } = await world();
  const app = listener.connect();
  app.stream.write(DIALECTS.SOCKS5.ask('a.i2p'));
  await settle();
  dialer.only().fail(new GateError('unsupported', 'flow.version', 'another version'));
  await settle();
  assert.equal(spaced(app.received()), `05 00 ${DIALECTS.SOCKS5.reply('01')}`);
});

test('D19 a service that closes together with the OK of the router is answered 05', async () => {
  const { listener, dialer, relay, counts } = await world();
  const app = listener.connect();
  app.stream.write(DIALECTS.SOCKS5.ask('a.i2p'));
  await settle();
  const service = dialer.only().succeed();
  service.stream.end();
  await settle();
  assert.equal(spaced(app.received()), `05 00 ${DIALECTS.SOCKS5.reply('05')}`);
  assert.equal(relay.joins.length, 0);
  assert.equal(service.served.destroyed, true);
  assert.deepEqual(counts(), { accepted: 1, dialFailed: 1 });
});

test('D19 a service that answers before it is asked, and closes, is a connection', async () => {
  const { listener, dialer } = await world();
  const app = listener.connect();
  app.stream.write(DIALECTS.SOCKS5.ask('a.i2p'));
  await settle();
  dialer.only().succeed().stream.end('good day');
  await settle();
  assert.match(app.received().toString('latin1'), /good day$/);
});

test('a client that leaves while dialling cancels the dial', async () => {
  const { listener, dialer, server, counts, clock } = await world();
  const app = listener.connect();
  app.stream.write(DIALECTS.SOCKS5.ask('a.i2p'));
  await settle();
  const { signal } = dialer.only().options;
  assert.equal(signal.aborted, false);
  app.stream.destroy(new Error('as a reset'));
  await settle();
  assert.equal(signal.aborted, true);
  assert.deepEqual(counts(), { accepted: 1, cancelled: 1 });
  assert.equal(server.snapshot().clients, 0);
  assert.equal(clock.pending, 0);
});

test('a client that resets the connection while its early data waits cancels the dial too', async () => {
  const { listener, dialer, counts } = await world();
  const app = listener.connect();
  app.stream.write(Buffer.concat([DIALECTS.SOCKS5.ask('a.i2p'), Buffer.from('early')]));
  await settle();
  app.stream.destroy(new Error('as a reset'));
  await settle();
  assert.equal(dialer.only().options.signal.aborted, true);
  assert.deepEqual(counts(), { accepted: 1, cancelled: 1 });
});

test('a client that ends its side with nothing said behind the request is gone, and is told so all the same', async () => {
  const { listener, dialer, counts } = await world();
  const app = listener.connect();
  app.stream.write(DIALECTS.SOCKS5.ask('a.i2p'));
  await settle();
  app.stream.end();
  await settle();
  assert.equal(dialer.only().options.signal.aborted, true);
  assert.equal(spaced(app.received()), `05 00 ${DIALECTS.SOCKS5.reply('01')}`);
  assert.deepEqual(counts(), { accepted: 1, cancelled: 1 });
});

test('a client that ends its side behind early data waits for its answer and gets it', async () => {
  const { listener, dialer } = await world();
  const app = listener.connect();
  app.stream.write(Buffer.concat([DIALECTS.SOCKS5.ask('a.i2p'), Buffer.from('question')]));
  await settle();
  app.stream.end();
  await settle();
  assert.equal(dialer.only().options.signal.aborted, false);
  const service = dialer.only().succeed();
  await settle();
  assert.equal(service.received().toString(), 'question');
  assert.equal(service.ended, true);
  service.stream.end('answer');
  await settle();
  assert.match(app.received().toString('latin1'), /answer$/);
});

test('a dialer that succeeds after the client left has its stream closed', async () => {
  const { listener, dialer, relay } = await world({}, fakeDialer(false));
  const app = listener.connect();
  app.stream.write(DIALECTS.SOCKS5.ask('a.i2p'));
  await settle();
  app.stream.destroy();
  await settle();
  const service = dialer.only().succeed();
  await settle();
  assert.equal(service.served.destroyed, true);
  assert.equal(relay.joins.length, 0);
});

test('D22 a dial that takes longer than the deadline is cancelled and answered 06', async () => {
  const { listener, dialer, clock, counts } = await world();
  const app = listener.connect();
  app.stream.write(DIALECTS.SOCKS5.ask('a.i2p'));
  await settle();
  await clock.advance(CONNECT_MS - 1);
  assert.equal(dialer.only().options.signal.aborted, false);
  await clock.advance(1);
  await settle();
  assert.equal(dialer.only().options.signal.aborted, true);
  assert.equal(spaced(app.received()), `05 00 ${DIALECTS.SOCKS5.reply('06')}`);
  assert.deepEqual(counts(), { accepted: 1, dialFailed: 1 });
});

test('D22 the deadline is answered 06 also when the dialer only says that it was cancelled', async () => {
  const { listener, dialer, clock, counts } = await world({}, fakeDialer(false));
  const app = listener.connect();
  app.stream.write(DIALECTS.SOCKS5.ask('a.i2p'));
  await clock.advance(CONNECT_MS);
  dialer.only().fail(new GateError('cancelled', 'cancelled', 'of the test'));
  await settle();
  assert.equal(spaced(app.received()), `05 00 ${DIALECTS.SOCKS5.reply('06')}`);
  assert.deepEqual(counts(), { accepted: 1, dialFailed: 1 });
});

test('D17 after a failure reply the client may go on sending; it is closed after 10 s', async () => {
  const { listener, clock } = await world();
  const app = listener.connect();
  app.stream.write(DIALECTS.SOCKS5.ask('example.com'));
  await settle();
  assert.equal(app.ended, true);
  for (let count = 0; count < 50; count += 1) app.stream.write(Buffer.alloc(64 * 1024));
  await settle();
  assert.equal(app.served.readableLength, 0);
  await clock.advance(FAREWELL_MS - 1);
  assert.equal(app.served.destroyed, false);
  await clock.advance(1);
  await settle();
  assert.equal(app.served.destroyed, true);
  assert.equal(clock.pending, 0);
});

test('D20 early data is held in bounded memory while dialling', async () => {
  const { listener, dialer } = await world();
  const app = listener.connect();
  app.stream.write(DIALECTS.SOCKS5.ask('a.i2p'));
  await settle();
  const chunk = Buffer.alloc(8 * 1024, 'x');
  for (let count = 0; count < 1000; count += 1) app.stream.write(chunk);
  await settle();
  assert.ok(app.served.readableLength <= 64 * 1024, `${app.served.readableLength} bytes held`);
  const service = dialer.only().succeed();
  while (service.received().length < 1000 * chunk.length) await settle();
  assert.equal(service.received().length, 1000 * chunk.length);
});

test('D23 HTTP gets a page that explains, and its body is not taken for SOCKS', async () => {
  const { listener, dialer, counts } = await world();
  const app = listener.connect();
  app.stream.write('POST / HTTP/1.1\r\nHost: evil\r\nContent-Length: 19\r\n\r\n');
  app.stream.write(DIALECTS.SOCKS5.ask('a.i2p'));
  await settle();
  const page = app.received().toString();
  assert.match(page, /^HTTP\/1\.1 501 Not Implemented\r\n/);
  assert.match(page, /socks5h:\/\//);
  const [head = '', body = ''] = page.split('\r\n\r\n');
  assert.equal(Number(/Content-Length: (\d+)/.exec(head)?.[1]), Buffer.byteLength(body));
  assert.equal(app.ended, true);
  assert.equal(dialer.dials.length, 0);
  assert.deepEqual(counts(), { accepted: 1, httpClient: 1 });
});

for (const [what, bytes] of [
  ['TLS', '16 03 01 02 00'],
  ['SOCKS6', '06'],
  ['SOCKS4 behind a SOCKS5 greeting', '05 01 00 04 01 00 50'],
] as const) {
  test(`D23 ${what} is closed`, async () => {
    const { listener, dialer, counts } = await world();
    const app = listener.connect();
    app.stream.write(hex(bytes));
    await settle();
    assert.equal(app.served.destroyed, true);
    assert.equal(dialer.dials.length, 0);
    assert.deepEqual(counts(), { accepted: 1, protocolError: 1 });
  });
}

for (const [what, bytes, answer] of [
  ['D1 no acceptable method', '05 01 01', '05 ff'],
  ['D4 a wrong sub-version', '05 01 02 05', '05 02 01 01'],
  ['D7 UDP ASSOCIATE', '05 01 00 05 03 00 01 00 00 00 00 00 00', '05 00 05 07 00 01 00 00 00 00 00 00'],
  ['D13 port 0', '04 01 00 00 00 00 00 01 00 61 2e 69 32 70 00', '00 5b 00 00 00 00 00 00'],
] as const) {
  test(`${what} is answered, then closed`, async () => {
    const { listener, dialer, counts } = await world();
    const app = listener.connect();
    app.stream.write(hex(bytes));
    await settle();
    assert.equal(spaced(app.received()), answer);
    assert.equal(app.ended, true);
    assert.equal(dialer.dials.length, 0);
    assert.deepEqual(counts(), { accepted: 1, protocolError: 1 });
  });
}

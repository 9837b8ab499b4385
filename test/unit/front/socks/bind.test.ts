/** BIND as a client sees it: two replies, or one reply and a failure, and never anybody but the one who was named. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keyText, type SessionKey } from '../../../../src/core/session/key.ts';
import { type IsolationRules, sessionFor } from '../../../../src/front/socks/isolation.ts';
import { GateError } from '../../../../src/kit/errors.ts';
import { addressesOf } from '../../../../src/wire/i2p/address.ts';
import type { B32 } from '../../../../src/wire/i2p/destination.ts';
import { hex, spaced } from '../../wire/socks/feed.ts';
import { accessWith, OTHER_SERVICE, OWN, PEER, SERVICE, settle, world } from './fakes.ts';

const ocOf = (b32: B32) => spaced(addressesOf(b32).oc);
const zeros = (count: number) => ' 00'.repeat(count);
const named = (name: string, port = '00 15') =>
  hex(`05 01 00 05 02 00 03 ${Buffer.of(name.length).toString('hex')} ${Buffer.from(name).toString('hex')} ${port}`);
const NOBODY = hex(`05 01 00 05 02 00 01 00 00 00 00 00 00`);
const NOBODY_IPV6 = hex(`05 01 00 05 02 00 04${zeros(16)} 00 00`);
const HERE = `05 00 00 04 ${ocOf(OWN.b32)} 00 15`;

test('BIND is answered twice, with our address and with that of who came, and then bytes flow both ways', async () => {
  const { listener, binder, relay, counts } = await world();
  const app = listener.connect();
  app.stream.write(named('service.i2p'));
  app.stream.write('early ');
  await settle();
  const awaited = binder.only();
  assert.deepEqual(
    [awaited.options.from, awaited.options.port, awaited.options.session],
    [SERVICE.b32, 21, { kind: 'gateway' }],
  );
  assert.equal(spaced(app.received()), '05 00');
  awaited.open(OWN, 21);
  await settle();
  assert.equal(spaced(app.received()), `05 00 ${HERE}`);
  const stranger = awaited.arrives(SERVICE, 4321);
  await settle();
  assert.equal(spaced(app.received()), `05 00 ${HERE} 05 00 00 04 ${ocOf(SERVICE.b32)} 10 e1`);
  const before = app.received().length;
  stranger.stream.write('hello');
  app.stream.write('good day');
  await settle();
  assert.equal(app.received().subarray(before).toString(), 'hello');
  assert.equal(stranger.received().toString(), 'early good day');
  assert.equal(relay.joins.length, 1);
  assert.equal(awaited.closed, false);
  assert.deepEqual(counts(), { accepted: 1, connected: 1 });
});

test('where streams are isolated by destination and port, those of BIND are too', async () => {
  const isolation: IsolationRules = { identity: { kind: 'isolated' }, isolate: new Set(['destination', 'port']) };
  const { listener, binder } = await world({ isolation });
  listener.connect().stream.write(named('service.i2p'));
  await settle();
  const facts = { credentials: undefined, clientAddress: '127.0.0.1', listener: listener.where };
  const target = { kind: 'host', host: 'service.i2p' } as const;
  assert.deepEqual(binder.only().options.session, sessionFor(facts, { target, port: 21 }, isolation));
});

test('of the streams that are awaited a client has one share, also where they are isolated by where they lead', async () => {
  const isolate = new Set(['credentials', 'port'] as const);
  const askers: SessionKey[] = [];
  const sessions = new Set<string>();
  for (const port of ['00 15', '00 16']) {
    const { listener, binder } = await world({ isolation: { identity: { kind: 'isolated' }, isolate } });
    listener.connect().stream.write(named('service.i2p', port));
    await settle();
    const { asker, session } = binder.only().options;
    askers.push(asker);
    sessions.add(keyText(session));
  }
  assert.deepEqual([askers[0], sessions.size], [askers[1], 2]);
});

test('D18 without a place in the relay the second reply of BIND is a failure, and who came is closed', async () => {
  const { listener, binder, relay, counts } = await world();
  const app = listener.connect();
  app.stream.write(named('service.i2p'));
  await settle();
  binder.only().open(OWN, 21);
  relay.isFull = true;
  await settle();
  const stranger = binder.only().arrives(SERVICE, 4321);
  await settle();
  assert.equal(spaced(app.received()), `05 00 ${HERE} 05 01 00 01 00 00 00 00 00 00`);
  assert.deepEqual([relay.joins, stranger.ended], [[], true]);
  assert.deepEqual(counts(), { accepted: 1, dialFailed: 1 });
});

test('a bridge that tells no port of who came leaves it 0 in the second reply', async () => {
  const { listener, binder } = await world();
  const app = listener.connect();
  app.stream.write(named(`${SERVICE.b32}.b32.i2p`));
  await settle();
  binder.only().open(OWN, 21);
  await settle();
  binder.only().arrives(SERVICE);
  await settle();
  assert.equal(spaced(app.received().subarray(-22)), `05 00 00 04 ${ocOf(SERVICE.b32)} 00 00`);
});

test('the name behind the address of the first reply can be asked for, by whoever awaits there', async () => {
  const { listener, binder } = await world();
  const ask = (user: string, request: Buffer) => {
    const app = listener.connect();
    app.stream.write(Buffer.concat([hex(`05 01 02 01 01 ${Buffer.from(user).toString('hex')} 00`), request]));
    return app;
  };
  ask('a', named('service.i2p').subarray(3));
  await settle();
  assert.equal(binder.only().options.session.kind, 'isolated');
  binder.only().open(OTHER_SERVICE, 21);
  await settle();
  const question = hex(`05 f1 00 04 ${ocOf(OTHER_SERVICE.b32)} 00 00`);
  const [own, other] = [ask('a', question), ask('b', question)];
  await settle();
  assert.match(own.received().toString('latin1'), new RegExp(`${OTHER_SERVICE.b32}\\.b32\\.i2p`));
  assert.match(spaced(other.received().subarray(4)), /^05 04/);
});

for (const [what, request] of [
  ['0.0.0.0', NOBODY],
  ['::', NOBODY_IPV6],
] as const) {
  test(`BIND for ${what} awaits whoever comes first where the listener allows it, and is refused with 02 elsewhere`, async () => {
    const allowing = await world({ bind: 'anyone' });
    allowing.listener.connect().stream.write(request);
    await settle();
    assert.notEqual(typeof allowing.binder.only().options.from, 'string');
    const { listener, counts } = await world();
    const app = listener.connect();
    app.stream.write(request);
    await settle();
    assert.match(spaced(app.received()), /^05 00 05 02/);
    assert.equal(counts()['policyRefused'], 1);
  });
}

test('whoever comes first is nobody whom the lists of the listener deny', async () => {
  const rules = (b32: B32) => ({ allow: [], deny: [{ kind: 'b32', b32 } as const] });
  const access = accessWith({ destinations: rules(SERVICE.b32) });
  const { listener, binder } = await world({ bind: 'anyone' }, undefined, access);
  listener.connect().stream.write(NOBODY);
  await settle();
  const { from } = binder.only().options;
  assert.ok(typeof from !== 'string');
  assert.deepEqual([from.mayCome(SERVICE.b32), from.mayCome(OTHER_SERVICE.b32)], [false, true]);
});

test('a destination that the lists of the listener deny is awaited by no name of the address book either', async () => {
  const deny = [{ kind: 'b32', b32: SERVICE.b32 }] as const;
  const { listener, binder, counts } = await world({}, undefined, accessWith({ destinations: { allow: [], deny } }));
  const app = listener.connect();
  app.stream.write(named('service.i2p'));
  await settle();
  assert.equal(spaced(app.received()), `05 00 05 02 00 01${zeros(6)}`);
  assert.deepEqual(binder.all, []);
  assert.deepEqual(counts(), { accepted: 1, policyRefused: 1 });
});

const REFUSED: ReadonlyArray<readonly [what: string, name: string, code: string]> = [
  ['a name outside I2P', 'example.com', '02'],
  ['a name that nobody knows', 'unknown.i2p', '04'],
  ['an encrypted lease set', `${'a'.repeat(56)}.b32.i2p`, '04'],
];

for (const [what, name, code] of REFUSED) {
  test(`BIND for ${what} is refused with ${code}, also where anyone may come`, async () => {
    const { listener } = await world({ bind: 'anyone' });
    const app = listener.connect();
    app.stream.write(named(name));
    await settle();
    assert.equal(spaced(app.received()), `05 00 05 ${code} 00 01${zeros(6)}`);
    assert.equal(app.ended, true);
  });
}

test('D7 BIND that is switched off is answered 07', async () => {
  const { listener, counts } = await world({ bind: 'off' });
  const app = listener.connect();
  app.stream.write(named('service.i2p'));
  await settle();
  assert.equal(spaced(app.received()), `05 00 05 07 00 01${zeros(6)}`);
  assert.deepEqual(counts(), { accepted: 1, protocolError: 1 });
});

test('a failure before the stream can come is the only reply', async () => {
  const { listener, binder, counts } = await world();
  const app = listener.connect();
  app.stream.write(named('service.i2p'));
  await settle();
  binder.only().fail(new GateError('policy', 'inbound.peer', 'of the test'));
  await settle();
  assert.equal(spaced(app.received()), `05 00 05 02 00 01${zeros(6)}`);
  assert.deepEqual(counts(), { accepted: 1, dialFailed: 1 });
});

const BIND_MS = 300_000;

const ENDS: ReadonlyArray<
  readonly [what: string, end: (setting: Awaited<ReturnType<typeof bound>>) => unknown, code: string, count: string]
> = [
  ['nobody comes in time', ({ clock }) => clock.advance(BIND_MS), '06', 'dialFailed'],
  [
    'the session is lost',
    ({ binder }) => binder.only().lose(new GateError('session-lost', 'test', 'of the test')),
    '03',
    'dialFailed',
  ],
  ['the gateway stops', ({ server }) => void server.stop(), '01', 'stopped'],
  ['the client ends its side without a word', ({ app }) => void app.stream.end(), '01', 'cancelled'],
];

async function bound() {
  const setting = await world({ bindMs: BIND_MS });
  const app = setting.listener.connect();
  app.stream.write(named('service.i2p'));
  await settle();
  setting.binder.only().open(OWN, 21);
  await settle();
  return { ...setting, app };
}

for (const [what, end, code, count] of ENDS) {
  test(`when ${what}, the second reply is ${code} and nothing is awaited any more`, async () => {
    const setting = await bound();
    await end(setting);
    await settle();
    assert.equal(spaced(setting.app.received()), `05 00 ${HERE} 05 ${code} 00 01${zeros(6)}`);
    assert.equal(setting.binder.only().closed, true);
    assert.deepEqual(setting.counts(), { accepted: 1, [count]: 1 });
  });
}

test('a client that is gone while it awaits a stream keeps nothing', async () => {
  const { app, binder, server, counts, clock } = await bound();
  app.stream.destroy(new Error('as a reset'));
  await settle();
  assert.equal(binder.only().closed, true);
  assert.deepEqual(counts(), { accepted: 1, cancelled: 1 });
  assert.equal(server.snapshot().clients, 0);
  assert.equal(clock.pending, 0);
});

test('a stream that comes just as its client has gone is closed', async () => {
  const { app, binder, relay, counts } = await bound();
  binder.heedsSignal = false;
  app.stream.destroy(new Error('as a reset'));
  await settle();
  const stranger = binder.only().arrives(SERVICE, 4321);
  await settle();
  assert.deepEqual([relay.joins, stranger.served.destroyed], [[], true]);
  assert.equal(binder.only().closed, true);
  assert.deepEqual(counts(), { accepted: 1, cancelled: 1 });
});

test('waiting for the session and waiting for the stream have a time each', async () => {
  const { listener, binder, clock } = await world({ connectMs: 1_000, bindMs: BIND_MS });
  const app = listener.connect();
  app.stream.write(named(`${PEER.b32}.b32.i2p`));
  await settle();
  assert.equal(binder.only().options.from, PEER.b32);
  await clock.advance(1_000);
  await settle();
  assert.equal(spaced(app.received()), `05 00 05 06 00 01${zeros(6)}`);
});

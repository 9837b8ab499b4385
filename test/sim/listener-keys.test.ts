/**
 * Every key of a `[[socks]]` acts on its own listener and on no other: one gateway that has a listener for each key beside
 * one with the defaults, and what clients of both see. What a key does in detail is tried with the part that does it.
 */
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { addressesOf } from '../../src/wire/i2p/address.ts';
import type { B32 } from '../../src/wire/i2p/destination.ts';
import { FakeNetwork } from '../helpers/fake-bridge/network.ts';
import type { UdpClient } from '../helpers/udp-client.ts';
import { until } from '../helpers/until.ts';
import { Listeners, NO_LOGIN, request } from './listener-kit.ts';
import { byName } from './socks-app.ts';

const USERS = `users = ["ann:$scrypt$ln=15,r=8,p=1$${'A'.repeat(22)}$${'A'.repeat(43)}"]`;

/** Each is all that its listener has besides the defaults. The shortest times and the smallest sizes that may be. */
const KEYS = [
  'extended_errors = true',
  'prefer_no_auth = true',
  USERS,
  'clients = { deny = ["127.0.0.1"] }',
  'destinations = { deny = ["nobody.i2p"] }',
  'ports = { deny = ["80"] }',
  'max_clients = 1',
  'max_clients_per_address = 1',
  'resolve = false',
  'bind = "off"',
  'bind = "anyone"',
  'http_connect = true',
  'handshake_timeout = "1s"',
  'connect_timeout = "1s"',
  'bind_timeout = "1s"',
  'idle_timeout = "1ms"',
  'udp = false',
  'udp_associations = 1',
  'udp_rate = 1',
  'udp_queue = "32KiB"',
  'udp_source = "name"',
] as const;
type Key = (typeof KEYS)[number];

const SECOND = 1_000;
const CONNECT = 0x01;
const BIND = 0x02;
const ASSOCIATE = 0x03;
const RESOLVE = 0xf0;
const ANYBODY = Buffer.of(1, 0, 0, 0, 0);

const SERVICE = byName('service.i2p');
const TO_NOBODY = request(CONNECT, byName('nobody.i2p'));

/** How the answer begins to a client that says all at once: for the key, and for the defaults. */
const ANSWERS: readonly (readonly [key: Key, asked: Uint8Array, there: string, elsewhere: string])[] = [
  ['extended_errors = true', TO_NOBODY, '\x05\x00\x05\xf0', '\x05\x00\x05\x04'],
  ['prefer_no_auth = true', Buffer.of(5, 2, 0, 2), '\x05\x00', '\x05\x02'],
  [USERS, NO_LOGIN, '\x05\xff', '\x05\x00'],
  ['destinations = { deny = ["nobody.i2p"] }', TO_NOBODY, '\x05\x00\x05\x02', '\x05\x00\x05\x04'],
  ['ports = { deny = ["80"] }', TO_NOBODY, '\x05\x00\x05\x02', '\x05\x00\x05\x04'],
  ['resolve = false', request(RESOLVE, SERVICE), '\x05\x00\x05\x07', '\x05\x00\x05\x00'],
  ['bind = "off"', request(BIND, SERVICE), '\x05\x00\x05\x07', '\x05\x00\x05\x00'],
  ['bind = "anyone"', request(BIND, ANYBODY), '\x05\x00\x05\x00', '\x05\x00\x05\x02'],
  ['http_connect = true', Buffer.from('CONNECT nobody.i2p:80 HTTP/1.1\r\n\r\n'), 'HTTP/1.1 502', 'HTTP/1.1 501'],
  ['udp = false', request(ASSOCIATE, ANYBODY), '\x05\x00\x05\x07', '\x05\x00\x05\x00'],
];

let network: FakeNetwork;
let all: Listeners<Key>;

before(async () => {
  network = new FakeNetwork();
  all = await Listeners.start(network, KEYS);
});
afterEach(() => all.clear());
after(() => all.stop());

describe('at the listener with this key, and at the one without', () => {
  for (const [key, asked, there, elsewhere] of ANSWERS) {
    it(`${key === USERS ? 'users' : key}: its clients are answered so, and those of the other as by default`, async () => {
      const answers: string[] = [];
      for (const [app, { length }] of [
        [all.client(key), there],
        [all.client(), elsewhere],
      ] as const) {
        app.socket.write(asked);
        answers.push((await app.take(length)).toString('latin1'));
      }
      assert.deepEqual(answers, [there, elsewhere]);
    });
  }

  const [HERE, BESIDE] = ['127.0.0.1', '127.0.0.2'];

  it('clients: only it keeps them out', async () => {
    const key = 'clients = { deny = ["127.0.0.1"] }';
    assert.deepEqual(
      [await all.serves(key, HERE), await all.serves(key, BESIDE), await all.serves(undefined, HERE)],
      [false, true, true],
    );
  });

  for (const [key, beside] of [
    ['max_clients = 1', false],
    ['max_clients_per_address = 1', true],
  ] as const) {
    it(`${key}: a second client is kept out there only, ${beside ? 'unless it comes' : 'also when it comes'} from elsewhere`, async () => {
      // Who has made no request would have to make way.
      const { set } = await all.both(key, BIND, SERVICE);
      await set.take(22);
      assert.deepEqual(
        [await all.serves(key, HERE), await all.serves(key, BESIDE), await all.serves(undefined, HERE)],
        [false, beside, true],
      );
    });
  }

  it('handshake_timeout: who says nothing is closed, and at the other may still say it', async () => {
    const key = 'handshake_timeout = "1s"';
    const [usual, set] = [all.client(), all.client(key)];
    await until('both are in', () => all.statusOf(key).clients === 1 && all.statusOf().clients === 1);
    await all.clock.advance(SECOND);
    await until('it is closed', () => set.socket.closed);
    usual.socket.write(NO_LOGIN);
    assert.deepEqual(await usual.take(2), Buffer.of(5, 0));
  });

  it('connect_timeout: an answer that takes longer is not awaited, and at the other it is', async () => {
    all.bridge.misbehave({ on: 'STREAM CONNECT', action: { kind: 'answer', delayMs: 2 * SECOND } });
    const accepting = [all.service.accept(), all.service.accept()];
    const { usual, set } = await all.both('connect_timeout = "1s"', CONNECT, SERVICE);
    // From then on the router has the answer, and keeps it back.
    for (const { stream } of await Promise.all(accepting)) stream.on('error', () => {});
    await all.clock.advance(SECOND);
    assert.equal((await set.take(10))[1], 6);
    await all.clock.advance(SECOND);
    assert.equal((await usual.take(10))[1], 0);
  });

  it('bind_timeout: a stream that comes later is not awaited, and at the other it is', async () => {
    const { usual, set } = await all.both('bind_timeout = "1s"', BIND, SERVICE);
    for (const app of [usual, set]) assert.equal((await app.take(22))[1], 0);
    await all.clock.advance(SECOND);
    assert.equal((await set.take(10))[1], 6);
    await all.service.connect(all.gateway.b32, 80);
    assert.equal((await usual.take(22))[1], 0);
  });

  it('idle_timeout: a connection on which nothing moves ends, and at the other goes on', async () => {
    const accepting = [all.service.accept(), all.service.accept()];
    const { usual, set } = await all.both('idle_timeout = "1ms"', CONNECT, SERVICE);
    for (const app of [usual, set]) assert.equal((await app.take(10))[1], 0);
    for (const { stream } of await Promise.all(accepting)) stream.on('error', () => {}).pipe(stream);
    await all.clock.advance(SECOND);
    await until('it is closed', () => set.socket.closed);
    usual.socket.write('still here');
    assert.equal(String(await usual.take(10)), 'still here');
  });
});

describe('datagrams at the listener with this key, and at the one without', () => {
  let far: UdpClient;
  let b32: B32;
  let destination: string;
  beforeEach(async () => {
    ({ far, b32, destination } = await all.farClient());
  });

  /** What the far one has got from a client, by the first byte of each. */
  const arrived = ({ udp }: UdpClient) =>
    far.received.filter(({ port }) => port === udp.address().port).map(({ payload }) => payload[0]);
  const lost = (key: Key, counter: 'rate' | 'queueFull') => all.statusOf(key).udp?.counts[counter];

  it('udp_associations: only it has no room for a second one', async () => {
    const key = 'udp_associations = 1';
    await all.udpClient(key);
    await assert.rejects(all.udpClient(key), /answered with 1/);
    await all.udpClient();
    await all.udpClient();
  });

  it('udp_rate: what is too much in one second is dropped there only', async () => {
    const key = 'udp_rate = 1';
    const [usual, set] = [await all.udpClient(), await all.udpClient(key)];
    const send = (count: number) => {
      for (const one of [usual, set]) one.send(`${b32}.b32.i2p`, far.udp.address().port, Buffer.of(count));
    };
    for (const count of [1, 2, 3]) send(count);
    await until('two were too much', () => lost(key, 'rate') === 2);
    await all.clock.advance(SECOND);
    send(4);
    await until('the last ones arrive', () => [usual, set].every((one) => arrived(one).includes(4)));
    assert.deepEqual(
      [arrived(set), arrived(usual)],
      [
        [1, 4],
        [1, 2, 3, 4],
      ],
    );
  });

  it('udp_queue: what is too much to wait for a name is dropped there only', async () => {
    const key = 'udp_queue = "32KiB"';
    const question = 'NAMING LOOKUP NAME=slow.i2p';
    network.addressBook.set('slow.i2p', destination);
    all.bridge.misbehave({ on: question, action: { kind: 'answer', delayMs: SECOND } });
    const [usual, set] = [await all.udpClient(), await all.udpClient(key)];
    for (const one of [usual, set]) {
      for (const count of [1, 2, 3, 4]) one.send('slow.i2p', far.udp.address().port, Buffer.alloc(10 * 1024, count));
    }
    await until('one was too much', () => lost(key, 'queueFull') === 1);
    await until('the router was asked', () => all.bridge.commands.some(({ line }) => line === question));
    await all.clock.advance(SECOND);
    await until('the last ones arrive', () => [usual, set].every((one) => arrived(one).includes(4)));
    assert.deepEqual(
      [arrived(set), arrived(usual)],
      [
        [2, 3, 4],
        [1, 2, 3, 4],
      ],
    );
  });

  it('udp_source: only its clients are told a name', async () => {
    const told: string[] = [];
    for (const one of [await all.udpClient('udp_source = "name"'), await all.udpClient()]) {
      one.send(`${b32}.b32.i2p`, far.udp.address().port, Buffer.from('hello'));
      const { host, port } = await far.receive('the question');
      far.send(host, port, Buffer.from('and back'));
      told.push((await one.receive('the answer')).host);
    }
    assert.deepEqual(told, [`${b32}.b32.i2p`, addressesOf(b32).oc.toString('hex')]);
  });
});

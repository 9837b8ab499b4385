/** The checklist of SOCKS conformance, as far as bytes go. Every row is fed whole, byte by byte and split everywhere. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import fc from 'fast-check';
import {
  type Authentication,
  LOGIN_REFUSED,
  loggedInMachine,
  socksMachine,
} from '../../../../src/wire/socks/handshake.ts';
import { describe, feed, hex, oneByOne, spaced } from './feed.ts';

interface Row {
  readonly rule: string;
  /** What the client sends, the request's own end last. */
  readonly from: string;
  /** What it is sent before the end. */
  readonly sent?: string;
  readonly means: object;
  /** Bytes of `from` that are not used. */
  readonly rest?: string;
  readonly authentication?: Authentication;
}

const SOCKS_ONLY = { httpConnect: false };

const NAME = '61 2e 69 32 70'; // a.i2p
const NO_AUTH = '05 01 00';
const ADDRESS = 'fd 60 db 4d dd b5 54 d8 72 66 8a 0b fc 9c 51 63';
const zeros = (count: number) => ' 00'.repeat(count);
const fill = (count: number, byte: string) => ` ${byte}`.repeat(count);
const text = (count: number) => 'a'.repeat(count);

const named = (length: number): Row => ({
  rule: `D8 a name of ${length} bytes is read whole`,
  from: `${NO_AUTH} 05 01 00 03 ${Buffer.of(length).toString('hex')} ${fill(length, '61')} 00 50`,
  sent: '05 00',
  means: { kind: 'socks5', name: text(length), port: 80 },
});

const methods = (rule: string, from: string, sent: string, more: object = {}): Row => ({
  rule,
  from: `${from} 05 01 00 03 05 ${NAME} 00 50`,
  sent,
  means: { kind: 'socks5', name: 'a.i2p', port: 80, ...more },
});

const command = (rule: string, code: string, port: string, means: object): Row => ({
  rule,
  from: `${NO_AUTH} 05 ${code} 00 03 05 ${NAME} ${port}`,
  sent: '05 00',
  means: { kind: 'socks5', name: 'a.i2p', ...means },
});

const refused = (rule: string, from: string, reply: string, code: string, sent = '05 00', rest = ''): Row => ({
  rule,
  from,
  sent,
  means: { kind: 'refused', reply, code },
  rest,
});

const REPLY5 = (code: string) => `05 ${code} 00 01${zeros(6)}`;
const REPLY5_IPV6 = (code: string) => `05 ${code} 00 04${zeros(18)}`;
const REJECTED4 = `00 5b${zeros(6)}`;

const ROWS: readonly Row[] = [
  // Negotiation.
  methods('D1 "no authentication" alone is chosen', '05 01 00', '05 00'),
  methods('D1 it is found among methods that we do not know', '05 03 80 01 00', '05 00'),
  refused('D1 no method at all: 05 FF', '05 00', '05 ff', 'socks.method', ''),
  refused('D1 only unknown methods: 05 FF', '05 02 03 80', '05 ff', 'socks.method', ''),
  refused('D3 GSSAPI alone: 05 FF', '05 01 01', '05 ff', 'socks.method', ''),
  refused(
    'D1 what comes behind a failed negotiation is not read',
    '05 01 01 05 01',
    '05 ff',
    'socks.method',
    '',
    '05 01',
  ),
  methods('D2 with 00 and 02 offered 02 is chosen', '05 02 00 02 01 01 75 01 70', '05 02 01 00', {
    user: '75',
    password: '70',
  }),
  methods('D2 in the other order too', '05 02 02 00 01 01 75 01 70', '05 02 01 00', { user: '75', password: '70' }),
  methods('D2 as curl offers them, with GSSAPI', '05 03 00 01 02 01 01 75 01 70', '05 02 01 00', {
    user: '75',
    password: '70',
  }),
  methods('D4 the answer to a password has version 01', '05 01 02 01 01 75 01 70', '05 02 01 00', {
    user: '75',
    password: '70',
  }),
  refused('D4 a wrong sub-version is answered 01 01', '05 01 02 05', '01 01', 'socks.auth-version', '05 02'),
  methods('D5 empty user and password are accepted', '05 01 02 01 00 00', '05 02 01 00', { user: '', password: '' }),
  methods('D5 zero and bytes that are no UTF-8 are kept as they are', '05 01 02 01 02 00 ff 02 c3 28', '05 02 01 00', {
    user: '00 ff',
    password: 'c3 28',
  }),
  methods(
    'D5 user and password of 255 bytes',
    `05 01 02 01 ff ${fill(255, '75')} ff ${fill(255, '70')}`,
    '05 02 01 00',
    { user: fill(255, '75').trim(), password: fill(255, '70').trim() },
  ),

  // Request.
  {
    rule: 'D6 the reserved byte is ignored',
    from: `${NO_AUTH} 05 01 ff 03 05 ${NAME} 00 50`,
    sent: '05 00',
    means: { kind: 'socks5', name: 'a.i2p', port: 80 },
  },
  command('D7 BIND, with the port of a connection that is there already', '02', '00 50', { command: 'bind', port: 80 }),
  command('D7 BIND for port 0', '02', '00 00', { command: 'bind', port: 0 }),
  command('D7 UDP ASSOCIATE', '03', '13 88', { command: 'associate', port: 5000 }),
  command('D7 RESOLVE: its port means nothing', 'f0', '00 00', { command: 'resolve' }),
  command('D7 RESOLVE_PTR: its port means nothing', 'f1', '00 50', { command: 'resolve-ptr' }),
  {
    rule: 'D7 UDP ASSOCIATE from an address that is not known yet',
    from: `${NO_AUTH} 05 03 00 01 00 00 00 00 00 00`,
    sent: '05 00',
    means: { kind: 'socks5', command: 'associate', ipv4: '00 00 00 00', port: 0 },
  },
  refused('D7 BIND of an unknown address type: 08', `${NO_AUTH} 05 02 00 02`, REPLY5('08'), 'socks.address-type'),
  refused('D7 an unknown command: 07', `${NO_AUTH} 05 77 00 03`, REPLY5('07'), 'socks.command'),
  refused(
    'D7 an unknown address type: 08, and nothing behind the header is read',
    `${NO_AUTH} 05 01 00 02 aa bb`,
    REPLY5('08'),
    'socks.address-type',
    '05 00',
    'aa bb',
  ),
  refused('D7 address type 0: 08', `${NO_AUTH} 05 01 00 00`, REPLY5('08'), 'socks.address-type'),
  refused('D8 an empty name is refused with a reply', `${NO_AUTH} 05 01 00 03 00`, REPLY5('04'), 'socks.name-empty'),
  named(1),
  named(2),
  named(3),
  named(4),
  named(5),
  named(255),
  {
    rule: 'D9 a name is handed on byte for byte, for others to judge',
    from: `${NO_AUTH} 05 01 00 03 04 00 41 c3 bc 00 50`,
    sent: '05 00',
    means: { kind: 'socks5', name: '\0A\u00c3\u00bc', port: 80 },
  },
  {
    rule: 'D11 an IPv4 address',
    from: `${NO_AUTH} 05 01 00 01 c0 00 02 01 01 bb`,
    sent: '05 00',
    means: { kind: 'socks5', ipv4: 'c0 00 02 01', port: 443 },
  },
  {
    rule: 'D12 an IPv6 address',
    from: `${NO_AUTH} 05 01 00 04 ${ADDRESS} ff ff`,
    sent: '05 00',
    means: { kind: 'socks5', ipv6: ADDRESS, port: 65_535 },
  },
  refused('D13 port 0 of a name', `${NO_AUTH} 05 01 00 03 05 ${NAME} 00 00`, REPLY5('01'), 'socks.port-zero'),
  refused(
    'D13 port 0 of an IPv6 address',
    `${NO_AUTH} 05 01 00 04 ${ADDRESS} 00 00`,
    REPLY5_IPV6('01'),
    'socks.port-zero',
  ),
  refused('D13 port 0 in SOCKS4', '04 01 00 00 c0 00 02 01 00', REJECTED4, 'socks.port-zero', ''),

  // SOCKS4 and 4a.
  {
    rule: 'D11 SOCKS4 with an address',
    from: '04 01 00 50 c0 00 02 01 00',
    means: { kind: 'socks4', ipv4: 'c0 00 02 01', port: 80 },
  },
  {
    rule: 'D14 SOCKS4 with a user id',
    from: '04 01 00 50 c0 00 02 01 66 6f 6f 00',
    means: { kind: 'socks4', ipv4: 'c0 00 02 01', port: 80 },
  },
  {
    rule: 'D11 SOCKS4a: 0.0.0.1 announces a name',
    from: `04 01 00 50 00 00 00 01 00 ${NAME} 00`,
    means: { kind: 'socks4', name: 'a.i2p', port: 80 },
  },
  {
    rule: 'D11 SOCKS4a: 0.0.0.255 too, behind a user id',
    from: `04 01 00 50 00 00 00 ff 66 6f 6f 00 ${NAME} 00`,
    means: { kind: 'socks4', name: 'a.i2p', port: 80 },
  },
  {
    rule: 'D11 0.0.0.0 is an address and announces nothing',
    from: '04 01 00 50 00 00 00 00 00',
    means: { kind: 'socks4', ipv4: '00 00 00 00', port: 80 },
  },
  {
    rule: 'D11 0.0.1.1 is an address',
    from: '04 01 00 50 00 00 01 01 00',
    means: { kind: 'socks4', ipv4: '00 00 01 01', port: 80 },
  },
  {
    rule: 'D14 user id and name of 255 bytes',
    from: `04 01 00 50 00 00 00 01 ${fill(255, '75')} 00 ${fill(255, '61')} 00`,
    means: { kind: 'socks4', name: text(255), port: 80 },
  },
  refused('D14 a user id of 256 bytes', `04 01 00 50 00 00 00 01 ${fill(256, '75')}`, REJECTED4, 'socks.too-long', ''),
  refused(
    'D14 a user id of 256 bytes, though its end came in the same write',
    `04 01 00 50 00 00 00 01 ${fill(256, '75')} 00`,
    REJECTED4,
    'socks.too-long',
    '',
    '00',
  ),
  refused('D14 a name of 256 bytes', `04 01 00 50 00 00 00 01 00 ${fill(256, '61')}`, REJECTED4, 'socks.too-long', ''),
  refused(
    'D14 a name of 256 bytes, though its end came in the same write',
    `04 01 00 50 00 00 00 01 00 ${fill(256, '61')} 00`,
    REJECTED4,
    'socks.too-long',
    '',
    '00',
  ),
  refused(
    'D8 an empty SOCKS4a name is refused with a reply',
    '04 01 00 50 00 00 00 01 00 00',
    REJECTED4,
    'socks.name-empty',
    '',
  ),
  refused(
    'D7 an unknown command with an IPv6 address: 07 in the long form',
    `${NO_AUTH} 05 77 00 04`,
    REPLY5_IPV6('07'),
    'socks.command',
  ),
  refused(
    'D7 SOCKS4 BIND, whose replies have no room for our address',
    '04 02 00 50 c0 00 02 01',
    REJECTED4,
    'socks.command',
    '',
  ),

  // The stream around it.
  {
    rule: 'D20 early data behind a SOCKS5 request is handed back',
    from: `${NO_AUTH} 05 01 00 03 05 ${NAME} 00 50 47 45 54 00 0d 0a`,
    sent: '05 00',
    means: { kind: 'socks5', name: 'a.i2p', port: 80 },
    rest: '47 45 54 00 0d 0a',
  },
  {
    rule: 'D20 early data behind a SOCKS4a request is handed back',
    from: `04 01 00 50 00 00 00 01 00 ${NAME} 00 00 ff`,
    means: { kind: 'socks4', name: 'a.i2p', port: 80 },
    rest: '00 ff',
  },
  ...['G', 'P', 'H', 'D', 'O', 'T', 'C'].map((initial) => ({
    rule: `D23 the first byte ${initial} is HTTP`,
    from: Buffer.from(initial).toString('hex'),
    means: { kind: 'http' },
  })),
  { rule: 'D23 TLS is closed', from: '16', means: { kind: 'unintelligible', code: 'socks.tls' } },
  ...['00', '01', '03', '06', '0a', '67', 'ff'].map((byte) => ({
    rule: `D23 the first byte ${byte} is closed`,
    from: byte,
    means: { kind: 'unintelligible', code: 'socks.version' },
  })),
  {
    rule: 'D23 SOCKS4 in the middle of SOCKS5 is closed',
    from: `${NO_AUTH} 04 01 00 50`,
    sent: '05 00',
    means: { kind: 'unintelligible', code: 'socks.version' },
  },
  {
    rule: 'SOCKS inside the body of an HTTP request stays unread',
    from: `50 4f 53 54 0d 0a ${NO_AUTH} 05 01 00 03 05 ${NAME} 00 50`,
    means: { kind: 'http' },
    rest: `4f 53 54 0d 0a ${NO_AUTH} 05 01 00 03 05 ${NAME} 00 50`,
  },
  {
    rule: 'D2 where credentials are avoided, whoever can do without is not asked for them',
    from: `05 02 02 00 05 01 00 03 05 ${NAME} 00 50`,
    sent: '05 00',
    means: { kind: 'socks5', name: 'a.i2p', port: 80 },
    authentication: 'avoided',
  },
  {
    rule: 'D2 where credentials are avoided, they are accepted from whoever has nothing else',
    from: `05 01 02 01 01 75 01 70 05 01 00 03 05 ${NAME} 00 50`,
    sent: '05 02 01 00',
    means: { kind: 'socks5', name: 'a.i2p', port: 80, user: '75', password: '70' },
    authentication: 'avoided',
  },
  {
    rule: 'D5 where a login is needed, the handshake stops at the credentials, and what came behind them waits',
    from: `05 02 00 02 01 01 75 01 70 05 01 00 03 05 ${NAME} 00 50`,
    sent: '05 02',
    means: { kind: 'login', user: 'u', password: 'p' },
    rest: `05 01 00 03 05 ${NAME} 00 50`,
    authentication: 'required',
  },
  {
    rule: 'D1 where a login is needed, a client that offers none is refused',
    from: '05 01 00',
    sent: '',
    means: { kind: 'refused', reply: '05 ff', code: 'socks.needs-login' },
    authentication: 'required',
  },
  {
    rule: 'where a login is needed, SOCKS4 is refused, which has none',
    from: `04 01 00 50 00 00 00 01 75 00 ${NAME} 00`,
    sent: '',
    means: { kind: 'refused', reply: '00 5b 00 00 00 00 00 00', code: 'socks.needs-login' },
    authentication: 'required',
  },
];

for (const { rule, from, sent = '', means, rest = '', authentication } of ROWS) {
  test(rule, () => {
    const bytes = hex(from);
    const splits = [oneByOne(bytes)];
    for (let at = 0; at <= bytes.length; at += 1) splits.push([bytes.subarray(0, at), bytes.subarray(at)]);
    for (const chunks of splits) {
      const fed = feed(socksMachine(SOCKS_ONLY, authentication), chunks);
      assert.deepEqual(
        { sent: spaced(fed.sent), means: describe(fed.out), rest: spaced(fed.rest) },
        { sent: spaced(hex(sent)), means, rest: spaced(hex(rest)) },
        `split after ${chunks[0]?.length}`,
      );
    }
  });

  test(`${rule}: and not a byte earlier`, () => {
    const whole = hex(from);
    const needed = whole.subarray(0, whole.length - hex(rest).length);
    for (let length = 0; length < needed.length; length += 1) {
      assert.equal(
        feed(socksMachine(SOCKS_ONLY, authentication), [needed.subarray(0, length)]).out,
        undefined,
        `${length} bytes`,
      );
    }
  });
}

test('a finished machine stays finished', () => {
  const machine = socksMachine(SOCKS_ONLY);
  const first = feed(machine, [hex(`04 01 00 50 00 00 00 01 00 ${NAME} 00 aa`)]);
  const again = machine.step(hex('05 01 00'));
  assert.equal(again.kind, 'done');
  assert.equal(again.kind === 'done' && again.out, first.out);
});

test('credentials have no printable form', () => {
  const fed = feed(socksMachine(SOCKS_ONLY), [
    hex(`05 01 02 01 06 736563726574 06 736563726574 05 01 00 03 05 ${NAME} 00 50`),
  ]);
  assert.equal(fed.out?.kind, 'request');
  assert.doesNotMatch(`${inspect(fed.out, { depth: 10 })} ${JSON.stringify(fed.out)}`, /secret|736563|115,\s?101/);
});

/** Bytes that get far into the protocol more often than chance would. */
const conversations = fc
  .tuple(
    fc.constantFrom(
      '',
      '04',
      '04 01 00 50',
      '04 01 00 50 00 00 00 01',
      '05',
      NO_AUTH,
      '05 01 02 01',
      `${NO_AUTH} 05 01 00`,
    ),
    fc.uint8Array({ maxLength: 700 }),
  )
  .map(([start, more]) => Buffer.concat([hex(start), more]));

test('property: any bytes in any split mean the same, and none of them makes the machine throw', () => {
  fc.assert(
    fc.property(conversations, fc.array(fc.nat(700), { maxLength: 6 }), (bytes, cuts) => {
      const places = [0, ...cuts.map((cut) => Math.min(cut, bytes.length)).sort((a, b) => a - b), bytes.length];
      const chunks = places.slice(1).map((end, index) => bytes.subarray(places[index], end));
      const whole = feed(socksMachine(SOCKS_ONLY), [bytes]);
      const split = feed(socksMachine(SOCKS_ONLY), chunks);
      assert.deepEqual(describe(split.out), describe(whole.out));
      assert.deepEqual(split.sent, whole.sent);
      if (whole.out !== undefined) assert.deepEqual(split.rest, whole.rest);
    }),
    { numRuns: 1000 },
  );
});

/** Greeting with all methods, credentials and a request, every field as long as it can be. */
const LONGEST_SOCKS5 = 2 + 255 + (2 + 255 + 1 + 255) + (4 + 1 + 255 + 2);

test('property: the machine has decided before it holds more than the longest request', () => {
  fc.assert(
    fc.property(conversations, fc.uint8Array({ minLength: 64, maxLength: 64 }), (bytes, filler) => {
      const endless = Buffer.concat([bytes, ...Array.from({ length: 40 }, () => filler)]);
      const { out, taken } = feed(socksMachine(SOCKS_ONLY), oneByOne(endless));
      assert.notEqual(out, undefined);
      assert.ok(taken <= LONGEST_SOCKS5, `${taken} bytes`);
    }),
    { numRuns: 200 },
  );
});

test('a request that is refused or not understood is never taken for one that is granted', () => {
  fc.assert(
    fc.property(conversations, (bytes) => {
      const { out } = feed(socksMachine(SOCKS_ONLY), [bytes]);
      if (out?.kind !== 'request') return;
      if (out.request.command === 'connect') assert.ok(out.request.port >= 1 && out.request.port <= 65_535);
      if (out.request.host.kind === 'name') {
        assert.ok(out.request.host.name.length >= 1 && out.request.host.name.length <= 255);
      }
    }),
    { numRuns: 500 },
  );
});

test('a login that was right goes on to the request, and one that was wrong has an answer of its own', () => {
  const login = feed(socksMachine(SOCKS_ONLY, 'required'), [hex('05 01 02 01 01 75 01 70')]).out;
  assert.ok(login?.kind === 'login');
  const fed = feed(loggedInMachine(login), oneByOne(hex(`05 01 00 03 05 ${NAME} 00 50 ff`)));
  assert.deepEqual(describe(fed.out), { kind: 'socks5', name: 'a.i2p', port: 80, user: '75', password: '70' });
  assert.deepEqual([spaced(fed.sent), spaced(fed.rest)], ['01 00', 'ff']);
  assert.equal(spaced(LOGIN_REFUSED), '01 01');
});

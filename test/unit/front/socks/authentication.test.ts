/** Who is let in where a listener has users, by themselves and by the whole of a client's way. */
import assert from 'node:assert/strict';
import crypto, { randomBytes } from 'node:crypto';
import { syncBuiltinESMExports } from 'node:module';
import { before, type TestContext, test } from 'node:test';
import {
  type Authenticate,
  CHECKS_AT_ONCE,
  createAuthenticator,
  type SocksUser,
} from '../../../../src/front/socks/authentication.ts';
import { Sensitive } from '../../../../src/kit/sensitive.ts';
import { createTurnstile, type Turnstile } from '../../../../src/kit/turnstile.ts';
import {
  formatPasswordHash,
  hashPassword,
  type PasswordHash,
  parsePasswordHash,
} from '../../../../src/wire/socks/password-hash.ts';
import { FakeClock } from '../../../helpers/fake-clock.ts';
import { until } from '../../../helpers/until.ts';
import { hex, spaced } from '../../wire/socks/feed.ts';
import { settle, world } from './fakes.ts';

const NEVER = new AbortController().signal;
const HANDSHAKE_MS = 20_000;

let alice: PasswordHash;

before(async () => {
  alice = await hashPassword(Buffer.from('secret'), randomBytes(16));
});

const credentials = (user: string, password: string) =>
  new Sensitive({ user: Buffer.from(user), password: Buffer.from(password) });

/** Counts the checks that cost a turn. */
function setting(
  users: readonly SocksUser[] = [
    { name: 'bob', hash: new Sensitive({ salt: randomBytes(16), key: randomBytes(32) }) },
    { name: 'alice', hash: new Sensitive(alice) },
  ],
) {
  const clock = new FakeClock();
  const turns = createTurnstile(CHECKS_AT_ONCE);
  let running = 0;
  const seen = { checks: 0, most: 0 };
  const counting: Turnstile = (work, signal) =>
    turns(async () => {
      running += 1;
      seen.checks += 1;
      seen.most = Math.max(seen.most, running);
      try {
        return await work();
      } finally {
        running -= 1;
      }
    }, signal);
  const authenticate = createAuthenticator(users, clock, counting);
  return { clock, authenticate, seen };
}

test('a hash comes back from its text, and the text holds no password', () => {
  const text = formatPasswordHash(alice);
  assert.match(text, /^\$scrypt\$ln=15,r=8,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/);
  assert.deepEqual(parsePasswordHash(text)?.reveal(), alice);
  assert.doesNotMatch(text, /secret/);
});

for (const [what, text] of [
  ['another algorithm', '$argon2id$ln=15,r=8,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'],
  ['another cost', '$scrypt$ln=1,r=8,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'],
  ['a short salt', '$scrypt$ln=15,r=8,p=1$AAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'],
  ['a short key', '$scrypt$ln=15,r=8,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAA'],
  ['more behind it', '$scrypt$ln=15,r=8,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA$'],
  ['no base64', '$scrypt$ln=15,r=8,p=1$AAAAAAAAAAAAAAAAAAAAA!$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'],
  ['nothing', ''],
] as const) {
  test(`${what} is no hash`, () => assert.equal(parsePasswordHash(text), undefined));
}

test('D5 only the right password of a user is right; empty and missing ones are wrong without a check', async () => {
  const { authenticate, seen } = setting();
  assert.equal(await authenticate(credentials('alice', 'secret'), NEVER), true);
  assert.equal(await authenticate(credentials('alice', 'Secret'), NEVER), false);
  assert.equal(await authenticate(credentials('bob', 'secret'), NEVER), false);
  assert.equal(seen.checks, 3);
  for (const none of [undefined, credentials('', ''), credentials('alice', ''), credentials('', 'secret')]) {
    assert.equal(await authenticate(none, NEVER), false);
  }
  assert.equal(seen.checks, 3);
});

test('a user that does not exist costs a check like any other', async () => {
  const { authenticate, seen } = setting();
  assert.equal(await authenticate(credentials('nobody', 'secret'), NEVER), false);
  assert.equal(seen.checks, 1);
});

/** Without this whoever has imported a function of Node by name goes on with the one that is not mocked. */
function letOthersSee(t: TestContext): void {
  syncBuiltinESMExports();
  t.after(() => {
    t.mock.restoreAll();
    syncBuiltinESMExports();
  });
}

test('one key is derived and all is compared in constant time, whether or not there is such a user', async (t) => {
  const derived = t.mock.method(crypto, 'scrypt');
  const compared = t.mock.method(crypto, 'timingSafeEqual');
  letOthersSee(t);
  const { authenticate } = setting();
  for (const user of ['alice', 'bob', 'nobody']) {
    derived.mock.resetCalls();
    compared.mock.resetCalls();
    assert.equal(await authenticate(credentials(user, 'Secret'), NEVER), false);
    // The name with that of each user, also behind the one that it is, and the key.
    assert.deepEqual([derived.mock.callCount(), compared.mock.callCount()], [1, 3], user);
  }
});

test('what was right is remembered for a while, what was wrong is not', async () => {
  const { authenticate, seen, clock } = setting();
  for (let count = 0; count < 3; count += 1) assert.ok(await authenticate(credentials('alice', 'secret'), NEVER));
  assert.equal(seen.checks, 1);
  // The same bytes, divided in another way.
  assert.equal(await authenticate(credentials('alices', 'ecret'), NEVER), false);
  assert.equal(await authenticate(credentials('alices', 'ecret'), NEVER), false);
  assert.equal(seen.checks, 3);
  await clock.advance(5 * 60_000);
  assert.ok(await authenticate(credentials('alice', 'secret'), NEVER));
  assert.equal(seen.checks, 4);
});

test('64 logins are remembered, and the oldest makes room', async (t) => {
  // Each derivation takes a tenth of a second, and all would give the same key.
  t.mock.method(crypto, 'scrypt', (...words: readonly unknown[]) => {
    const done = words.at(-1);
    assert.ok(typeof done === 'function');
    setImmediate(() => done(null, alice.key));
  });
  letOthersSee(t);
  const names = Array.from({ length: 65 }, (_, index) => `user${index}`);
  const { authenticate, seen } = setting(names.map((name) => ({ name, hash: new Sensitive(alice) })));
  const checksOf = async (...users: readonly string[]) => {
    seen.checks = 0;
    const answers = await Promise.all(users.map((name) => authenticate(credentials(name, 'secret'), NEVER)));
    assert.ok(answers.every((isRight) => isRight));
    return seen.checks;
  };
  const first64 = names.slice(0, 64);
  assert.equal(await checksOf(...first64), 64);
  assert.equal(await checksOf(...first64), 0);
  assert.equal(await checksOf('user64'), 1);
  assert.equal(await checksOf(...names.slice(2)), 0);
  // Two checks run at a time, so that either of the first two may be the oldest.
  assert.ok((await checksOf('user0', 'user1')) > 0);
});

test('few checks run at a time, the event loop goes on, and whoever has left takes no turn', async () => {
  const { authenticate, seen } = setting();
  const left = new AbortController();
  const wrong = Array.from({ length: 4 }, (_, index) => authenticate(credentials(`user${index}`, 'x'), NEVER));
  const gone = authenticate(credentials('gone', 'x'), left.signal);
  left.abort(new Error('left'));
  await assert.rejects(gone);
  let turns = 0;
  const ticking = setInterval(() => {
    turns += 1;
  }, 1);
  assert.deepEqual(await Promise.all(wrong), [false, false, false, false]);
  clearInterval(ticking);
  assert.deepEqual([seen.most, seen.checks], [CHECKS_AT_ONCE, 4]);
  assert.ok(turns > 10, `the loop turned ${turns} times meanwhile`);
});

const LOGIN = '05 02 00 02 01 05 616c696365 06 736563726574';
const REQUEST = '05 01 00 03 05 61 2e 69 32 70 00 50';

async function client(authenticate: Authenticate, bytes: Buffer) {
  const { listener, dialer, clock, counts } = await world({ httpConnect: true }, undefined, undefined, authenticate);
  const app = listener.connect();
  app.stream.write(bytes);
  await settle();
  return { app, dialer, clock, counts };
}

test('a user is let in, and what it sent behind its password is not lost', async () => {
  const { authenticate } = setting();
  const { app, dialer } = await client(authenticate, hex(`${LOGIN} ${REQUEST} 68 69`));
  await until('the dial', () => dialer.dials.length === 1, 10_000);
  assert.equal(spaced(app.received()), '05 02 01 00');
  const service = dialer.only().succeed();
  await settle();
  assert.equal(service.received().toString(), 'hi');
});

test('D4 whoever is no user hears so, and is closed; nothing is dialled', async () => {
  const { app, dialer, counts } = await client(async () => false, hex(`${LOGIN} ${REQUEST}`));
  assert.equal(spaced(app.received()), '05 02 01 01');
  assert.equal(app.ended, true);
  assert.equal(dialer.dials.length, 0);
  assert.deepEqual(counts(), { accepted: 1, loginRefused: 1 });
});

test('a client that leaves while its password is checked gives up its turn', async () => {
  let given: AbortSignal | undefined;
  const { app, counts } = await client((_, signal) => {
    given = signal;
    return new Promise((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason));
    });
  }, hex(LOGIN));
  assert.equal(given?.aborted, false);
  app.stream.destroy();
  await settle();
  assert.equal(given?.aborted, true);
  assert.deepEqual(counts(), { accepted: 1, leftEarly: 1 });
});

/** Says each byte of `bytes` a while after the one before, until the handshake is to be over. */
async function trickle(bytes: Buffer, { app, clock }: Awaited<ReturnType<typeof client>>) {
  const step = HANDSHAKE_MS / 4 / bytes.length;
  for (let at = 0; at < bytes.length; at += 1) {
    assert.equal(app.served.destroyed, false);
    app.stream.write(bytes.subarray(at, at + 1));
    await clock.advance(step);
  }
}

/** At that very moment, and not a millisecond before. */
async function assertLateAt(ms: number, { app, clock, counts, dialer }: Awaited<ReturnType<typeof client>>) {
  await clock.advance(ms - 1 - clock.now());
  assert.equal(app.served.destroyed, false);
  await clock.advance(1);
  await settle();
  assert.equal(app.served.destroyed, true);
  assert.deepEqual([dialer.dials.length, clock.pending], [0, 0]);
  assert.deepEqual(counts(), { accepted: 1, handshakeTimeout: 1 });
}

test('D22 the deadline of the handshake is one for the login, the check of the password and the request', async () => {
  let letIn = (_: boolean) => {};
  const late = await client(() => new Promise((resolve) => (letIn = resolve)), Buffer.alloc(0));
  await trickle(hex(LOGIN), late);
  await late.clock.advance(HANDSHAKE_MS / 4);
  letIn(true);
  await settle();
  assert.equal(spaced(late.app.received()), '05 02 01 00');
  await trickle(hex(REQUEST).subarray(0, -1), late);
  await assertLateAt(HANDSHAKE_MS, late);
});

const TUNNEL = 'CONNECT a.i2p:80 HTTP/1.1\r\nHost: a.i2p\r\n';
const basic = (login: string) => `Proxy-Authorization: Basic ${Buffer.from(login).toString('base64')}\r\n`;

for (const [what, bytes] of [
  ['a password', hex(LOGIN)],
  ['the password of an HTTP CONNECT', Buffer.from(`${TUNNEL}${basic('alice:secret')}\r\n`)],
] as const) {
  test(`D22 ${what} whose check does not end is waited for until the deadline of the handshake`, async () => {
    const never: Authenticate = (_, signal) =>
      new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    const checked = await client(never, Buffer.alloc(0));
    await trickle(bytes, checked);
    await assertLateAt(HANDSHAKE_MS, checked);
  });
}

for (const [what, bytes, reply] of [
  ['SOCKS4', '04 01 00 50 00 00 00 01 00 61 2e 69 32 70 00', '00 5b 00 00 00 00 00 00'],
  ['SOCKS5 without the method for a password', '05 01 00', '05 ff'],
] as const) {
  test(`${what} is refused where there are users, and counted as whoever is none`, async () => {
    const { app, dialer, counts } = await client(async () => true, hex(bytes));
    assert.equal(spaced(app.received()), reply);
    assert.equal(app.ended, true);
    assert.equal(dialer.dials.length, 0);
    assert.deepEqual(counts(), { accepted: 1, loginRefused: 1 });
  });
}

test('D3 where there are no users, a client that offers no known method is a protocol error', async () => {
  const { listener, counts } = await world();
  const app = listener.connect();
  app.stream.write(hex('05 01 01'));
  await settle();
  assert.equal(spaced(app.received()), '05 ff');
  assert.deepEqual(counts(), { accepted: 1, protocolError: 1 });
});

test('HTTP CONNECT: a user is let in', async () => {
  const { authenticate } = setting();
  const { app, dialer, counts } = await client(authenticate, Buffer.from(`${TUNNEL}${basic('alice:secret')}\r\nhi`));
  await until('the dial', () => dialer.dials.length === 1, 10_000);
  const service = dialer.only().succeed();
  await settle();
  assert.equal(String(app.received()), 'HTTP/1.1 200 Connection established\r\n\r\n');
  assert.equal(String(service.received()), 'hi');
  assert.deepEqual(counts(), { accepted: 1, connected: 1 });
});

for (const [what, field] of [
  ['no credentials', ''],
  ['a wrong password', basic('alice:Secret')],
  ['empty credentials', basic(':')],
] as const) {
  test(`HTTP CONNECT: ${what} are answered with 407 and how to log in, and nothing is dialled`, async () => {
    const { authenticate } = setting();
    const { app, dialer, counts } = await client(authenticate, Buffer.from(`${TUNNEL}${field}\r\n`));
    await until('the answer', () => app.ended, 10_000);
    const [status, ...fields] = String(app.received()).split('\r\n');
    assert.equal(status, 'HTTP/1.1 407 Proxy Authentication Required');
    assert.ok(fields.includes('Proxy-Authenticate: Basic realm="garligate"'));
    assert.equal(dialer.dials.length, 0);
    assert.deepEqual(counts(), { accepted: 1, loginRefused: 1 });
  });
}

/** A session for datagrams on a scripted bridge: who gets what, by which way it goes out, and what ends with it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DatagramSession } from '../../../../src/core/datagram/session.ts';
import type { UdpSocket } from '../../../../src/core/ports.ts';
import { GateError } from '../../../../src/kit/errors.ts';
import { silentLogger } from '../../../../src/kit/log.ts';
import type { SamDatagram } from '../../../../src/wire/sam/datagram.ts';
import { FakeClock } from '../../../helpers/fake-clock.ts';
import { FakeUdp } from '../../../helpers/fake-udp.ts';
import { ScriptedBridge } from '../session/scripted-bridge.ts';
import { destination } from '../support.ts';

const NEVER = new AbortController().signal;
const [SENDER, OTHER] = [destination(2), destination(3)];
const REFUSED = new GateError('local-io', 'udp.failed', 'refused', { facts: { errno: 'ECONNREFUSED' } });
/** i2pd reads a datagram of the control connection from one read of 8192 bytes. */
const LARGEST_ON_I2PD = 7_600;
const LARGEST = 31_744;

interface Plan {
  /** Java I2P speaks 3.3 and answers PING; i2pd speaks 3.1. */
  readonly router?: 'i2pd' | 'java';
  readonly way?: 'udp' | 'control';
  readonly options?: Readonly<Record<string, string>>;
}

function setting({ router = 'i2pd', way = 'udp', options = {} }: Plan = {}) {
  const clock = new FakeClock();
  const bridge = new ScriptedBridge();
  if (router === 'java') bridge.rules.version = '3.3';
  const udp = new FakeUdp();
  const openDatagrams = async (): Promise<UdpSocket | undefined> =>
    way === 'udp' ? udp.bind('127.0.0.1', 40_000) : undefined;
  const session = new DatagramSession(
    { keys: 'transient', options, credentials: undefined },
    {
      bridge: { open: (signal) => bridge.open(signal), openDatagrams },
      clock,
      log: silentLogger,
      random: () => 0.5,
      takeTurn: (build) => build(),
    },
  );
  const user = (port = 0) => {
    const heard: SamDatagram[] = [];
    const attachment = session.attach(port, (datagram) => heard.push(datagram));
    return { attachment, heard, texts: () => heard.map(({ payload }) => payload.toString()) };
  };
  /** The router forwards a datagram. */
  const forward = (text: string, ports = '', from = SENDER) => {
    for (const { take } of udp.bound) {
      take(Buffer.from(`${from.base64}${ports}\n${text}`), { address: '127.0.0.1', port: 7655 });
    }
  };
  /** What went out on the control connection, from the first datagram on. */
  const onControl = () => {
    const [control] = bridge.of('control');
    return control?.lines.filter((text) => text.startsWith('DATAGRAM SEND')) ?? [];
  };
  return { bridge, clock, forward, onControl, session, udp, user };
}

const text = (bytes: Buffer | undefined) => bytes?.toString('latin1') ?? '';

test('nothing is sent before the session stands, nor after a user has left', async () => {
  const { session, udp, user } = setting();
  const { attachment } = user();
  assert.equal(attachment.send(OTHER, 7, Buffer.from('early')), 'not-ready');
  await attachment.ready(NEVER);
  assert.equal(attachment.send(OTHER, 7, Buffer.from('now')), 'sent');
  attachment.detach();
  attachment.detach();
  assert.deepEqual([attachment.attached, session.users], [false, 0]);
  assert.equal(attachment.send(OTHER, 7, Buffer.from('late')), 'not-ready');
  await assert.rejects(attachment.ready(NEVER), { kind: 'cancelled', code: 'datagram.detached' });
  assert.equal(udp.sent.length, 1);
  await session.close();
});

for (const [router, ports] of [
  ['i2pd', ''],
  ['java', ' FROM_PORT=4000 TO_PORT=7'],
] as const) {
  test(`${router}: over UDP goes what I2P carries, ${ports === '' ? 'without' : 'with'} ports`, async () => {
    const { session, udp, user } = setting({ router });
    const { attachment } = user(4000);
    await attachment.ready(NEVER);
    assert.equal(attachment.send(OTHER, 7, Buffer.from('hello')), 'sent');
    assert.ok(text(udp.sent[0]?.bytes).endsWith(`${OTHER.base64}${ports}\nhello`));
    assert.equal(udp.sent[0]?.to, undefined);
    assert.equal(attachment.send(OTHER, 7, Buffer.alloc(LARGEST)), 'sent');
    assert.equal(attachment.send(OTHER, 7, Buffer.alloc(LARGEST + 1)), 'too-large');
    udp.full = true;
    assert.equal(attachment.send(OTHER, 7, Buffer.from('one too many')), 'busy');
    await session.close();
  });

  test(`${router}: on the control connection goes what that router reads there, and no more than it reads`, async () => {
    const { bridge, clock, onControl, session, user } = setting({ router, way: 'control' });
    const { attachment } = user(4000);
    await attachment.ready(NEVER);
    const largest = router === 'java' ? LARGEST : LARGEST_ON_I2PD;
    assert.equal(attachment.send(OTHER, 7, Buffer.alloc(largest + 1)), 'too-large');
    assert.equal(attachment.send(OTHER, 7, Buffer.from('hello\n')), 'sent');
    await clock.settle();
    assert.deepEqual(onControl(), [`DATAGRAM SEND DESTINATION=${OTHER.base64} SIZE=6${ports}`]);
    const [control] = bridge.of('control');
    control?.end.removeAllListeners('data').pause();
    const outcomes = Array.from({ length: 200 }, () => attachment.send(OTHER, 7, Buffer.alloc(7_000)));
    const sent = outcomes.filter((outcome) => outcome === 'sent').length;
    assert.equal(outcomes.lastIndexOf('sent'), sent - 1, 'a router that does not read is not written to without end');
    // One may be begun below the bound; with each goes a header.
    assert.ok(sent * 7_000 > 200 * 1024 && (sent - 1) * 7_000 < 256 * 1024, `${sent} were sent`);
    await session.close();
  });
}

test('java that could not be asked at first gets its ports all the same, and nothing before that', async () => {
  const { bridge, clock, session, udp, user } = setting({ router: 'java' });
  const { ping } = bridge.rules;
  bridge.rules.ping = () => {
    bridge.rules.ping = ping;
    return undefined;
  };
  const { attachment } = user(4242);
  const ready = attachment.ready(NEVER);
  await clock.settle();
  assert.equal(attachment.send(SENDER, 53, Buffer.from('early')), 'not-ready');
  await clock.advance(10_000);
  await ready;
  assert.equal(attachment.send(SENDER, 53, Buffer.from('hello')), 'sent');
  assert.match(text(udp.sent[0]?.bytes), / FROM_PORT=4242 TO_PORT=53\nhello$/);
  await session.close();
  assert.equal(clock.pending, 0);
});

test('whoever waits while a build ends of which nobody knew the router waits for the next one', async () => {
  const { bridge, clock, session, user } = setting({ router: 'java' });
  const { ping } = bridge.rules;
  bridge.rules.ping = () => undefined;
  const { attachment } = user(4242);
  const ready = attachment.ready(NEVER);
  await clock.settle();
  bridge.rules.ping = ping;
  for (const { end } of bridge.of('control')) end.destroy();
  await clock.advance(20_000);
  await ready;
  assert.equal(attachment.send(SENDER, 53, Buffer.from('hello')), 'sent');
  await session.close();
  assert.equal(clock.pending, 0);
});

test('whoever waits no longer is let go, though it is not known which router it is', async () => {
  const { bridge, clock, session, user } = setting({ router: 'java' });
  bridge.rules.ping = () => undefined;
  const { attachment } = user(4242);
  const abort = new AbortController();
  const ready = attachment.ready(abort.signal);
  const refused = assert.rejects(ready, { code: 'test.enough' });
  await clock.settle();
  abort.abort(new GateError('cancelled', 'test.enough', 'enough'));
  await refused;
  await session.close();
  assert.equal(clock.pending, 0);
});

test('what comes is for whom its port names, else for who wrote last, else for the only one; the rest is counted', async () => {
  const { forward, session, user } = setting({ router: 'java' });
  const [one, other] = [user(4000), user(4000)];
  assert.equal(one.attachment.port, 4000);
  assert.notEqual(other.attachment.port, 4000);
  await one.attachment.ready(NEVER);
  forward('by port', ' FROM_PORT=9 TO_PORT=4000');
  forward('to nobody', ' FROM_PORT=9 TO_PORT=1');
  forward('to whom?');
  other.attachment.send(SENDER, 9, Buffer.from('question'));
  forward('answer');
  other.attachment.detach();
  forward('to the only one');
  assert.deepEqual(one.texts(), ['by port', 'to the only one']);
  assert.deepEqual(other.texts(), ['answer']);
  assert.deepEqual(one.heard[0]?.ports, { from: 9, to: 4000 });
  assert.equal(one.heard[0]?.sender.b32, SENDER.b32);
  one.attachment.detach();
  forward('to an empty house');
  assert.deepEqual(session.drops(), { unreadable: 0, nobody: 2, ambiguous: 1 });
  await session.close();
});

test('what is not as SAM says is counted, and hurts nobody', async () => {
  const { session, udp, user, forward } = setting();
  const { attachment, texts } = user();
  await attachment.ready(NEVER);
  for (const bytes of ['', 'no newline', 'no destination\nx', `${SENDER.base64.slice(1)}\nx`]) {
    for (const { take } of udp.bound) take(Buffer.from(bytes), { address: '127.0.0.1', port: 7655 });
  }
  forward('sound');
  assert.deepEqual(texts(), ['sound']);
  assert.equal(session.drops().unreadable, 4);
  await session.close();
});

test('a lost session is built again with a new socket, and its users stay', async () => {
  const { bridge, clock, forward, session, udp, user } = setting();
  const { attachment, texts } = user();
  await attachment.ready(NEVER);
  const [first] = udp.bound;
  for (const { end } of bridge.of('control')) end.destroy();
  await clock.settle();
  assert.equal(udp.bound.size, 0, 'its socket ended with it');
  assert.equal(attachment.send(OTHER, 7, Buffer.from('meanwhile')), 'not-ready');
  await clock.advance(2_000);
  await attachment.ready(NEVER);
  assert.equal(udp.bound.size, 1);
  assert.ok(first !== undefined && !udp.bound.has(first));
  assert.equal(attachment.send(OTHER, 7, Buffer.from('again')), 'sent');
  forward('and back');
  assert.deepEqual(texts(), ['and back']);
  await session.close();
});

test('a router that refuses its UDP port, and lives, gets its datagrams on the TCP connection', async () => {
  const { clock, onControl, session, udp, user } = setting();
  const { attachment } = user();
  await attachment.ready(NEVER);
  for (const { fail } of udp.bound) fail(new GateError('local-io', 'udp.failed', 'of another kind'));
  await clock.advance(1_000);
  assert.equal(session.state.kind, 'ready', 'another error is no refusal');
  for (const { fail } of udp.bound) fail(REFUSED);
  await clock.advance(3_000);
  await attachment.ready(NEVER);
  assert.equal(udp.bound.size, 0);
  assert.equal(attachment.send(OTHER, 7, Buffer.from('by TCP')), 'sent');
  await clock.settle();
  assert.equal(onControl().length, 1);
  await session.close();
});

test('nothing waits any more when it is closed: no timer, no socket, no connection', async () => {
  const { bridge, clock, session, udp, user } = setting({ router: 'java' });
  const { attachment } = user();
  await attachment.ready(NEVER);
  for (const { fail } of udp.bound) fail(REFUSED);
  await session.close();
  await clock.settle();
  assert.deepEqual([clock.pending, udp.bound.size, bridge.visits.length], [0, 0, 0]);
  await assert.rejects(attachment.ready(NEVER), { code: 'session.closed' });
});

test('a session that cannot even be asked for leaves no socket behind', async () => {
  const { clock, session, udp, user } = setting({ options: { 'no option': 'with blanks' } });
  const { attachment } = user();
  const waiting = new AbortController();
  const ready = assert.rejects(attachment.ready(waiting.signal));
  await clock.advance(60_000);
  assert.equal(udp.bound.size, 0);
  waiting.abort(new GateError('cancelled', 'test', 'over'));
  await ready;
  await session.close();
});

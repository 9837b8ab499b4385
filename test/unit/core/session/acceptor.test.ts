import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createAcceptor, type InboundStream } from '../../../../src/core/session/acceptor.ts';
import { Session } from '../../../../src/core/session/session.ts';
import { type Logger, silentLogger } from '../../../../src/kit/log.ts';
import { parsePrivateKeys } from '../../../../src/wire/i2p/destination.ts';
import { FakeClock } from '../../../helpers/fake-clock.ts';
import { destination, privateKeys } from '../support.ts';
import { ScriptedBridge, STREAM_OK } from './scripted-bridge.ts';

const NEVER = new AbortController().signal;
/** As the acceptor has it for SAM 3.2 and later. */
const BURST_WINDOW_MS = 3_500;

interface Setting {
  readonly router?: 'i2pd-2.45' | 'i2pd-2.59' | 'java';
  readonly slots?: number;
  readonly log?: Logger;
}

function setting({ router = 'java', slots = 4, log = silentLogger }: Setting = {}) {
  const clock = new FakeClock();
  const bridge = new ScriptedBridge();
  bridge.rules.version = router === 'i2pd-2.45' ? '3.1' : '3.3';
  // On i2pd 2.59, which hangs up, a burst of accepts does harm.
  bridge.rules.controlPing = (text) => `PONG ${text}`;
  bridge.rules.ping =
    router === 'java' ? (_visit, text) => `PONG ${text}` : (visit, text) => void visit.end.end(`PONG ${text}\n`);
  let drawn = 0;
  const random = () => 1 - ++drawn * 1e-9;
  const session = new Session(
    { keys: parsePrivateKeys(privateKeys(1)), options: {}, credentials: undefined },
    { bridge, clock, log: silentLogger, random, takeTurn: (build) => build() },
  );
  const taken: InboundStream[] = [];
  const service = createAcceptor({
    session,
    bridge,
    clock,
    log,
    random,
    credentials: undefined,
    slots,
    take: (inbound) => taken.push(inbound),
  });
  return { clock, bridge, session, service, taken };
}

test('keeps its slots armed, and arms again for each stream that came', async () => {
  const { clock, bridge, service, taken, session } = setting();
  await service.start(NEVER);
  await clock.settle();
  await clock.advance(1);
  assert.deepEqual([service.armed, bridge.of('accept').length], [4, 4]);
  const [first] = bridge.of('accept');
  first?.end.write(`${destination(2).base64} FROM_PORT=1 TO_PORT=2\nearly bytes`);
  await clock.advance(1);
  assert.equal(taken.length, 1);
  assert.equal(taken[0]?.from.b32, destination(2).b32);
  assert.equal(String(taken[0]?.stream.read()), 'early bytes');
  assert.deepEqual([service.armed, bridge.of('accept').length], [4, 5]);
  await service.stop();
  await clock.settle();
  // The stream that was handed over is not the acceptor's any more.
  assert.equal(taken[0]?.stream.destroyed, false);
  assert.deepEqual([service.armed, bridge.of('accept').length], [0, 1]);
  await session.close();
  assert.equal(clock.pending, 0);
});

test('an i2pd of SAM 3.1 never has two accepts at a time, and the next one as soon as one is used', async () => {
  const { clock, bridge, service, taken, session } = setting({ router: 'i2pd-2.45' });
  await service.start(NEVER);
  for (let came = 1; came <= 5; came += 1) {
    await clock.advance(10_000);
    assert.deepEqual([service.armed, bridge.of('accept').length], [1, came]);
    bridge
      .of('accept')
      .at(-1)
      ?.end.write(`${destination(2).base64}\n`);
    await clock.settle();
    assert.equal(taken.length, came);
  }
  assert.equal(service.armed, 1);
  await service.stop();
  await session.close();
});

test('a newer i2pd gets its accepts one after another', async () => {
  const { clock, bridge, service, taken, session } = setting({ router: 'i2pd-2.59', slots: 3 });
  await service.start(NEVER);
  await clock.settle();
  for (const wanted of [1, 2, 3]) {
    assert.equal(bridge.of('accept').length, wanted);
    await clock.advance(BURST_WINDOW_MS - 100);
    assert.equal(bridge.of('accept').length, wanted);
    await clock.advance(110);
  }
  assert.equal(bridge.of('accept').length, 3);
  assert.equal(taken.length, 0);
  await service.stop();
  await session.close();
});

test('a bridge that knows PING is Java I2P, and gets all accepts at once', async () => {
  const { clock, service, session } = setting({ slots: 3 });
  await service.start(NEVER);
  await clock.settle();
  assert.equal(service.armed, 3);
  await service.stop();
  await session.close();
});

test('while it is not known which router this is, one accept is armed; the others as soon as it is', async () => {
  const { clock, bridge, service, session } = setting({ slots: 3 });
  const { ping } = bridge.rules;
  bridge.rules.ping = () => undefined;
  await service.start(NEVER);
  await clock.settle();
  assert.equal(service.armed, 1);
  bridge.rules.ping = ping;
  bridge.of('ping')[0]?.end.write('PONG one\n');
  await clock.settle();
  assert.equal(service.armed, 3);
  await service.stop();
  await session.close();
});

test('when no accept is pending, a newer i2pd gets one at once', async () => {
  const { clock, bridge, service, taken, session } = setting({ router: 'i2pd-2.59', slots: 2 });
  await service.start(NEVER);
  await clock.settle();
  assert.equal(bridge.of('accept').length, 1);
  bridge.of('accept')[0]?.end.write(`${destination(2).base64}\n`);
  await clock.settle();
  assert.equal(taken.length, 1);
  assert.deepEqual([service.armed, bridge.of('accept').length], [1, 2]);
  await service.stop();
  await session.close();
});

test('a bridge that closes every accept is asked again with pauses', async () => {
  const { clock, bridge, service, session } = setting();
  bridge.rules.accept = (visit) => {
    setImmediate(() => visit.end.destroy());
    return STREAM_OK;
  };
  await service.start(NEVER);
  await clock.settle();
  const before = bridge.opened;
  for (let second = 0; second < 60; second += 1) await clock.advance(1_000);
  const asked = bridge.opened - before;
  assert.ok(asked >= 10 && asked <= 60 * 8, `asked ${asked} times in a minute`);
  bridge.rules.accept = () => STREAM_OK;
  await clock.advance(2_000);
  assert.equal(service.armed, 4);
  await service.stop();
  await session.close();
  assert.equal(clock.pending, 0);
});

test('a bridge that refuses an accept is asked less and less, and keeps those that stand', async () => {
  const { clock, bridge, service, session } = setting();
  let granted = 2;
  bridge.rules.accept = () => (granted-- > 0 ? STREAM_OK : 'STREAM STATUS RESULT=I2P_ERROR');
  await service.start(NEVER);
  await clock.settle();
  const before = bridge.opened;
  await clock.advance(60_000);
  assert.ok(bridge.opened - before <= 9, `asked ${bridge.opened - before} times`);
  assert.equal(service.armed, 2);
  assert.equal(bridge.of('accept').length, 2);
  granted = 10;
  await clock.advance(16_000);
  assert.equal(service.armed, 4);
  await service.stop();
  await session.close();
});

test('a bridge that never answers an accept does not hold the acceptor for ever', async () => {
  const { clock, bridge, service, session } = setting({ slots: 1 });
  bridge.rules.accept = () => undefined;
  await service.start(NEVER);
  await clock.settle();
  assert.equal(bridge.of('accept').length, 1);
  bridge.rules.accept = () => STREAM_OK;
  await clock.advance(21_000);
  assert.equal(service.armed, 1);
  assert.equal(bridge.of('accept').length, 1);
  await service.stop();
  await session.close();
});

test('a garbled peer line costs its stream and no more', async () => {
  const { clock, bridge, service, taken, session } = setting({ slots: 1 });
  await service.start(NEVER);
  await clock.settle();
  for (const text of ['rubbish\n', 'STREAM STATUS RESULT=I2P_ERROR\n', 'A'.repeat(20_000)]) {
    bridge.of('accept')[0]?.end.write(text);
    await clock.advance(1_000);
    assert.equal(service.armed, 1, text.slice(0, 20));
  }
  assert.equal(taken.length, 0);
  assert.equal(bridge.of('accept').length, 1);
  await service.stop();
  await session.close();
});

test('a lost session takes its accepts along; the next one gets new ones; nothing leaks', async () => {
  const { clock, bridge, service, session } = setting();
  await service.start(NEVER);
  for (let round = 0; round < 30; round += 1) {
    await clock.advance(200_000);
    assert.equal(bridge.of('accept').length, 4, `round ${round}`);
    bridge.of('control')[0]?.end.destroy();
    await clock.settle();
    assert.equal(bridge.of('accept').length, 0);
  }
  await service.stop();
  await session.close();
  await clock.settle();
  assert.deepEqual([bridge.visits.length, clock.pending], [0, 0]);
});

test('waits for a router that is away without hurrying the session', async () => {
  const { clock, bridge, service, session } = setting();
  bridge.rules.down = true;
  await service.start(NEVER);
  await clock.advance(3_600_000);
  assert.ok(bridge.opened < 730, `${bridge.opened} attempts in an hour`);
  bridge.rules.down = false;
  await clock.advance(6_000);
  assert.equal(service.armed, 4);
  await service.stop();
  await session.close();
});

test('a defect in what it waits on is told, and ends accepting for a moment, not for good', async () => {
  const errors: string[] = [];
  const log = { ...silentLogger, error: (text: string) => void errors.push(text) };
  const { clock, service, session } = setting({ log });
  const { readySomeTime } = session;
  let throws = 2;
  session.readySomeTime = async (signal) => {
    throws -= 1;
    if (throws >= 0) throw new TypeError('x is not a function');
    return readySomeTime.call(session, signal);
  };
  await service.start(NEVER);
  await clock.settle();
  assert.equal(service.armed, 0);
  await clock.advance(2_000);
  assert.equal(service.armed, 4);
  assert.deepEqual(
    errors.map((text) => /a defect: accepting streams failed/.test(text)),
    [true, true],
  );
  await service.stop();
  await session.close();
  assert.equal(clock.pending, 0);
});

test('a session that is over for good ends accepting, and is no defect', async () => {
  const errors: string[] = [];
  const { clock, bridge, service, session } = setting({
    log: { ...silentLogger, error: (text: string) => void errors.push(text) },
  });
  bridge.rules.create = () => 'SESSION STATUS RESULT=INVALID_KEY';
  await service.start(NEVER);
  await clock.settle();
  const before = bridge.opened;
  await clock.advance(600_000);
  assert.deepEqual([session.state.kind, bridge.opened, clock.pending, errors], ['failed', before, 0, []]);
  await service.stop();
  await session.close();
});

test('stops at any time, also before it has begun', async () => {
  for (const settle of [0, 1, 2, 3, 5]) {
    const { clock, bridge, service, session } = setting();
    await service.start(NEVER);
    for (let turn = 0; turn < settle; turn += 1) await Promise.resolve();
    await service.stop();
    await service.stop();
    await session.close();
    await clock.settle();
    assert.deepEqual([bridge.visits.length, clock.pending], [0, 0], `after ${settle} turns`);
  }
  const never = setting();
  await never.service.stop();
  assert.equal(never.bridge.opened, 0);
});

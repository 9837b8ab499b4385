/** The fake bridge misbehaves as it is told to, and only then. */
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { ARRIVAL } from '../../helpers/fake-bridge/faults.ts';
import { FakeClock } from '../../helpers/fake-clock.ts';
import { FakeWorld } from '../../helpers/fake-world.ts';
import { until } from '../../helpers/until.ts';

const world = new FakeWorld();
afterEach(() => world.clean());

describe('misbehaviour', () => {
  const LOOKUP = 'NAMING LOOKUP NAME=nosuch.i2p';
  const ANSWER = 'NAMING REPLY RESULT=INVALID_KEY NAME=nosuch.i2p';

  test('is for as many times as asked, and ends with `behave`', async () => {
    const bridge = await world.startBridge();
    const client = await world.greet(bridge);
    bridge.misbehave({ on: 'NAMING', times: 1, action: { kind: 'instead', text: 'NAMING REPLY RESULT=WHATEVER\n' } });
    assert.equal(await client.ask(LOOKUP), 'NAMING REPLY RESULT=WHATEVER');
    assert.equal(await client.ask(LOOKUP), ANSWER);
    bridge.misbehave({ on: /nosuch/, action: { kind: 'silence' } });
    assert.equal(await client.ask(LOOKUP, 20), '<timeout>');
    bridge.behave();
    assert.equal(await client.ask(LOOKUP), ANSWER);
  });

  test('can be decided by a function that sees lines and connections', async () => {
    const bridge = await world.startBridge();
    await world.createSession(bridge, 'a');
    const seen: string[] = [];
    bridge.onCommand((line, from) => {
      seen.push(`${from.connection} ${from.session} ${line}`);
      return line.startsWith('NAMING') ? { kind: 'close' } : undefined;
    });
    const client = await world.greet(bridge);
    assert.equal(await client.ask(LOOKUP), '<EOF>');
    assert.deepEqual(seen, ['2 undefined HELLO VERSION MIN=3.1 MAX=3.3', `2 undefined ${LOOKUP}`]);
  });

  test('splits an answer, byte by byte or at positions', async () => {
    const clock = new FakeClock();
    const bridge = await world.startBridge({ clock });
    const client = await world.greet(bridge);
    bridge.misbehave({ on: 'NAMING', action: { kind: 'answer', split: [5, 10], pauseMs: 100, delayMs: 50 } });
    client.send(`${LOOKUP}\n`);
    await until('the answer is due', () => clock.pending === 1);
    assert.equal(client.received, '');
    await clock.advance(50);
    await until('the first piece', () => client.received === ANSWER.slice(0, 5));
    await clock.advance(100);
    await until('the second piece', () => client.received === ANSWER.slice(0, 10));
    await clock.advance(100);
    assert.equal(await client.line(), ANSWER);
    bridge.behave();
    bridge.misbehave({ on: 'NAMING', action: { kind: 'answer', split: 'bytes' } });
    assert.equal(await client.ask(LOOKUP), ANSWER);
  });

  for (const [after, seen] of [
    ['stay', 'open'],
    ['close', 'FIN'],
    ['reset', 'RST'],
  ] as const) {
    test(`says half an answer and then: ${after}`, async () => {
      const bridge = await world.startBridge();
      const client = await world.greet(bridge);
      bridge.misbehave({ on: 'NAMING', action: { kind: 'answer', cut: 12, after } });
      client.send(`${LOOKUP}\n`);
      if (after === 'stay') await client.take(12);
      else assert.equal(await client.end(), seen);
      assert.equal(client.ended, seen);
    });
  }

  test('alters the true answer, and the command is carried out', async () => {
    const bridge = await world.startBridge();
    const client = await world.greet(bridge);
    bridge.misbehave({ on: 'SESSION CREATE', action: { kind: 'answer', alter: (text) => text.replace(/=+\n/, '\n') } });
    const reply = await client.ask('SESSION CREATE STYLE=STREAM ID=a DESTINATION=TRANSIENT SIGNATURE_TYPE=1');
    assert.match(reply, /[^=]$/);
    assert.equal(bridge.sessions.length, 1);
  });

  test('says a line without end', async () => {
    const bridge = await world.startBridge();
    const client = await world.greet(bridge);
    let bytes = 0;
    client.socket.removeAllListeners('data').on('data', (chunk) => (bytes += chunk.length));
    bridge.misbehave({ on: 'NAMING', action: { kind: 'endless', bytes: 10_000_000 } });
    client.send(`${LOOKUP}\n`);
    await until('all of it came', () => bytes === 10_000_000);
  });

  test('reaches the line that names the peer', async () => {
    const { a, b } = await world.twoSessions();
    b.bridge.misbehave({ on: ARRIVAL, times: 1, action: { kind: 'instead', text: 'rubbish\n', after: 'stay' } });
    const [first, second] = [await world.accept(b), await world.accept(b)];
    const { client } = await world.dial(a, b);
    client.send('data');
    assert.equal(await first.line(), 'rubbish');
    assert.equal(await first.take(4), 'data');
    await world.dial(a, b);
    assert.equal(await second.line(), a.keys.destination.base64);
  });

  test('a session whose answer ends with its connection is gone', async () => {
    const bridge = await world.startBridge();
    const client = await world.greet(bridge);
    bridge.misbehave({ on: 'SESSION CREATE', action: { kind: 'answer', after: 'close' } });
    assert.match(await client.ask('SESSION CREATE STYLE=STREAM ID=a DESTINATION=TRANSIENT'), /RESULT=OK/);
    await client.end();
    assert.equal(bridge.sessions.length, 0);
  });
});

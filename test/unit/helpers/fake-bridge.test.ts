/** Sessions of the fake bridge, routers that die, and the knobs of the network between them. */
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { FakeClock } from '../../helpers/fake-clock.ts';
import { ALL, FakeWorld, OK } from '../../helpers/fake-world.ts';
import { SamClient } from '../../helpers/sam-client.ts';
import { until } from '../../helpers/until.ts';

const world = new FakeWorld();
afterEach(() => world.clean());

describe('a session', () => {
  test('is shown as it was asked for, and its key is nowhere in the log', async () => {
    const bridge = await world.startBridge();
    const { keys } = await world.createSession(bridge, 'a');
    const [view] = bridge.sessions;
    assert.deepEqual(view, {
      id: 'a',
      style: 'STREAM',
      b32: keys.destination.b32,
      destination: keys.destination.base64,
      options: { 'inbound.length': '1' },
      armed: 0,
    });
    assert.equal(
      bridge.commands.at(-1)?.line,
      'SESSION CREATE STYLE=STREAM ID=a DESTINATION=[private] inbound.length=1',
    );
    assert.equal(bridge.connections, 1);
  });

  for (const [temperament, ms] of [
    ['i2pd-2.45', 20_000],
    ['i2pd-2.59', 3_000],
  ] as const) {
    test(`${temperament}: takes ${ms} ms where time is as recorded`, async () => {
      const clock = new FakeClock();
      const bridge = await world.startBridge({ temperament, clock, timing: 'as recorded' });
      const client = await world.greet(bridge);
      client.send('SESSION CREATE STYLE=STREAM ID=a DESTINATION=TRANSIENT SIGNATURE_TYPE=7\n');
      await until('it is asked for', () => bridge.sessions.length === 1);
      await clock.advance(ms - 1);
      assert.equal(await client.line(20), '<timeout>');
      await clock.advance(1);
      assert.equal((await client.line()).length, 945);
    });
  }

  for (const [temperament, far] of [
    ['i2pd-2.45', 'open'],
    ['i2pd-2.59', 'open'],
    ['java', 'FIN'],
  ] as const) {
    test(`${temperament}: ends with its control connection, which the other side sees as ${far}`, async () => {
      const { a, b, acceptor, connector } = await world.connected({ temperament });
      const waiting = await world.accept(b);
      b.control.destroy();
      await acceptor.end();
      await waiting.end();
      if (far === 'FIN') await connector.end();
      else await pause(20);
      assert.equal(connector.ended, far);
      assert.match(await (await world.greet(b.bridge)).ask('STREAM ACCEPT ID=b'), /RESULT=INVALID_ID/);
      const { client, reply } = await world.dial(a, b, 30);
      if (far === 'open') assert.equal(reply, OK, 'i2pd believes in the lease set that it has');
      else assert.equal(reply, '<timeout>');
      assert.equal(client.ended, 'open');
    });
  }

  test('i2pd 2.45: one of two with the same key ends, then the other, then the router', async () => {
    const clock = new FakeClock();
    const bridge = await world.startBridge({ clock });
    const { keys, control } = await world.createSession(bridge, 'one');
    const twin = await world.createSession(bridge, 'two', keys);
    control.destroy();
    await until('the first is gone', () => bridge.sessions.length === 1);
    assert.match(await (await world.greet(bridge)).ask('STREAM ACCEPT ID=two'), /INVALID_ID/);
    await clock.advance(3_000);
    await twin.control.end();
    assert.equal(bridge.running, false);
  });

  test('can be dropped by the router, and spoken to', async () => {
    const bridge = await world.startBridge({ temperament: 'java' });
    const { control } = await world.createSession(bridge, 'a');
    bridge.say('a', 'PING now');
    assert.equal(await control.line(), 'PING now');
    bridge.dropSession('a');
    assert.equal(await control.end(), 'FIN');
    assert.equal(bridge.sessions.length, 0);
  });

  test('i2pd 2.59: one PING on its control connection is its end', async () => {
    const bridge = await world.startBridge({ temperament: 'i2pd-2.59' });
    const { control } = await world.createSession(bridge, 'a');
    assert.equal(await control.ask('PING x'), 'PONG x');
    await control.end();
    assert.equal(bridge.sessions.length, 0);
  });
});

describe('a router', () => {
  for (const temperament of ALL) {
    test(`${temperament}: when it dies its clients see an end, and its peers nothing`, async () => {
      const { far, b, acceptor, connector, a } = await world.connected({ temperament });
      await far.stop();
      await acceptor.end();
      await b.control.end();
      connector.send('into nothing');
      await pause(20);
      assert.equal(connector.ended, 'open');
      await far.restart();
      const again = await world.createSession(far, 'b', b.keys);
      const acceptorAgain = await world.accept(again);
      const { reply } = await world.dial(a, again);
      assert.equal(reply, OK);
      assert.equal((await acceptorAgain.line()).split(' ')[0], a.keys.destination.base64);
    });
  }

  test('may be stopped twice, keeps its address, and refuses connections meanwhile', async () => {
    const bridge = await world.startBridge();
    const { port } = bridge.address;
    await bridge.stop();
    await bridge.stop();
    const refused = new SamClient(bridge.address);
    assert.equal(await refused.end(), 'RST');
    await bridge.restart();
    assert.equal(bridge.address.port, port);
    await world.greet(bridge);
  });
});

describe('the network', () => {
  test('keeps a destination silent, or makes it unreachable', async () => {
    const { a, b, network } = await world.twoSessions();
    await world.accept(b);
    network.offline(b.keys.destination.b32);
    const { client, reply } = await world.dial(a, b);
    assert.equal(reply, OK);
    client.send('hello?');
    assert.equal(await client.line(30), '<timeout>');
    network.offline(b.keys.destination.b32, 'unreachable');
    assert.equal((await world.dial(a, b)).reply, 'STREAM STATUS RESULT=CANT_REACH_PEER');
    network.online(b.keys.destination.b32);
    assert.equal((await world.dial(a, b)).reply, OK);
  });

  test('delays and slows streams', async () => {
    const clock = new FakeClock();
    const { network, connector, acceptor } = await world.connected({ clock });
    network.shape({ latencyMs: 100, bytesPerSecond: 1_000 });
    connector.send('x'.repeat(500));
    await until('the bridge has it', () => clock.pending > 0);
    await clock.advance(99);
    assert.equal(acceptor.received, '');
    await clock.advance(1 + 200);
    await until('a part is there', () => acceptor.received.length > 0);
    assert.ok(acceptor.received.length < 300, `${acceptor.received.length} bytes in 200 ms`);
    await clock.advance(300);
    assert.equal((await acceptor.take(500)).length, 500);
  });

  for (const [loss, late] of [
    [0, false],
    [0.3, true],
  ] as const) {
    test(`loses ${loss * 100} % of a stream's pieces: they come ${late ? 'late' : 'in time'}, whole and in order`, async () => {
      const clock = new FakeClock();
      const { network, connector, acceptor } = await world.connected({ clock });
      network.shape({ latencyMs: 500, bytesPerSecond: 1_000, loss });
      const text = Array.from({ length: 1_000 }, (_, number) => `${number}`.padStart(5)).join('');
      connector.send(text);
      await until('the bridge has it', () => clock.pending > 0);
      await clock.advance(500 + 5_000);
      assert.equal(clock.pending > 0, late);
      await clock.advance(10_000);
      assert.equal(await acceptor.take(text.length), text);
    });
  }

  test('stalls streams and lets them go on', async () => {
    const { network, b, connector, acceptor } = await world.connected();
    network.stall(b.keys.destination.b32);
    connector.send('later');
    acceptor.send('too');
    await pause(20);
    assert.equal(acceptor.received + connector.received, '');
    network.resume(b.keys.destination.b32);
    assert.equal(await acceptor.take(5), 'later');
    assert.equal(await connector.take(3), 'too');
  });

  for (const [how, seen] of [
    ['end', 'FIN'],
    ['reset', 'RST'],
  ] as const) {
    test(`cuts streams with ${seen}`, async () => {
      const { network, b, connector, acceptor } = await world.connected();
      network.cut(b.keys.destination.b32, how);
      assert.deepEqual([await connector.end(), await acceptor.end()], [seen, seen]);
      assert.equal(network.streams, 0);
    });
  }
});

/** The fake bridge where recordings of single commands do not reach: streams, sessions that end, knobs and misbehaviour. */
import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { afterEach, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { FakeBridge, type FakeBridgeOptions } from '../../helpers/fake-bridge/bridge.ts';
import { ARRIVAL } from '../../helpers/fake-bridge/faults.ts';
import { type FakeKeys, generateKeys } from '../../helpers/fake-bridge/keys.ts';
import { FakeNetwork } from '../../helpers/fake-bridge/network.ts';
import { FakeClock } from '../../helpers/fake-clock.ts';
import { SamClient } from '../../helpers/sam-client.ts';
import { until } from '../../helpers/until.ts';

const OK = 'STREAM STATUS RESULT=OK';
const I2PD = ['i2pd-2.45', 'i2pd-2.59'] as const;
const ALL = [...I2PD, 'java'] as const;

const clients = new Set<SamClient>();
const bridges = new Set<FakeBridge>();

afterEach(async () => {
  for (const client of clients) client.destroy();
  for (const bridge of bridges) {
    await bridge.stop();
    assert.equal(bridge.openSockets, 0);
  }
  clients.clear();
  bridges.clear();
});

async function startBridge(options: Partial<FakeBridgeOptions> = {}): Promise<FakeBridge> {
  const bridge = await FakeBridge.start({ network: new FakeNetwork(), temperament: 'i2pd-2.45', ...options });
  bridges.add(bridge);
  return bridge;
}

async function greet(bridge: FakeBridge): Promise<SamClient> {
  const client = new SamClient(bridge.address);
  clients.add(client);
  assert.match(await client.ask('HELLO VERSION MIN=3.1 MAX=3.3'), /RESULT=OK/);
  return client;
}

async function createSession(bridge: FakeBridge, id: string, keys: FakeKeys = generateKeys()) {
  const control = await greet(bridge);
  const reply = await control.ask(`SESSION CREATE STYLE=STREAM ID=${id} DESTINATION=${keys.blob} inbound.length=1`);
  assert.equal(reply, `SESSION STATUS RESULT=OK DESTINATION=${keys.blob}`);
  return { control, id, keys, bridge };
}

type TestSession = Awaited<ReturnType<typeof createSession>>;

async function accept({ bridge, id }: TestSession, more = ''): Promise<SamClient> {
  const client = await greet(bridge);
  assert.equal(await client.ask(`STREAM ACCEPT ID=${id}${more}`), OK);
  return client;
}

async function dial(from: TestSession, to: TestSession): Promise<{ client: SamClient; reply: string }> {
  const client = await greet(from.bridge);
  const reply = await client.ask(`STREAM CONNECT ID=${from.id} DESTINATION=${to.keys.destination.base64}`);
  return { client, reply };
}

/** Two sessions on two routers, and a stream between them of which the acceptor knows. */
async function twoSessions(options: Partial<FakeBridgeOptions> = {}) {
  const network = options.network ?? new FakeNetwork();
  const [near, far] = [await startBridge({ ...options, network }), await startBridge({ ...options, network })];
  return { network, near, far, a: await createSession(near, 'a'), b: await createSession(far, 'b') };
}

async function connected(options: Partial<FakeBridgeOptions> = {}) {
  const world = await twoSessions(options);
  const acceptor = await accept(world.b);
  const { client: connector, reply } = await dial(world.a, world.b);
  assert.equal(reply, OK);
  assert.equal((await acceptor.line()).split(' ')[0], world.a.keys.destination.base64);
  return { ...world, acceptor, connector };
}

describe('the line that names the peer', () => {
  for (const temperament of I2PD) {
    test(`${temperament}: the destination alone, in one segment with the first data`, async () => {
      const { a, b } = await twoSessions({ temperament, timing: { gatherMs: 2_000 } });
      const acceptor = await accept(b);
      acceptor.reads.length = 0;
      const { client } = await dial(a, b);
      client.send('0123456789');
      assert.equal(await acceptor.take(535), `${a.keys.destination.base64}\n0123456789`);
      assert.deepEqual(acceptor.reads, [535]);
    });
  }

  test('i2pd: comes alone when there is no data', async () => {
    const { a, b } = await twoSessions();
    const acceptor = await accept(b);
    await dial(a, b);
    assert.equal(await acceptor.line(), a.keys.destination.base64);
  });

  test('java: with ports, and the data in a segment of its own', async () => {
    const { a, b } = await twoSessions({ temperament: 'java', timing: { gatherMs: 50 } });
    const acceptor = await accept(b);
    acceptor.reads.length = 0;
    const { client } = await dial(a, b);
    client.send('0123456789');
    assert.equal(await acceptor.take(557), `${a.keys.destination.base64} FROM_PORT=0 TO_PORT=0\n0123456789`);
    assert.deepEqual(acceptor.reads, [547, 10]);
  });

  for (const temperament of ALL) {
    test(`${temperament}: SILENT=true leaves it and the status away`, async () => {
      const { a, b } = await twoSessions({ temperament });
      const acceptor = await greet(b.bridge);
      acceptor.send(`STREAM ACCEPT ID=b SILENT=true\n`);
      await until('the ACCEPT is armed', () => b.bridge.sessions[0]?.armed === 1);
      const connector = await greet(a.bridge);
      connector.send(`STREAM CONNECT ID=a DESTINATION=${b.keys.destination.base64} SILENT=true\n`);
      await until('the ACCEPT is used', () => b.bridge.sessions[0]?.armed === 0);
      connector.send('QQ');
      assert.equal(await acceptor.take(2), 'QQ');
      acceptor.send('R');
      assert.equal(await connector.take(1), 'R');
    });
  }
});

describe('a stream', () => {
  for (const temperament of ALL) {
    test(`${temperament}: carries bytes both ways, whatever they are`, async () => {
      const { acceptor, connector } = await connected({ temperament });
      const bytes = Buffer.from(Array.from({ length: 256 }, (_, value) => value)).toString('latin1');
      connector.send(bytes);
      assert.equal(await acceptor.take(256), bytes);
      acceptor.send(bytes);
      assert.equal(await connector.take(256), bytes);
    });

    test(`${temperament}: an end on one side ends both directions, and the answer is lost`, async () => {
      const { acceptor, connector, network } = await connected({ temperament });
      connector.socket.end('req');
      assert.equal(await acceptor.take(3), 'req');
      await acceptor.end();
      acceptor.send('a late answer');
      assert.equal(await connector.end(), 'FIN');
      acceptor.socket.end();
      await until('the stream is over', () => network.streams === 0);
      assert.equal(connector.received, '');
    });

    test(`${temperament}: the acceptor's end does the same`, async () => {
      const { acceptor, connector } = await connected({ temperament });
      acceptor.socket.end('done');
      assert.equal(await connector.take(4), 'done');
      assert.equal(await connector.end(), 'FIN');
      connector.send('late');
      await acceptor.end();
      assert.equal(acceptor.received, '');
    });

    test(`${temperament}: 300 000 bytes and an end arrive whole at a reader that pauses`, async () => {
      const { acceptor, connector } = await connected({ temperament });
      acceptor.socket.pause();
      connector.socket.end(Buffer.alloc(300_000, 'x'));
      await connector.end();
      acceptor.socket.resume();
      assert.equal((await acceptor.take(300_000)).length, 300_000);
      assert.equal(await acceptor.end(), 'FIN');
    });

    test(`${temperament}: a reset on one side is an end on the other`, async () => {
      const { acceptor, connector } = await connected({ temperament });
      connector.socket.resetAndDestroy();
      assert.equal(await acceptor.end(), 'FIN');
    });
  }

  test('is swallowed up to what the router holds, and no further, while the reader stalls', async () => {
    const { acceptor, connector } = await connected({ temperament: 'java' });
    acceptor.socket.pause();
    let drained = false;
    connector.socket.write(Buffer.alloc(64 * 1024 * 1024), () => {
      drained = true;
    });
    await until('the bridge takes something', () => connector.socket.bytesWritten > 0);
    await pause(50);
    assert.equal(drained, false);
    acceptor.socket.resume();
    acceptor.socket.removeAllListeners('data').on('data', () => {});
    await until('the rest follows', () => drained);
  });

  for (const [temperament, arrived] of [
    ['i2pd-2.45', 'AAAAA'],
    ['i2pd-2.59', 'early'],
    ['java', 'early'],
  ] as const) {
    test(`${temperament}: what follows CONNECT in its segment arrives as ${arrived}`, async () => {
      const { a, b } = await twoSessions({ temperament });
      const acceptor = await accept(b);
      const connector = await greet(a.bridge);
      connector.send(`STREAM CONNECT ID=a DESTINATION=${b.keys.destination.base64}\nearly`);
      assert.equal(await connector.line(), OK);
      await acceptor.line();
      assert.equal(await acceptor.take(5), arrived);
    });
  }

  test('is reached by b32 name and by host name', async () => {
    const { a, b, network } = await twoSessions();
    network.addressBook.set('peer.i2p', b.keys.destination.base64);
    for (const name of [`${b.keys.destination.b32}.b32.i2p`, 'peer.i2p']) {
      const acceptor = await accept(b);
      const client = await greet(a.bridge);
      assert.equal(await client.ask(`STREAM CONNECT ID=a DESTINATION=${name}`), OK);
      assert.equal(await acceptor.line(), a.keys.destination.base64);
      assert.equal(
        await (await greet(a.bridge)).ask(`NAMING LOOKUP NAME=${name}`),
        `NAMING REPLY RESULT=OK NAME=${name} VALUE=${b.keys.destination.base64}`,
      );
    }
  });
});

describe('ACCEPT', () => {
  for (const temperament of ALL) {
    test(`${temperament}: several are served in the order in which they came`, async () => {
      const { a, b } = await twoSessions({ temperament, timing: { burstWindowMs: 0 } });
      const acceptors = [await accept(b), await accept(b), await accept(b)];
      assert.equal(b.bridge.sessions[0]?.armed, 3);
      for (const [index, acceptor] of acceptors.entries()) {
        const { client } = await dial(a, b);
        await acceptor.line();
        client.send(`m${index}`);
        assert.equal(await acceptor.take(2), `m${index}`);
      }
    });
  }

  test('i2pd 2.59: of a burst only the first and the last stay, and the first stream closes the last', async () => {
    const clock = new FakeClock();
    const { a, b } = await twoSessions({ temperament: 'i2pd-2.59', clock });
    const acceptors = [await accept(b), await accept(b), await accept(b), await accept(b), await accept(b)];
    for (const acceptor of acceptors.slice(1, 4)) await acceptor.end();
    assert.deepEqual(
      acceptors.map(({ ended }) => ended),
      ['open', 'FIN', 'FIN', 'FIN', 'open'],
    );
    await dial(a, b);
    assert.equal(await acceptors[0]?.line(), a.keys.destination.base64);
    await acceptors[4]?.end();
    assert.equal(b.bridge.sessions[0]?.armed, 0);
  });

  test('i2pd 2.59: those that come 3.5 s apart all stay', async () => {
    const clock = new FakeClock();
    const { a, b } = await twoSessions({ temperament: 'i2pd-2.59', clock });
    for (let count = 0; count < 4; count += 1) {
      await accept(b);
      await clock.advance(3_500);
    }
    await dial(a, b);
    assert.equal(b.bridge.sessions[0]?.armed, 3);
  });

  for (const temperament of I2PD) {
    test(`${temperament}: a stream waits 10 s for one, which gets what was sent`, async () => {
      const clock = new FakeClock();
      const { a, b } = await twoSessions({ temperament, clock });
      const { client: lucky } = await dial(a, b);
      lucky.send('early');
      await clock.advance(4_000);
      const acceptor = await accept(b);
      assert.equal(await acceptor.line(), a.keys.destination.base64);
      assert.equal(await acceptor.take(5), 'early');

      const { client, reply } = await dial(a, b);
      assert.equal(reply, OK);
      await clock.advance(9_999);
      assert.equal(client.ended, 'open');
      await clock.advance(1);
      assert.equal(await client.end(), 'FIN');
      assert.equal(clock.pending, 0);
    });
  }

  test('java: without one a stream is refused', async () => {
    const { a, b } = await twoSessions({ temperament: 'java' });
    const { client, reply } = await dial(a, b);
    assert.equal(reply, 'STREAM STATUS RESULT=CANT_REACH_PEER MESSAGE="Connection reset"');
    await client.end();
  });

  test('routers of different kinds: i2pd says OK before Java I2P refuses', async () => {
    const network = new FakeNetwork();
    const a = await createSession(await startBridge({ network, temperament: 'i2pd-2.59' }), 'a');
    const b = await createSession(await startBridge({ network, temperament: 'java' }), 'b');
    const { client, reply } = await dial(a, b);
    assert.equal(reply, OK);
    assert.equal(await client.end(), 'FIN');
  });

  for (const [temperament, first, second] of [
    ['i2pd-2.45', 'open', 'open'],
    ['i2pd-2.59', 'open', 'FIN'],
    ['java', 'FIN', 'open'],
  ] as const) {
    test(`${temperament}: the first closes while another waits`, async () => {
      const { a, b } = await twoSessions({ temperament, timing: { burstWindowMs: 0 } });
      const [closing, waiting] = [await accept(b), await accept(b)];
      closing.destroy();
      await until('it is gone', () => b.bridge.sessions[0]?.armed === 1);
      const { client, reply } = await dial(a, b);
      assert.equal(reply, OK);
      // The stream is served, lost, or waits for a further ACCEPT.
      if (second === 'FIN') assert.equal(await waiting.line(), a.keys.destination.base64);
      else if (first === 'FIN') await client.end();
      else assert.equal(await waiting.line(30), '<timeout>');
      assert.equal(client.ended, first);
    });
  }
});

describe('FORWARD', () => {
  test('connects to the port, with the line that names the peer', async () => {
    const { a, b } = await twoSessions();
    let arrived = '';
    const server = createServer((socket) => socket.on('data', (chunk) => (arrived += chunk.toString('latin1'))));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const port = address !== null && typeof address === 'object' ? address.port : 0;
    const forward = await greet(b.bridge);
    assert.equal(await forward.ask(`STREAM FORWARD ID=b PORT=${port}`), OK);
    const { client } = await dial(a, b);
    client.send('fwd-data');
    await until('it arrives', () => arrived.endsWith('fwd-data'));
    assert.equal(arrived, `${a.keys.destination.base64}\nfwd-data`);
    client.destroy();
    await new Promise((resolve) => server.close(resolve));
  });

  test('java: is refused while an ACCEPT waits', async () => {
    const bridge = await startBridge({ temperament: 'java' });
    const session = await createSession(bridge, 'b');
    await accept(session);
    assert.match(await (await greet(bridge)).ask('STREAM FORWARD ID=b PORT=1'), /I2P_ERROR MESSAGE="Forwarding failed/);
  });
});

describe('a session', () => {
  test('is shown as it was asked for, and its key is nowhere in the log', async () => {
    const bridge = await startBridge();
    const { keys } = await createSession(bridge, 'a');
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
      const bridge = await startBridge({ temperament, clock, timing: 'as recorded' });
      const client = await greet(bridge);
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
      const { a, b, acceptor, connector } = await connected({ temperament });
      const waiting = await accept(b);
      b.control.destroy();
      await acceptor.end();
      await waiting.end();
      if (far === 'FIN') await connector.end();
      else await pause(20);
      assert.equal(connector.ended, far);
      assert.match(await (await greet(b.bridge)).ask('STREAM ACCEPT ID=b'), /RESULT=INVALID_ID/);
      const { client, reply } = await dialWithin(a, b, 30);
      if (far === 'open') assert.equal(reply, OK, 'i2pd believes in the lease set that it has');
      else assert.equal(reply, '<timeout>');
      assert.equal(client.ended, 'open');
    });
  }

  test('i2pd 2.45: one of two with the same key ends, then the other, then the router', async () => {
    const clock = new FakeClock();
    const bridge = await startBridge({ clock });
    const { keys, control } = await createSession(bridge, 'one');
    const twin = await createSession(bridge, 'two', keys);
    control.destroy();
    await until('the first is gone', () => bridge.sessions.length === 1);
    assert.match(await (await greet(bridge)).ask('STREAM ACCEPT ID=two'), /INVALID_ID/);
    await clock.advance(3_000);
    await twin.control.end();
    assert.equal(bridge.running, false);
  });

  test('can be dropped by the router, and spoken to', async () => {
    const bridge = await startBridge({ temperament: 'java' });
    const { control } = await createSession(bridge, 'a');
    bridge.say('a', 'PING now');
    assert.equal(await control.line(), 'PING now');
    bridge.dropSession('a');
    assert.equal(await control.end(), 'FIN');
    assert.equal(bridge.sessions.length, 0);
  });

  test('i2pd 2.59: one PING on its control connection is its end', async () => {
    const bridge = await startBridge({ temperament: 'i2pd-2.59' });
    const { control } = await createSession(bridge, 'a');
    assert.equal(await control.ask('PING x'), 'PONG x');
    await control.end();
    assert.equal(bridge.sessions.length, 0);
  });
});

async function dialWithin(from: TestSession, to: TestSession, ms: number) {
  const client = await greet(from.bridge);
  const reply = await client.ask(`STREAM CONNECT ID=${from.id} DESTINATION=${to.keys.destination.base64}`, ms);
  return { client, reply };
}

describe('a router', () => {
  for (const temperament of ALL) {
    test(`${temperament}: when it dies its clients see an end, and its peers nothing`, async () => {
      const { far, b, acceptor, connector, a } = await connected({ temperament });
      await far.stop();
      await acceptor.end();
      await b.control.end();
      connector.send('into nothing');
      await pause(20);
      assert.equal(connector.ended, 'open');
      await far.restart();
      const again = await createSession(far, 'b', b.keys);
      const acceptorAgain = await accept(again);
      const { reply } = await dial(a, again);
      assert.equal(reply, OK);
      assert.equal((await acceptorAgain.line()).split(' ')[0], a.keys.destination.base64);
    });
  }

  test('may be stopped twice, keeps its address, and refuses connections meanwhile', async () => {
    const bridge = await startBridge();
    const { port } = bridge.address;
    await bridge.stop();
    await bridge.stop();
    const refused = new SamClient(bridge.address);
    assert.equal(await refused.end(), 'RST');
    await bridge.restart();
    assert.equal(bridge.address.port, port);
    await greet(bridge);
  });
});

describe('the network', () => {
  test('keeps a destination silent, or makes it unreachable', async () => {
    const { a, b, network } = await twoSessions();
    await accept(b);
    network.offline(b.keys.destination.b32);
    const { client, reply } = await dial(a, b);
    assert.equal(reply, OK);
    client.send('hello?');
    assert.equal(await client.line(30), '<timeout>');
    network.offline(b.keys.destination.b32, 'unreachable');
    assert.equal((await dial(a, b)).reply, 'STREAM STATUS RESULT=CANT_REACH_PEER');
    network.online(b.keys.destination.b32);
    assert.equal((await dial(a, b)).reply, OK);
  });

  test('delays and slows streams', async () => {
    const clock = new FakeClock();
    const { network, connector, acceptor } = await connected({ clock });
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

  test('stalls streams and lets them go on', async () => {
    const { network, b, connector, acceptor } = await connected();
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
      const { network, b, connector, acceptor } = await connected();
      network.cut(b.keys.destination.b32, how);
      assert.deepEqual([await connector.end(), await acceptor.end()], [seen, seen]);
      assert.equal(network.streams, 0);
    });
  }
});

describe('misbehaviour', () => {
  const LOOKUP = 'NAMING LOOKUP NAME=nosuch.i2p';
  const ANSWER = 'NAMING REPLY RESULT=INVALID_KEY NAME=nosuch.i2p';

  test('is for as many times as asked, and ends with `behave`', async () => {
    const bridge = await startBridge();
    const client = await greet(bridge);
    bridge.misbehave({ on: 'NAMING', times: 1, action: { kind: 'instead', text: 'NAMING REPLY RESULT=WHATEVER\n' } });
    assert.equal(await client.ask(LOOKUP), 'NAMING REPLY RESULT=WHATEVER');
    assert.equal(await client.ask(LOOKUP), ANSWER);
    bridge.misbehave({ on: /nosuch/, action: { kind: 'silence' } });
    assert.equal(await client.ask(LOOKUP, 20), '<timeout>');
    bridge.behave();
    assert.equal(await client.ask(LOOKUP), ANSWER);
  });

  test('can be decided by a function that sees lines and connections', async () => {
    const bridge = await startBridge();
    await createSession(bridge, 'a');
    const seen: string[] = [];
    bridge.onCommand((line, from) => {
      seen.push(`${from.connection} ${from.session} ${line}`);
      return line.startsWith('NAMING') ? { kind: 'close' } : undefined;
    });
    const client = await greet(bridge);
    assert.equal(await client.ask(LOOKUP), '<EOF>');
    assert.deepEqual(seen, ['2 undefined HELLO VERSION MIN=3.1 MAX=3.3', `2 undefined ${LOOKUP}`]);
  });

  test('splits an answer, byte by byte or at positions', async () => {
    const clock = new FakeClock();
    const bridge = await startBridge({ clock });
    const client = await greet(bridge);
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
      const bridge = await startBridge();
      const client = await greet(bridge);
      bridge.misbehave({ on: 'NAMING', action: { kind: 'answer', cut: 12, after } });
      client.send(`${LOOKUP}\n`);
      if (after === 'stay') await client.take(12);
      else assert.equal(await client.end(), seen);
      assert.equal(client.ended, seen);
    });
  }

  test('alters the true answer, and the command is carried out', async () => {
    const bridge = await startBridge();
    const client = await greet(bridge);
    bridge.misbehave({ on: 'SESSION CREATE', action: { kind: 'answer', alter: (text) => text.replace(/=+\n/, '\n') } });
    const reply = await client.ask('SESSION CREATE STYLE=STREAM ID=a DESTINATION=TRANSIENT SIGNATURE_TYPE=1');
    assert.match(reply, /[^=]$/);
    assert.equal(bridge.sessions.length, 1);
  });

  test('says a line without end', async () => {
    const bridge = await startBridge();
    const client = await greet(bridge);
    let bytes = 0;
    client.socket.removeAllListeners('data').on('data', (chunk) => (bytes += chunk.length));
    bridge.misbehave({ on: 'NAMING', action: { kind: 'endless', bytes: 10_000_000 } });
    client.send(`${LOOKUP}\n`);
    await until('all of it came', () => bytes === 10_000_000);
  });

  test('reaches the line that names the peer', async () => {
    const { a, b } = await twoSessions();
    b.bridge.misbehave({ on: ARRIVAL, times: 1, action: { kind: 'instead', text: 'rubbish\n', after: 'stay' } });
    const [first, second] = [await accept(b), await accept(b)];
    const { client } = await dial(a, b);
    client.send('data');
    assert.equal(await first.line(), 'rubbish');
    assert.equal(await first.take(4), 'data');
    await dial(a, b);
    assert.equal(await second.line(), a.keys.destination.base64);
  });

  test('a session whose answer ends with its connection is gone', async () => {
    const bridge = await startBridge();
    const client = await greet(bridge);
    bridge.misbehave({ on: 'SESSION CREATE', action: { kind: 'answer', after: 'close' } });
    assert.match(await client.ask('SESSION CREATE STYLE=STREAM ID=a DESTINATION=TRANSIENT'), /RESULT=OK/);
    await client.end();
    assert.equal(bridge.sessions.length, 0);
  });
});

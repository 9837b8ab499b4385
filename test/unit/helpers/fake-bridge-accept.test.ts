/** Who gets a stream that comes to a session of the fake bridge: ACCEPTs in their order, bursts, nobody, FORWARD. */
import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { afterEach, describe, test } from 'node:test';
import { FakeNetwork } from '../../helpers/fake-bridge/network.ts';
import { FakeClock } from '../../helpers/fake-clock.ts';
import { ALL, FakeWorld, I2PD, OK } from '../../helpers/fake-world.ts';
import { until } from '../../helpers/until.ts';

const world = new FakeWorld();
afterEach(() => world.clean());

describe('ACCEPT', () => {
  for (const temperament of ALL) {
    test(`${temperament}: several are served in the order in which they came`, async () => {
      const { a, b } = await world.twoSessions({ temperament, timing: { burstWindowMs: 0 } });
      const acceptors = [await world.accept(b), await world.accept(b), await world.accept(b)];
      assert.equal(b.bridge.sessions[0]?.armed, 3);
      for (const [index, acceptor] of acceptors.entries()) {
        const { client } = await world.dial(a, b);
        await acceptor.line();
        client.send(`m${index}`);
        assert.equal(await acceptor.take(2), `m${index}`);
      }
    });
  }

  test('i2pd 2.59: of a burst only the first and the last stay, and the first stream closes the last', async () => {
    const clock = new FakeClock();
    const { a, b } = await world.twoSessions({ temperament: 'i2pd-2.59', clock });
    const acceptors = [
      await world.accept(b),
      await world.accept(b),
      await world.accept(b),
      await world.accept(b),
      await world.accept(b),
    ];
    for (const acceptor of acceptors.slice(1, 4)) await acceptor.end();
    assert.deepEqual(
      acceptors.map(({ ended }) => ended),
      ['open', 'FIN', 'FIN', 'FIN', 'open'],
    );
    await world.dial(a, b);
    assert.equal(await acceptors[0]?.line(), a.keys.destination.base64);
    await acceptors[4]?.end();
    assert.equal(b.bridge.sessions[0]?.armed, 0);
  });

  test('i2pd 2.59: those that come 3.5 s apart all stay', async () => {
    const clock = new FakeClock();
    const { a, b } = await world.twoSessions({ temperament: 'i2pd-2.59', clock });
    for (let count = 0; count < 4; count += 1) {
      await world.accept(b);
      await clock.advance(3_500);
    }
    await world.dial(a, b);
    assert.equal(b.bridge.sessions[0]?.armed, 3);
  });

  for (const temperament of I2PD) {
    test(`${temperament}: a stream waits 10 s for one, which gets what was sent`, async () => {
      const clock = new FakeClock();
      const { a, b } = await world.twoSessions({ temperament, clock });
      const { client: lucky } = await world.dial(a, b);
      lucky.send('early');
      await clock.advance(4_000);
      const acceptor = await world.accept(b);
      assert.equal(await acceptor.line(), a.keys.destination.base64);
      assert.equal(await acceptor.take(5), 'early');

      const { client, reply } = await world.dial(a, b);
      assert.equal(reply, OK);
      await clock.advance(9_999);
      assert.equal(client.ended, 'open');
      await clock.advance(1);
      assert.equal(await client.end(), 'FIN');
      assert.equal(clock.pending, 0);
    });
  }

  test('java: without one a stream is refused', async () => {
    const { a, b } = await world.twoSessions({ temperament: 'java' });
    const { client, reply } = await world.dial(a, b);
    assert.equal(reply, 'STREAM STATUS RESULT=CANT_REACH_PEER MESSAGE="Connection reset"');
    await client.end();
  });

  test('routers of different kinds: i2pd says OK before Java I2P refuses', async () => {
    const network = new FakeNetwork();
    const a = await world.createSession(await world.startBridge({ network, temperament: 'i2pd-2.59' }), 'a');
    const b = await world.createSession(await world.startBridge({ network, temperament: 'java' }), 'b');
    const { client, reply } = await world.dial(a, b);
    assert.equal(reply, OK);
    assert.equal(await client.end(), 'FIN');
  });

  for (const [temperament, first, second] of [
    ['i2pd-2.45', 'open', 'open'],
    ['i2pd-2.59', 'open', 'FIN'],
    ['java', 'FIN', 'open'],
  ] as const) {
    test(`${temperament}: the first closes while another waits`, async () => {
      const { a, b } = await world.twoSessions({ temperament, timing: { burstWindowMs: 0 } });
      const [closing, waiting] = [await world.accept(b), await world.accept(b)];
      closing.destroy();
      await until('it is gone', () => b.bridge.sessions[0]?.armed === 1);
      const { client, reply } = await world.dial(a, b);
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
    const { a, b } = await world.twoSessions();
    let arrived = '';
    const server = createServer((socket) => socket.on('data', (chunk) => (arrived += chunk.toString('latin1'))));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const port = address !== null && typeof address === 'object' ? address.port : 0;
    const forward = await world.greet(b.bridge);
    assert.equal(await forward.ask(`STREAM FORWARD ID=b PORT=${port}`), OK);
    const { client } = await world.dial(a, b);
    client.send('fwd-data');
    await until('it arrives', () => arrived.endsWith('fwd-data'));
    assert.equal(arrived, `${a.keys.destination.base64}\nfwd-data`);
    client.destroy();
    await new Promise((resolve) => server.close(resolve));
  });

  test('java: is refused while an ACCEPT waits', async () => {
    const bridge = await world.startBridge({ temperament: 'java' });
    const session = await world.createSession(bridge, 'b');
    await world.accept(session);
    assert.match(
      await (await world.greet(bridge)).ask('STREAM FORWARD ID=b PORT=1'),
      /I2P_ERROR MESSAGE="Forwarding failed/,
    );
  });
});

/** Streams over the fake bridge: how they begin, what they carry, and how they end. */
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { ALL, FakeWorld, I2PD, OK } from '../../helpers/fake-world.ts';
import { until } from '../../helpers/until.ts';

const world = new FakeWorld();
afterEach(() => world.clean());

describe('the line that names the peer', () => {
  for (const temperament of I2PD) {
    test(`${temperament}: the destination alone, in one segment with the first data`, async () => {
      const { a, b } = await world.twoSessions({ temperament, timing: { gatherMs: 2_000 } });
      const acceptor = await world.accept(b);
      acceptor.reads.length = 0;
      const { client } = await world.dial(a, b);
      client.send('0123456789');
      assert.equal(await acceptor.take(535), `${a.keys.destination.base64}\n0123456789`);
      assert.deepEqual(acceptor.reads, [535]);
    });
  }

  test('i2pd: comes alone when there is no data', async () => {
    const { a, b } = await world.twoSessions();
    const acceptor = await world.accept(b);
    await world.dial(a, b);
    assert.equal(await acceptor.line(), a.keys.destination.base64);
  });

  test('i2pd: comes also when the session of who dialled ends before there is data', async () => {
    const { a, b } = await world.twoSessions({ timing: { gatherMs: 2_000 } });
    const acceptor = await world.accept(b);
    await world.dial(a, b);
    a.bridge.dropSession(a.id);
    assert.equal(await acceptor.line(), a.keys.destination.base64);
  });

  test('java: with ports, and the data in a segment of its own', async () => {
    const { a, b } = await world.twoSessions({ temperament: 'java', timing: { gatherMs: 250 } });
    const acceptor = await world.accept(b);
    acceptor.reads.length = 0;
    const { client } = await world.dial(a, b);
    client.send('0123456789');
    assert.equal(await acceptor.take(557), `${a.keys.destination.base64} FROM_PORT=0 TO_PORT=0\n0123456789`);
    assert.deepEqual(acceptor.reads, [547, 10]);
  });

  for (const temperament of ALL) {
    test(`${temperament}: SILENT=true leaves it and the status away`, async () => {
      const { a, b } = await world.twoSessions({ temperament });
      const acceptor = await world.greet(b.bridge);
      acceptor.send(`STREAM ACCEPT ID=b SILENT=true\n`);
      await until('the ACCEPT is armed', () => b.bridge.sessions[0]?.armed === 1);
      const connector = await world.greet(a.bridge);
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
      const { acceptor, connector } = await world.connected({ temperament });
      const bytes = Buffer.from(Array.from({ length: 256 }, (_, value) => value)).toString('latin1');
      connector.send(bytes);
      assert.equal(await acceptor.take(256), bytes);
      acceptor.send(bytes);
      assert.equal(await connector.take(256), bytes);
    });

    test(`${temperament}: an end on one side ends both directions, and the answer is lost`, async () => {
      const { acceptor, connector, network } = await world.connected({ temperament });
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
      const { acceptor, connector } = await world.connected({ temperament });
      acceptor.socket.end('done');
      assert.equal(await connector.take(4), 'done');
      assert.equal(await connector.end(), 'FIN');
      connector.send('late');
      await acceptor.end();
      assert.equal(acceptor.received, '');
    });

    test(`${temperament}: 300 000 bytes and an end arrive whole at a reader that pauses`, async () => {
      const { acceptor, connector } = await world.connected({ temperament });
      acceptor.socket.pause();
      connector.socket.end(Buffer.alloc(300_000, 'x'));
      await connector.end();
      acceptor.socket.resume();
      assert.equal((await acceptor.take(300_000)).length, 300_000);
      assert.equal(await acceptor.end(), 'FIN');
    });

    test(`${temperament}: a reset on one side is an end on the other`, async () => {
      const { acceptor, connector } = await world.connected({ temperament });
      connector.socket.resetAndDestroy();
      assert.equal(await acceptor.end(), 'FIN');
    });
  }

  test('is swallowed up to what the router holds, and no further, while the reader stalls', async () => {
    const { acceptor, connector } = await world.connected({ temperament: 'java' });
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
      const { a, b } = await world.twoSessions({ temperament });
      const acceptor = await world.accept(b);
      const connector = await world.greet(a.bridge);
      connector.send(`STREAM CONNECT ID=a DESTINATION=${b.keys.destination.base64}\nearly`);
      assert.equal(await connector.line(), OK);
      await acceptor.line();
      assert.equal(await acceptor.take(5), arrived);
    });
  }

  test('is reached by b32 name and by host name', async () => {
    const { a, b, network } = await world.twoSessions();
    network.addressBook.set('peer.i2p', b.keys.destination.base64);
    for (const name of [`${b.keys.destination.b32}.b32.i2p`, 'peer.i2p']) {
      const acceptor = await world.accept(b);
      const client = await world.greet(a.bridge);
      assert.equal(await client.ask(`STREAM CONNECT ID=a DESTINATION=${name}`), OK);
      assert.equal(await acceptor.line(), a.keys.destination.base64);
      assert.equal(
        await (await world.greet(a.bridge)).ask(`NAMING LOOKUP NAME=${name}`),
        `NAMING REPLY RESULT=OK NAME=${name} VALUE=${b.keys.destination.base64}`,
      );
    }
  });
});

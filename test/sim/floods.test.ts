/**
 * Clients that mean harm or know no better, on real sockets of a whole gateway: silence in numbers, slowness, garbage. The
 * limits must hold, and somebody with a wish must be served meanwhile.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { SocksClient } from 'socks';
import { FakeBridge } from '../helpers/fake-bridge/bridge.ts';
import { FakeNetwork } from '../helpers/fake-bridge/network.ts';
import { until } from '../helpers/until.ts';
import { type RunningGateway, startGateway } from './gateway-kit.ts';
import { type RawPeer, rawPeer } from './raw-peer.ts';

const SILENT = 10_000;
const MAX_CLIENTS = 256;
/** Connections that are not accepted yet, at most: fewer than the kernel queues. */
const AT_ONCE = 20;
/** Short, since tests wait for it, and long enough for all places to be taken on a busy machine. */
const HANDSHAKE_S = 3;
const SLOW = 64;
const PATIENCE_MS = 20_000;

describe('a SOCKS port with clients that mean harm', () => {
  let bridge: FakeBridge;
  let gateway: RunningGateway;
  let service: RawPeer;
  let log: string[];
  let open: Set<Socket>;
  let served: number;

  beforeEach(async () => {
    bridge = await FakeBridge.start({ network: new FakeNetwork(), temperament: 'i2pd-2.45' });
    service = await rawPeer(bridge);
    log = [];
    open = new Set();
    served = 0;
  });

  afterEach(async () => {
    for (const socket of open) socket.destroy();
    service.close();
    await gateway.stop();
    await bridge.stop();
  });

  async function start(maxClients: number): Promise<void> {
    const config = `max_clients = ${maxClients}\nhandshake_timeout = "${HANDSHAKE_S}s"`;
    gateway = await startGateway({ bridge, vpn: false, log, config });
    await serveNewcomer();
  }

  it(`serves a newcomer while ${SILENT} say nothing, and keeps to its limit`, async () => {
    await start(MAX_CLIENTS);
    let begun = 0;
    let most = 0;
    const flood = async () => {
      while (begun < SILENT) {
        begun += 1;
        await once(stranger(), 'connect');
        await until('the gateway keeps up', () => strangersTaken() >= begun - AT_ONCE, PATIENCE_MS);
        most = Math.max(most, socks().clients);
      }
    };
    const floods = Promise.all(Array.from({ length: AT_ONCE }, flood));
    while (begun < SILENT) await serveNewcomer();
    await floods;
    await until('all have been taken', () => strangersTaken() === SILENT);

    assert.ok(served > 5, `${served} newcomers`);
    assert.ok(most <= MAX_CLIENTS, `${most} at a time`);
    assert.equal(socks().counts.refusedCap, 0);
    assert.ok(socks().counts.displaced >= SILENT / 2, 'most had to go before their time was over');
    await serveNewcomer();
    await until('the rest is gone at the deadline', () => socks().clients === 0);
    await until('the kernel has told them', () => open.size === 0);
    assertAccounts();
  });

  it('serves a newcomer while all places are taken by clients that trickle', async () => {
    await start(SLOW);
    const slow = Array.from({ length: SLOW }, () => stranger());
    const trickle = setInterval(() => {
      // 255 methods are announced, and one comes at a time: by the deadline not nearly all of them.
      for (const socket of slow) if (socket.writable) socket.write(Buffer.of(socket.bytesWritten === 0 ? 5 : 0xff));
    }, 50);
    try {
      await until('all places are taken', () => socks().clients === SLOW);
      for (let count = 0; count < 5; count += 1) await serveNewcomer();
      assert.equal(socks().counts.displaced, 1, 'each newcomer left its place to the next');
      await until('the rest is gone at the deadline', () => socks().clients === 0);
      assert.equal(socks().counts.handshakeTimeout, SLOW - 1);
      assertAccounts();
    } finally {
      clearInterval(trickle);
    }
  });

  it('closes clients that send garbage, whole or byte by byte, and serves a newcomer meanwhile', async () => {
    await start(MAX_CLIENTS);
    const garbage = Array.from({ length: 2 * MAX_CLIENTS }, (_, seed) => noise(seed, 1 + (seed % 300)));
    for (const [index, bytes] of garbage.entries()) {
      const socket = stranger();
      if (index % 2 === 0) socket.write(bytes);
      else for (const byte of bytes) socket.write(Buffer.of(byte));
      if (index % 100 === 0) await serveNewcomer();
    }
    await until('all are gone', () => socks().clients === 0 && open.size === 0);
    await serveNewcomer();
    assertAccounts();
  });

  it('answers a page that has a browser post to it, and does nothing of what is in the body', async () => {
    await start(MAX_CLIENTS);
    const connects = () => bridge.commands.filter(({ line }) => line.startsWith('STREAM CONNECT')).length;
    const before = connects();
    const name = Buffer.from(`${service.b32}.b32.i2p`);
    const asking = Buffer.concat([Buffer.of(5, 1, 0, 5, 1, 0, 3, name.length), name, Buffer.of(0, 80)]);
    const socks4 = Buffer.concat([Buffer.of(4, 1, 0, 80, 0, 0, 0, 1, 0), name, Buffer.of(0)]);
    for (const method of ['POST', 'PUT', 'GET', 'OPTIONS']) {
      for (const body of [asking, socks4, Buffer.from(`CONNECT ${name}:80 HTTP/1.1\r\nHost: ${name}:80\r\n\r\n`)]) {
        const at = { host: '127.0.0.1', port: gateway.socksPort, path: `http://${name}/` };
        const asked = request({ ...at, method, headers: { Host: 'evil', Origin: 'http://evil' } });
        asked.on('error', () => {}); // It is closed with the rest of the body unread.
        const answered: Promise<IncomingMessage> = new Promise((resolve) => asked.once('response', resolve));
        asked.end(body);
        const answer = await answered;
        assert.deepEqual([answer.statusCode, answer.headers['access-control-allow-origin']], [501, undefined]);
        answer.resume();
        await once(answer, 'close');
      }
    }
    assert.equal(connects(), before);
    assert.equal(socks().counts.httpClient, 12);
    await serveNewcomer();
    assert.equal(connects(), before + 1);
  });

  it('understands a client that writes one byte at a time', async () => {
    await start(MAX_CLIENTS);
    const accepting = service.accept();
    const socket = stranger();
    const answer: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => answer.push(chunk));
    const name = Buffer.from(`${service.b32}.b32.i2p`);
    const request = Buffer.concat([
      Buffer.of(5, 1, 0, 5, 1, 0, 3, name.length),
      name,
      Buffer.of(0, 80),
      Buffer.from('hi'),
    ]);
    for (const byte of request) {
      socket.write(Buffer.of(byte));
      await pause(1);
    }
    const { stream } = await accepting;
    stream.write('served');
    await until('the answer', () => Buffer.concat(answer).toString('latin1').endsWith('served'));
    assert.equal(Buffer.concat(answer).subarray(0, 12).toString('hex'), `0500${'05000001'}${'0'.repeat(12)}`);
    assert.equal(String(await firstOf(stream)).slice(0, 1), 'h');
  });

  /** Somebody who opens a connection and is never heard to complain. */
  function stranger(): Socket {
    const socket = connect({ host: '127.0.0.1', port: gateway.socksPort, noDelay: true });
    open.add(socket);
    socket.on('error', () => {}); // A reset is one of the ways to be sent away.
    socket.on('close', () => open.delete(socket));
    socket.resume();
    return socket;
  }

  async function serveNewcomer(): Promise<void> {
    const accepting = service.accept();
    const { socket } = await SocksClient.createConnection({
      proxy: { host: '127.0.0.1', port: gateway.socksPort, type: 5 },
      command: 'connect',
      destination: { host: `${service.b32}.b32.i2p`, port: 80 },
      timeout: 10_000,
    });
    const { stream } = await accepting;
    stream.write('served');
    assert.equal(String(await firstOf(socket)), 'served');
    socket.destroy();
    stream.destroy();
    served += 1;
    await until('the newcomer is gone', () => gateway.gateway.relay.active === 0);
  }

  /** A newcomer may be among them until it is connected. */
  function strangersTaken(): number {
    const { accepted, connected } = socks().counts;
    return accepted - connected;
  }

  function socks() {
    const [first] = gateway.gateway.socks;
    assert.ok(first !== undefined);
    return first.snapshot();
  }

  /** Everybody who was taken has come to exactly one end, and none of them by a defect. */
  function assertAccounts(): void {
    const { accepted, refusedCap, refusedClient, dnsLeak, ...ends } = socks().counts;
    assert.equal(refusedCap + refusedClient + dnsLeak, 0);
    assert.equal(
      accepted,
      Object.values(ends).reduce((sum, count) => sum + count, socks().clients),
    );
    assert.deepEqual(
      log.filter((line) => line.includes('a defect')),
      [],
    );
  }
});

async function firstOf(stream: NodeJS.ReadableStream): Promise<unknown> {
  const [chunk] = await once(stream.resume(), 'data');
  return chunk;
}

/** The same for the same seed: a failure can be looked at again. */
function noise(seed: number, length: number): Buffer {
  let state = seed + 1;
  return Buffer.from(
    Array.from({ length }, () => {
      state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
      return state >>> 16;
    }),
  );
}

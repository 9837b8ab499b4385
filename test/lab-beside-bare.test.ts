/** A check of the lab beside a bare stream: whose fault it is that it failed. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { besideBare } from '../scripts/lab/beside-bare.ts';
import type { SamSession } from '../scripts/lab/sam-client.ts';
import { planStranger } from '../scripts/lab/stranger.ts';
import { PAGE_TEXT } from '../scripts/lab/web-server.ts';
import { until } from './helpers/until.ts';

const NEVER = new AbortController().signal;

/** A session that reaches a service as soon as the routers let it. */
async function service(t: { after(undo: () => void): void }) {
  const state = { isReachable: true, asked: 0, over: 0 };
  const clients = new Set<Socket>();
  const server = createServer((client) => {
    clients.add(client);
    client.on('error', () => {});
    client.once('close', () => {
      state.over += 1;
    });
    client.once('data', () => {
      client.end(`HTTP/1.1 200 OK\r\n\r\n${PAGE_TEXT}`);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    for (const client of clients) client.destroy();
  });
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  const refuse = () => Promise.reject(new Error('not for this test'));
  const bare: SamSession = {
    destination: '',
    connect: async () => {
      state.asked += 1;
      if (!state.isReachable) throw new Error('CANT_REACH_PEER');
      const socket = connect(address.port, '127.0.0.1');
      await once(socket, 'connect');
      return socket;
    },
    accept: refuse,
    acceptFrom: refuse,
    ended: new Promise(() => {}),
    close: () => {},
  };
  return { state, lab: { bare, stranger: { ...planStranger(), stop: async () => {} } } };
}

test('a check that holds is not kept waiting by routers that do not', async (t) => {
  const { state, lab } = await service(t);
  state.isReachable = false;
  assert.equal(await besideBare(lab, { name: 'one', run: async () => '28 bytes' }).run(NEVER), '28 bytes');
});

test('what fails although the routers can is a failure, and says so', async (t) => {
  const { state, lab } = await service(t);
  const run = async () => {
    await until('the bare stream is over', () => state.over === 1);
    throw new Error('timed out');
  };
  const words = /^timed out; a bare SAM stream through the same router had taken \d\.\d s$/;
  await assert.rejects(besideBare(lab, { name: 'one', run }).run(NEVER), { message: words });
});

test('what fails while the routers cannot is tried again once they can, and only once', async (t) => {
  const { state, lab } = await service(t);
  state.isReachable = false;
  let runs = 0;
  const run = async () => {
    runs += 1;
    if (runs === 1) {
      await until('the routers were tried', () => state.asked > 2);
      state.isReachable = true;
      throw new Error('timed out');
    }
    if (runs === 2) return '28 bytes';
    throw new Error('a third time');
  };
  const check = besideBare(lab, { name: 'one', run });
  assert.match(await check.run(NEVER), /^28 bytes, once the routers themselves could, after \d\.\d s$/);
  state.isReachable = false;
  runs = 2;
  const failing = check.run(NEVER);
  await until('the routers were tried', () => state.asked > 5);
  state.isReachable = true;
  await assert.rejects(failing, /a third time/);
});

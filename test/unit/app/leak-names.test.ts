/** Asking a SOCKS listener for names, which must end whatever is at the other side. */
import assert from 'node:assert/strict';
import { createServer, type Server, type Socket } from 'node:net';
import { test } from 'node:test';
import { askForNames } from '../../../src/app/leak-names.ts';
import { GateError } from '../../../src/kit/errors.ts';
import { FakeClock } from '../../helpers/fake-clock.ts';
import { until } from '../../helpers/until.ts';

const NEVER = new AbortController().signal;

/** A listener that takes whoever comes; `serve` decides what becomes of them. */
async function listening(serve: (client: Socket) => void, work: (port: number, server: Server) => Promise<void>) {
  const clients = new Set<Socket>();
  const server = createServer((client) => {
    clients.add(client.on('error', () => {}));
    serve(client);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  try {
    await work(address.port, server);
  } finally {
    for (const client of clients) client.destroy();
    server.close();
  }
}

const at = (port: number) => ({ kind: 'tcp', host: '127.0.0.1', port }) as const;

test('asks for a name inside and one outside of I2P, in SOCKS 5 and 4a', async () => {
  let heard = '';
  const serve = (client: Socket) =>
    client.on('data', (data) => {
      heard += data.toString('latin1');
      client.end();
    });
  await listening(serve, async (port) => {
    const asked = await askForNames(at(port), false, 'label', new FakeClock(), NEVER);
    assert.deepEqual(asked, { listen: `127.0.0.1:${port}`, asked: 4 });
    assert.equal(heard.split('label.i2p').length - 1, 2);
    assert.equal(heard.split('label.example.com').length - 1, 2);
  });
});

test('where nobody can be asked, it says why', async () => {
  assert.match((await askForNames(at(1), true, 'label', new FakeClock(), NEVER)).why ?? '', /has users/);
  assert.match((await askForNames(at(1), false, 'label', new FakeClock(), NEVER)).why ?? '', /nothing listens/);
});

test('a listener that is silent is given up in time', async () => {
  const clock = new FakeClock();
  let clients = 0;
  await listening(
    () => {
      clients += 1;
    },
    async (port) => {
      const asked = askForNames(at(port), false, 'label', clock, NEVER);
      for (const count of [1, 2, 3, 4]) {
        await until('the next one is there', () => clients === count);
        await clock.advance(5_000);
      }
      assert.equal((await asked).asked, 4);
      assert.equal(clock.pending, 0);
    },
  );
});

test('told to end, at once or beforehand, it ends', async () => {
  const reason = new GateError('shutdown', 'test.over', 'over');
  await listening(
    () => {},
    async (port) => {
      const clock = new FakeClock();
      await assert.rejects(askForNames(at(port), false, 'label', clock, AbortSignal.abort(reason)), reason);
      const controller = new AbortController();
      const asked = assert.rejects(askForNames(at(port), false, 'label', clock, controller.signal), reason);
      controller.abort(reason);
      await asked;
      assert.equal(clock.pending, 0);
    },
  );
});

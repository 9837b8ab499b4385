/** The bridge on real loopback sockets: what ports.ts promises of the streams that it hands out. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { test } from 'node:test';
import type { ListenerPort } from '../../../src/core/ports.ts';
import { createTcpBridge } from '../../../src/io/bridge-tcp.ts';
import { systemClock } from '../../../src/io/clock.ts';
import { listen } from '../../../src/io/listener.ts';
import { createNodeSockets } from '../../../src/io/node-sockets.ts';
import { openConnection } from '../../../src/io/open-connection.ts';
import type { Remote, Sockets } from '../../../src/io/sockets.ts';
import { GateError } from '../../../src/kit/errors.ts';
import { silentLogger } from '../../../src/kit/log.ts';
import { FakeClock } from '../../helpers/fake-clock.ts';
import { ANY_PORT, dialAt, endpointOf, fails, firstClient, readAll } from '../../helpers/listeners.ts';
import { until } from '../../helpers/until.ts';

const NEVER = new AbortController().signal;

function open(): Promise<ListenerPort> {
  return listen({ endpoint: ANY_PORT, mode: 0o600 }, { clock: systemClock, log: silentLogger });
}

test('the bridge hands out a paused connection with half-close', async () => {
  const listener = await open();
  const near = firstClient(listener);
  const stream = await createTcpBridge(endpointOf(listener), systemClock).open(NEVER);
  assert.equal(stream.readableFlowing, false);
  const far = await near;
  far.end('last words');
  stream.write('a');
  assert.equal(await readAll(stream), 'last words');
  stream.end('after the end');
  assert.equal(await readAll(far), 'aafter the end');
  await listener.close();
});

test('clients that come before they are wanted wait, up to 128 of them', async () => {
  const arrivals = await createNodeSockets(new GateError('local-io', 'x', 'x')).listen(ANY_PORT, {});
  let ended = 0;
  for (let client = 0; client < 300; client += 1) {
    const dialled = dialAt({ ...ANY_PORT, port: arrivals.port });
    dialled.resume().once('end', () => (ended += 1));
    // Where more come at once than the kernel holds it makes them try again after seconds.
    await once(dialled, 'connect');
  }
  await until('the others are closed', () => ended === 300 - 128);
  const accepted: Duplex[] = [];
  arrivals.accept(
    (client) => accepted.push(client),
    () => {},
  );
  assert.equal(accepted.length, 128);
  for (const client of accepted) client.destroy();
  await arrivals.close();
});

test('the bridge says what to do when nobody listens, and keeps no timer', async () => {
  const listener = await open();
  await listener.close();
  const clock = new FakeClock();
  const bridge = createTcpBridge(endpointOf(listener), clock);
  await assert.rejects(bridge.open(NEVER), fails('router-down', 'router.unreachable', /start the router.*router\.sam/));
  await assert.rejects(bridge.open(AbortSignal.abort()), fails('cancelled', 'cancelled'));
  assert.equal(clock.pending, 0);
});

test('a bridge that does not even answer is given up', async () => {
  const holder = spawn(process.execPath, ['-e', SMALL_LISTENER]);
  const port = Number(await new Promise((resolve) => holder.stdout.once('data', resolve)));
  holder.kill('SIGSTOP');
  // Its queue is full and nobody accepts: a further connection gets no answer.
  const endpoint = { ...ANY_PORT, port };
  for (let count = 0; count < 8; count += 1) dialAt(endpoint);
  // Node begins to connect in its next turn.
  await new Promise((resolve) => setImmediate(resolve));
  const clock = new FakeClock();
  const opening = createTcpBridge(endpoint, clock).open(NEVER);
  const refused = assert.rejects(opening, fails('router-down', 'router.no-answer', /does not answer/));
  await clock.advance(10_000);
  await refused;
  holder.kill('SIGKILL');
});

const SMALL_LISTENER = `require('node:net').createServer().listen({ host: '127.0.0.1', port: 0, backlog: 1 }, function () {
  process.stdout.write(String(this.address().port));
})`;

test('an outgoing connection that is given up leaves no socket', async () => {
  const controller = new AbortController();
  let isGivenUp = false;
  const never: Pick<Sockets, 'connect'> = {
    connect: () => () => {
      isGivenUp = true;
    },
  };
  const remote: Remote = { kind: 'unix', path: '/nowhere' };
  const explain = () => new GateError('local-io', 'x', 'x');
  const opening = openConnection(never, remote, { signal: controller.signal, doing: 'testing', explain });
  controller.abort();
  await assert.rejects(opening, fails('cancelled', 'cancelled', /testing/));
  assert.ok(isGivenUp);
});

/** The lab's own I2P network: does it come up, carry streams between routers, and survive what the live tests do to it? */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { runCommand, waitUntil } from '../../scripts/lab/command.ts';
import { type I2pNetwork, startNetwork } from '../../scripts/lab/i2p-network.ts';
import { runInside } from '../../scripts/lab/namespaces.ts';
import { echoes, untilBridgeAnswers } from '../../scripts/lab/ready.ts';
import { greetBridge, openSession, type SamSession } from '../../scripts/lab/sam-client.ts';
import { planStranger, startStranger } from '../../scripts/lab/stranger.ts';
import { fetchPage } from '../../scripts/lab/web-client.ts';
import { PAGE_TEXT } from '../../scripts/lab/web-server.ts';
import { createAcceptor } from '../../src/core/session/acceptor.ts';
import { Session } from '../../src/core/session/session.ts';
import { systemClock } from '../../src/io/clock.ts';
import { createSharedController } from '../../src/kit/abort.ts';
import { silentLogger } from '../../src/kit/log.ts';
import { parsePrivateKeys } from '../../src/wire/i2p/destination.ts';

/** An answer takes milliseconds here. */
const LOST_MS = 4_000;
const B32_LENGTH = 52;

let network: I2pNetwork;
const { signal } = createSharedController();
const plan = planStranger();

before(
  async () => {
    network = await startNetwork({ routers: 5, reservedKeys: 6, ...plan.network });
  },
  { timeout: 400_000 },
);
after(() => network?.stop());

const open = (number: number) => (stop: AbortSignal) => network.openBridge(number, stop);

test('two sessions on different routers echo, both ways', { timeout: 60_000 }, async () => {
  const [a, b] = await Promise.all([
    openSession(open(1), network.reservedKeys(1, 1).base64, signal),
    openSession(open(2), network.reservedKeys(2, 1).base64, signal),
  ]);
  try {
    assert.equal(await echoes(a, b, signal), true);
    assert.equal(await echoes(b, a, signal), true);
  } finally {
    a.close();
    b.close();
  }
});

test('streams that come at the same time have their own names, each of them', { timeout: 240_000 }, async (t) => {
  const rounds = 40;
  const keys = network.reservedKeys(2, 2);
  const callers = await Promise.all(
    [2, 3, 4, 5].map(async (key) => {
      const { base64, destination } = network.reservedKeys(1, key);
      return { name: destination.b32, session: await openSession(open(1), base64, signal) };
    }),
  );
  const bridge = { open: open(2) };
  const world = { bridge, clock: systemClock, log: silentLogger, random: Math.random };
  const session = new Session(
    { keys: parsePrivateKeys(keys.base64), options: {}, credentials: undefined },
    { ...world, takeTurn: (build) => build() },
  );
  const heard: (readonly [name: string, said: string])[] = [];
  const service = createAcceptor({
    ...world,
    session,
    credentials: undefined,
    slots: 8,
    take: ({ stream, from }) => {
      let said = '';
      stream.on('data', (bytes) => {
        said += bytes;
        if (said.length < B32_LENGTH) return;
        heard.push([from.b32, said]);
        stream.write('heard');
      });
      stream.once('end', () => stream.destroy());
      stream.resume();
    },
  });
  t.after(async () => {
    for (const { session: from } of callers) from.close();
    await service.stop();
    await session.close();
  });
  await service.start(signal);
  await service.whenArmed(AbortSignal.timeout(60_000));
  for (let round = 0; round < rounds && !t.signal.aborted; ) {
    const before = heard.length;
    await Promise.all(callers.map(({ name, session: from }) => say(name, from, `${keys.destination.b32}.b32.i2p`)));
    // Where nobody at all came, it was the way between the routers, which may be away for up to two minutes.
    if (heard.length > before) round += 1;
  }
  assert.deepEqual(
    heard.filter(([name, said]) => name !== said),
    [],
  );
  // i2pd 2.45.1 loses some streams of its own; where several are awaited it is every third.
  assert.ok(heard.length > 0.85 * rounds * callers.length, `${heard.length} came`);
});

/** Resolves when it was heard, or when it seems to be lost. */
async function say(words: string, from: SamSession, to: string): Promise<void> {
  const stream = await from.connect(to, signal);
  stream.on('error', () => {}); // What was heard counts.
  stream.write(words);
  await once(stream, 'data', { signal: AbortSignal.timeout(LOST_MS) }).catch(() => {});
  stream.destroy();
}

test("a stranger's service answers by its name in the address book", { timeout: 120_000 }, async () => {
  const stranger = await startStranger(network, plan);
  // One that nobody has used: for 5 s after a session i2pd 2.45.1 gives the next one with its key a destination that ends with them.
  const session = await openSession(open(1), network.reservedKeys(1, 6).base64, signal);
  try {
    const stream = await session.connect(stranger.bookName, signal);
    assert.equal(await fetchPage(stream, stranger.bookName, signal), PAGE_TEXT);
  } finally {
    session.close();
    await stranger.stop();
  }
});

test('a router dies by kill -9 and comes back', { timeout: 60_000 }, async () => {
  const router = network.router(5);
  await router.kill();
  assert.equal(router.alive(), false);
  await assert.rejects(greetBridge(open(5), signal), Error);
  await router.start();
  assert.equal(router.alive(), true);
  await untilBridgeAnswers(open(5), 30_000, signal, () => undefined);
});

test('a router without a cable is out of reach until it is back', { timeout: 60_000 }, async () => {
  const ping = () => runInside(network.segment.hub, 'ping', ['-n', '-c', '1', '-W', '1', network.router(4).address]);
  await network.plug(4, false);
  await assert.rejects(ping(), /100% packet loss/);
  await network.plug(4, true);
  await waitUntil('the router answers again', ping, { timeoutMs: 10_000 });
});

test('nothing inside has a route out', async () => {
  for (const { namespace } of network.routers) {
    const routes = await runCommand('ip', ['-n', namespace, 'route', 'show', 'default']);
    assert.equal(routes, '');
  }
});

/** `ping` between whole gateways: each part of the way broken in turn, and told apart. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { Pinger } from '../../src/app/ping.ts';
import { createTcpBridge } from '../../src/io/bridge-tcp.ts';
import { systemClock } from '../../src/io/clock.ts';
import { GateError } from '../../src/kit/errors.ts';
import { echoReply, isEchoRequest } from '../../src/wire/packet/echo.ts';
import { FakeBridge } from '../helpers/fake-bridge/bridge.ts';
import { FakeNetwork } from '../helpers/fake-bridge/network.ts';
import { until } from '../helpers/until.ts';
import { generateKeys, type RunningGateway, startGateway } from './gateway-kit.ts';
import { rawPeer } from './raw-peer.ts';

const NEVER = new AbortController().signal;
const cleaners: Array<() => unknown> = [];
afterEach(async () => {
  for (const clean of cleaners.splice(0).reverse()) await clean();
});

async function bridgeOn(network: FakeNetwork): Promise<FakeBridge> {
  const bridge = await FakeBridge.start({ network, temperament: 'i2pd-2.45' });
  cleaners.push(() => bridge.stop());
  return bridge;
}

async function running(plan: Parameters<typeof startGateway>[0]): Promise<RunningGateway> {
  const gateway = await startGateway(plan);
  cleaners.push(() => gateway.stop());
  return gateway;
}

function pinger({ gateway }: RunningGateway, { address }: FakeBridge): Pinger {
  const bridge = createTcpBridge({ kind: 'tcp', ...address }, systemClock);
  return new Pinger({ gateway, bridge, credentials: undefined, clock: systemClock });
}

/** Name of the step, outcome and code of each. */
async function ping(from: RunningGateway, bridge: FakeBridge, timeoutMs: number): Promise<readonly string[]> {
  const { steps } = await pinger(from, bridge).ping('peer0', timeoutMs, NEVER);
  for (const { outcome, advice } of steps) assert.equal(advice !== undefined, outcome === 'failed');
  return steps.map(({ step, outcome, code }) => [step, outcome, ...(code === undefined ? [] : [code])].join(' '));
}

test('all is well: six steps, each with its time; without the host behind it, the last one fails', async () => {
  const network = new FakeNetwork();
  const bridge = await bridgeOn(network);
  const [ofAlice, ofBob] = [generateKeys(), generateKeys()];
  const alice = await running({ bridge, keys: ofAlice, peers: [ofBob.destination.b32] });
  const bob = await running({ bridge: await bridgeOn(network), keys: ofBob, peers: [ofAlice.destination.b32] });
  await until('both sessions stand', () => {
    return [alice, bob].every((one) => one.gateway.sessions.list()[0]?.session.state.kind === 'ready');
  });
  assert.deepEqual(await ping(alice, bridge, 1_500), [
    'sam ok',
    'session ok',
    'leaseSet ok',
    'stream ok',
    'gateway ok',
    'ipv6 failed ping.ipv6-silent',
  ]);
  let answered = 0;
  const answering = setInterval(() => {
    for (const packet of bob.tun.delivered.splice(0)) {
      if (!isEchoRequest(packet)) continue;
      answered += 1;
      bob.tun.send(echoReply(packet));
    }
  }, 5);
  cleaners.push(() => clearInterval(answering));
  assert.deepEqual(await ping(alice, bridge, 10_000), [
    'sam ok',
    'session ok',
    'leaseSet ok',
    'stream ok',
    'gateway ok',
    'ipv6 ok',
  ]);
  assert.ok(answered > 0);
  await assert.rejects(pinger(alice, bridge).ping('nobody', 1_000, NEVER), /no peer has this name/);
});

test('nobody runs garligate behind the stream', async () => {
  const network = new FakeNetwork();
  const bridge = await bridgeOn(network);
  const stranger = await rawPeer(await bridgeOn(network));
  cleaners.push(() => stranger.close());
  const alice = await running({ bridge, peers: [stranger.b32] });
  assert.deepEqual(await ping(alice, bridge, 1_500), [
    'sam ok',
    'session ok',
    'leaseSet ok',
    'stream ok',
    'gateway failed ping.gateway-silent',
  ]);
});

test('the router does not know the peer', async () => {
  const bridge = await bridgeOn(new FakeNetwork());
  const alice = await running({ bridge, peers: [generateKeys().destination.b32] });
  const steps = await ping(alice, bridge, 3_000);
  assert.deepEqual(steps.slice(0, 2), ['sam ok', 'session ok']);
  assert.match(steps[2] ?? '', /^leaseSet failed /);
  assert.equal(steps.length, 3);
});

test('the router is gone', async () => {
  const bridge = await bridgeOn(new FakeNetwork());
  const alice = await running({ bridge, peers: [generateKeys().destination.b32] });
  await bridge.stop();
  assert.match((await ping(alice, bridge, 2_000)).join(), /^sam failed router\.unreachable$/);
});

/** Builds a session for longer than anybody waits here. */
async function busyBridge(): Promise<FakeBridge> {
  const bridge = await FakeBridge.start({
    network: new FakeNetwork(),
    temperament: 'i2pd-2.45',
    timing: { sessionMs: 60_000 },
  });
  cleaners.push(() => bridge.stop());
  return bridge;
}

test('the router answers, and builds the session still', async () => {
  const bridge = await busyBridge();
  const alice = await running({ bridge, peers: [generateKeys().destination.b32] });
  assert.deepEqual(await ping(alice, bridge, 300), ['sam ok', 'session failed ping.session-building']);
});

test('eight pings at a time, and those that nobody waits for end at once', async () => {
  const bridge = await busyBridge();
  const alice = await running({ bridge, peers: [generateKeys().destination.b32] });
  const pings = pinger(alice, bridge);
  const gone = new AbortController();
  const waiting = Array.from({ length: 8 }, () => pings.ping('peer0', 300_000, gone.signal));
  await assert.rejects(pings.ping('peer0', 300_000, NEVER), { kind: 'limit', code: 'ping.too-many' });
  assert.deepEqual([pings.underWay, pings.refused], [8, 1]);
  gone.abort(new GateError('cancelled', 'test.gone', 'nobody waits'));
  for (const { steps } of await Promise.all(waiting)) assert.equal(steps.at(-1)?.code, 'test.gone');
  assert.equal(pings.underWay, 0);
  const [step] = (await pings.ping('peer0', 300, NEVER)).steps;
  assert.equal(step?.outcome, 'ok');
});

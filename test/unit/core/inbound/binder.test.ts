/** Awaiting streams on the session of the gateway and on others, over a bridge in memory. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type AwaitedFrom, createAwaitedStreams } from '../../../../src/core/inbound/awaited.ts';
import { type Bound, createBinder } from '../../../../src/core/inbound/binder.ts';
import { createPeerTable } from '../../../../src/core/peers/table.ts';
import { createAcceptor, type InboundStream } from '../../../../src/core/session/acceptor.ts';
import { GATEWAY, type SessionKey } from '../../../../src/core/session/key.ts';
import { createSessionManager } from '../../../../src/core/session/manager.ts';
import type { Session } from '../../../../src/core/session/session.ts';
import { silentLogger } from '../../../../src/kit/log.ts';
import { parsePrivateKeys } from '../../../../src/wire/i2p/destination.ts';
import { FakeClock } from '../../../helpers/fake-clock.ts';
import { ScriptedBridge } from '../session/scripted-bridge.ts';
import { destination, own, peer, privateKeys } from '../support.ts';

const NEVER = new AbortController().signal;
const ISOLATED = { kind: 'isolated', token: 'x', tunnels: undefined } as const;
const ANYONE: AwaitedFrom = { mayCome: () => true };
const MOST_AWAITED = 64;

async function setting({ peers = [peer(2)] } = {}) {
  const clock = new FakeClock();
  const bridge = new ScriptedBridge();
  bridge.rules.version = '3.3';
  bridge.rules.controlPing = (text) => `PONG ${text}`;
  let drawn = 0;
  const world = { bridge, clock, log: silentLogger, random: () => ++drawn / 1e6 };
  const sessions = createSessionManager(
    {
      gatewayKeys: parsePrivateKeys(privateKeys(1)),
      options: {},
      credentials: undefined,
      named: new Map([['mail', { keys: 'transient', options: {} }]]),
      tunnels: new Map(),
      isolated: { most: 2, atLimit: 'retire-idle', idleMs: 1_000, ahead: new Map() },
    },
    world,
  );
  const table = createPeerTable(peers, own(1).addresses);
  const refused: InboundStream[] = [];
  const on = (session: Session, take: (inbound: InboundStream) => void) =>
    createAcceptor({ ...world, session, credentials: undefined, slots: 2, take });
  const awaited = createAwaitedStreams();
  const gateway = on(sessions.lease(GATEWAY).session, (inbound) => {
    if (!awaited.offer(inbound)) refused.push(inbound);
  });
  const service = createBinder({
    sessions,
    peers: table,
    own: destination(1).b32,
    gateway: { acceptor: gateway, awaited },
    acceptor: on,
    refuse: (inbound) => refused.push(inbound),
  });
  await sessions.start(NEVER);
  await gateway.start(NEVER);
  await clock.settle();
  const bind = (
    session: SessionKey,
    from: AwaitedFrom = destination(9).b32,
    signal = NEVER,
    asker: SessionKey = session,
  ) => service.bind({ from, port: 21, session, asker, signal });
  /** For an asker of this name, of which there may be many at one session. */
  const bindFor = (name: string, session: SessionKey = GATEWAY) =>
    bind(session, destination(9).b32, NEVER, { kind: 'isolated', token: name });
  /** The youngest accept, which an isolated session has armed last. */
  const arrives = async (from: number, more = '') => {
    bridge
      .of('accept')
      .at(-1)
      ?.end.write(`${destination(from).base64}${more}\nhello`);
    await clock.settle();
  };
  const stop = async () => {
    await service.stop();
    await gateway.stop();
    await sessions.stop();
    await clock.settle();
    assert.deepEqual([clock.pending, bridge.visits.length], [0, 0]);
  };
  return { clock, bridge, sessions, service, refused, bind, bindFor, arrives, stop, peers: table };
}

async function hadBy(bound: Bound) {
  const { end, from, fromPort } = await bound.arrival(NEVER);
  const text = String(end.stream.read());
  end.stream.destroy();
  return { from: from.b32, fromPort, text };
}

for (const [name, key, accepts] of [
  ['the own session of the gateway, on the accepts that it has', GATEWAY, 2],
  ['an isolated session, on accepts of its own', ISOLATED, 4],
] as const) {
  test(`a stream is awaited on ${name}`, async () => {
    const { clock, bridge, bind, arrives, stop } = await setting();
    const opening = bind(key);
    await clock.settle();
    const bound = await opening;
    assert.equal(bridge.of('accept').length, accepts);
    assert.deepEqual([bound.port, bound.me.b32], [21, destination(1).b32]);
    await arrives(9, ' FROM_PORT=5 TO_PORT=21');
    assert.deepEqual(await hadBy(bound), { from: destination(9).b32, fromPort: 5, text: 'hello' });
    await stop();
  });

  test(`somebody else is refused on ${name}, and the one who is meant still comes`, async () => {
    const { clock, refused, bind, arrives, stop } = await setting();
    const opening = bind(key);
    await clock.settle();
    const bound = await opening;
    await arrives(8);
    assert.deepEqual(
      refused.map(({ from }) => from.b32),
      [destination(8).b32],
    );
    for (const { stream } of refused) stream.destroy();
    await clock.advance(1);
    await arrives(9);
    assert.equal((await hadBy(bound)).fromPort, undefined);
    await stop();
  });
}

test('a stream that came before anybody asked for it waits, and is ended when nobody does', async () => {
  const { clock, bind, arrives, stop } = await setting();
  const opening = bind(ISOLATED);
  await clock.settle();
  const bound = await opening;
  await arrives(9);
  assert.equal((await hadBy(bound)).text, 'hello');
  const again = await bind(ISOLATED);
  await clock.advance(1);
  await arrives(9);
  again.close();
  await clock.settle();
  await stop();
});

test('an isolated session lives as long as somebody awaits a stream on it or has one, and accepts until it ends', async () => {
  const { clock, bridge, sessions, bind, arrives, stop } = await setting();
  const opening = bind(ISOLATED);
  await clock.settle();
  const bound = await opening;
  await clock.advance(5_000);
  await arrives(9);
  const { end } = await bound.arrival(NEVER);
  await clock.advance(5_000);
  const isolated = () => sessions.list().filter(({ kind }) => kind === 'isolated').length;
  assert.equal(isolated(), 1);
  end.stream.destroy();
  await clock.settle();
  assert.equal(bridge.of('accept').length, 4);
  await clock.advance(1_000);
  assert.deepEqual([isolated(), bridge.of('accept').length], [0, 2]);
  await stop();
});

test('the end of the session ends the waiting: its destination is gone', async () => {
  const { clock, bridge, bind, stop } = await setting();
  const opening = bind(ISOLATED);
  await clock.settle();
  const bound = await opening;
  const arrival = assert.rejects(bound.arrival(NEVER), { kind: 'session-lost' });
  bridge.of('control').at(-1)?.end.destroy();
  await clock.settle();
  await arrival;
  bound.close();
  await stop();
});

test('who gives up is not served any more, before and after the stream can come', async () => {
  const { bridge, bind, refused, arrives, stop } = await setting();
  const early = new AbortController();
  bridge.rules.create = () => undefined;
  const building = assert.rejects(bind(ISOLATED, ANYONE, early.signal), { kind: 'cancelled' });
  early.abort();
  await building;
  const bound = await bind(GATEWAY, ANYONE);
  const late = new AbortController();
  const waiting = assert.rejects(bound.arrival(late.signal), { kind: 'cancelled' });
  late.abort();
  await waiting;
  bound.close();
  await arrives(9);
  assert.equal(refused.length, 1);
  for (const { stream } of refused) stream.destroy();
  await stop();
});

test('streams of a peer, and its own, to the gateway are not for clients, and those to other identities are', async () => {
  const { clock, bind, stop } = await setting();
  for (const { b32 } of [peer(2), destination(1)]) {
    await assert.rejects(bind(GATEWAY, b32), { kind: 'policy', code: 'inbound.peer' });
  }
  const opening = bind({ ...ISOLATED, mayReachPeers: true }, peer(2).b32);
  await clock.settle();
  (await opening).close();
  await stop();
});

for (const key of [ISOLATED, { kind: 'named', name: 'mail' } as const]) {
  test(`peers are neither awaited nor taken in the name of ${key.kind} identities, which they do not know`, async () => {
    const { clock, bind, refused, arrives, stop } = await setting();
    for (const { b32 } of [peer(2), destination(1)]) {
      await assert.rejects(bind(key, b32), { kind: 'policy', code: 'inbound.peer' });
    }
    const opening = bind(key, ANYONE);
    await clock.settle();
    const bound = await opening;
    await arrives(2);
    assert.deepEqual(
      refused.map(({ from }) => from.b32),
      [peer(2).b32],
    );
    for (const { stream } of refused) stream.destroy();
    await clock.advance(1);
    await arrives(9);
    assert.equal((await hadBy(bound)).from, destination(9).b32);
    await stop();
  });
}

for (const [what, key, from, joining] of [
  ['the one who was awaited is a peer by now', ISOLATED, destination(9).b32, peer(9)],
  ['a peer may come from anywhere by now', GATEWAY, ANYONE, peer(3, { onionCat: { inbound: 'unverified' } })],
] as const) {
  test(`peers may change while a client waits: ${what}`, async () => {
    const { clock, bind, peers, refused, arrives, stop } = await setting();
    const opening = bind(key, from);
    await clock.settle();
    const bound = await opening;
    peers.plan([joining]).commit();
    await arrives(9);
    assert.deepEqual(
      refused.map((inbound) => inbound.from.b32),
      [destination(9).b32],
    );
    for (const { stream } of refused) stream.destroy();
    bound.close();
    await stop();
  });
}

test('where a peer may come from anywhere, nobody else may come to the gateway unnamed', async () => {
  const { bind, stop } = await setting({
    peers: [{ ...peer(2), onionCat: { inbound: 'unverified' } }],
  });
  await assert.rejects(bind(GATEWAY, ANYONE), { kind: 'policy', code: 'inbound.peer' });
  (await bind(GATEWAY)).close();
  await stop();
});

test(`not more than ${MOST_AWAITED} streams are awaited, and one that is had or given up makes room`, async () => {
  const { bindFor, arrives, stop } = await setting();
  const all = await Promise.all(Array.from({ length: MOST_AWAITED }, (_, index) => bindFor(`client ${index}`)));
  await assert.rejects(bindFor('one more'), { kind: 'limit', code: 'inbound.limit' });
  all[1]?.close();
  all[1]?.close();
  (await bindFor('one more')).close();
  await arrives(9);
  const [first] = all;
  assert.ok(first);
  await hadBy(first);
  const more = [await bindFor('two more'), await bindFor('three more')];
  await assert.rejects(bindFor('one more'), { kind: 'limit' });
  for (const bound of [...all.slice(2), ...more]) bound.close();
  await stop();
});

test('nobody awaits so many streams, over however many sessions, that others can await none', async () => {
  const { clock, bindFor, stop } = await setting();
  const greedily = (index: number) => bindFor('greedy', index % 2 === 0 ? GATEWAY : ISOLATED);
  const opening = Promise.all(Array.from({ length: MOST_AWAITED / 2 }, (_, index) => greedily(index)));
  await clock.settle();
  const [first, ...greedy] = await opening;
  for (const index of [0, 1]) await assert.rejects(greedily(index), { kind: 'limit', code: 'inbound.limit' });
  const other = await bindFor('other');
  await assert.rejects(greedily(0), { kind: 'limit' });
  first?.close();
  const again = await greedily(0);
  for (const bound of [...greedy, other, again]) bound.close();
  await stop();
});

test('whoever may await nobody, or has no session for it, holds no place', async () => {
  const { clock, sessions, bind, stop } = await setting();
  const leases = ['a', 'b'].map((token) => sessions.lease({ kind: 'isolated', token }));
  for (let count = 0; count < MOST_AWAITED; count += 1) {
    await assert.rejects(bind(GATEWAY, peer(2).b32), { kind: 'policy' });
    await assert.rejects(bind(ISOLATED, ANYONE, NEVER, GATEWAY), { kind: 'limit', code: 'session.limit' });
  }
  (await bind(GATEWAY)).close();
  for (const lease of leases) lease.release();
  await clock.advance(1_000);
  await stop();
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GATEWAY } from '../../../../src/core/session/key.ts';
import { createSessionManager, type SessionManagerOptions } from '../../../../src/core/session/manager.ts';
import { GateError } from '../../../../src/kit/errors.ts';
import { silentLogger } from '../../../../src/kit/log.ts';
import { parsePrivateKeys } from '../../../../src/wire/i2p/destination.ts';
import { FakeClock } from '../../../helpers/fake-clock.ts';
import { privateKeys } from '../support.ts';
import { CREATED, ScriptedBridge } from './scripted-bridge.ts';

const NEVER = new AbortController().signal;
const IDLE_MS = 600_000;

function setting(maxIsolated = 2, named: SessionManagerOptions['named'] = new Map()) {
  const clock = new FakeClock();
  const bridge = new ScriptedBridge();
  bridge.rules.version = '3.1';
  let drawn = 0;
  const manager = createSessionManager(
    {
      gatewayKeys: parsePrivateKeys(privateKeys(1)),
      options: {},
      credentials: undefined,
      named,
      tunnels: new Map([['fast', { 'inbound.length': '0' }]]),
      isolated: { most: maxIsolated, atLimit: 'retire-idle', idleMs: IDLE_MS, ahead: new Map() },
    },
    { bridge, clock, log: silentLogger, random: () => ++drawn / 1e6 },
  );
  return { clock, bridge, manager };
}

const isolated = (token: string) => ({ kind: 'isolated', token }) as const;

function throwsWith(code: string) {
  return (error: unknown) => error instanceof GateError && error.code === code;
}

test('starts the gateway session at once, and has one of it', async () => {
  const { clock, bridge, manager } = setting();
  await manager.start(NEVER);
  await clock.settle();
  assert.equal(bridge.of('control').length, 1);
  const one = manager.lease(GATEWAY);
  const other = manager.lease(GATEWAY);
  assert.equal(one.session, other.session);
  one.release();
  other.release();
  await clock.advance(10 * IDLE_MS);
  assert.equal(one.session.state.kind, 'ready');
  await manager.stop();
});

test('equal tokens share a transient session, different ones never do', async () => {
  const { bridge, manager } = setting();
  const [one, same, other] = [isolated('a'), isolated('a'), isolated('b')].map((key) => manager.lease(key));
  assert.equal(one?.session, same?.session);
  assert.notEqual(one?.session, other?.session);
  await Promise.all([one?.session.ready(NEVER), other?.session.ready(NEVER)]);
  const creates = bridge.of('control').map((visit) => visit.lines[1] ?? '');
  assert.equal(creates.length, 2);
  for (const create of creates) assert.match(create, /DESTINATION=TRANSIENT SIGNATURE_TYPE=7$/);
  await manager.stop();
});

test('an isolated session ends when nobody has held it for a while', async () => {
  const { clock, bridge, manager } = setting();
  const [one, other] = [manager.lease(isolated('a')), manager.lease(isolated('a'))];
  await one.session.ready(NEVER);
  one.release();
  one.release();
  await clock.advance(2 * IDLE_MS);
  assert.equal(one.session.state.kind, 'ready', 'the second lease holds it, however often the first is given back');
  other.release();
  await clock.advance(IDLE_MS - 1);
  const again = manager.lease(isolated('a'));
  assert.equal(again.session, one.session);
  await clock.advance(IDLE_MS);
  assert.equal(one.session.state.kind, 'ready');
  again.release();
  await clock.advance(IDLE_MS);
  assert.equal(one.session.state.kind, 'closed');
  assert.equal(bridge.visits.length, 0);
  assert.notEqual(manager.lease(isolated('a')).session, one.session);
  await manager.stop();
  assert.equal(clock.pending, 0);
});

test('named identities stand from the start, each with its own key and tunnels, and are nobody else', async () => {
  const { clock, bridge, manager } = setting(
    2,
    new Map([
      ['mail', { keys: parsePrivateKeys(privateKeys(2)), options: { 'inbound.length': '2' } }],
      ['web', { keys: 'transient', options: { 'inbound.length': '1' } }],
    ]),
  );
  await manager.start(NEVER);
  await clock.settle();
  const creates = bridge.of('control').map((visit) => visit.lines[1] ?? '');
  assert.equal(creates.length, 3);
  assert.match(creates[1] ?? '', new RegExp(`DESTINATION=${privateKeys(2)} .*inbound.length=2`));
  assert.match(creates[2] ?? '', /DESTINATION=TRANSIENT .*inbound.length=1/);

  const [mail, web] = ['mail', 'web'].map((name) => manager.lease({ kind: 'named', name }));
  assert.equal(mail?.session, manager.lease({ kind: 'named', name: 'mail' }).session);
  assert.equal(new Set([mail?.session, web?.session, manager.lease(GATEWAY).session]).size, 3);
  mail?.release();
  await clock.advance(10 * IDLE_MS);
  assert.equal(mail?.session.state.kind, 'ready', 'it lives as long as the gateway');
  assert.deepEqual(
    manager.list().map(({ kind }) => kind),
    ['gateway', 'named', 'named'],
  );
  assert.throws(() => manager.lease({ kind: 'named', name: 'nobody' }), throwsWith('bug'));
  await manager.stop();
  await clock.settle();
  assert.deepEqual([bridge.visits.length, clock.pending], [0, 0]);
});

test('an isolated session has the tunnels of its listener, where that one has its own', async () => {
  const { clock, bridge, manager } = setting();
  const lease = manager.lease({ kind: 'isolated', token: 'a', tunnels: 'fast' });
  await lease.session.ready(NEVER);
  assert.match(bridge.of('control')[0]?.lines[1] ?? '', /inbound.length=0/);
  await manager.stop();
  assert.equal(clock.pending, 0);
});

test('beyond the cap an unused session makes room, a used one never', async () => {
  const { clock, manager } = setting(2);
  const a = manager.lease(isolated('a'));
  const b = manager.lease(isolated('b'));
  assert.throws(() => manager.lease(isolated('c')), throwsWith('session.limit'));
  assert.equal(manager.lease(isolated('a')).session, a.session);
  b.release();
  const c = manager.lease(isolated('c'));
  await clock.settle();
  assert.equal(b.session.state.kind, 'closed');
  assert.notEqual(c.session, b.session);
  assert.equal(manager.list().length, 3);
  // Late, and of a session that is gone: must not disturb its successor.
  c.release();
  const successor = manager.lease(isolated('b'));
  b.release();
  await clock.advance(2 * IDLE_MS);
  assert.notEqual(successor.session.state.kind, 'closed');
  await manager.stop();
  assert.equal(clock.pending, 0);
});

test('builds three isolated sessions at a time, in order, and the gateway without waiting', async () => {
  const { clock, bridge, manager } = setting(10);
  bridge.rules.create = () => undefined;
  const leases = Array.from({ length: 6 }, (_, index) => manager.lease(isolated(String(index))));
  const abort = new AbortController();
  const ready = leases.map((lease) => lease.session.ready(abort.signal));
  for (const one of ready) one.catch(() => {});
  await clock.settle();
  assert.equal(bridge.of('control').length, 3);
  await manager.start(NEVER);
  await clock.settle();
  assert.equal(bridge.of('control').length, 4);
  const [first] = bridge.of('control');
  first?.end.write(`${CREATED}\n`);
  await clock.settle();
  assert.equal(bridge.of('control').length, 5);
  // One that waits for its turn can be closed, and loses nobody else's.
  await leases[3]?.session.close();
  bridge.rules.create = () => CREATED;
  for (const visit of bridge.of('control').slice(1)) visit.end.write(`${CREATED}\n`);
  await clock.settle();
  const states = manager.list().map(({ session }) => session.state.kind);
  assert.deepEqual(states, ['ready', 'ready', 'ready', 'ready', 'closed', 'ready', 'ready']);
  await manager.stop();
  await clock.settle();
  assert.deepEqual([bridge.visits.length, clock.pending], [0, 0]);
});

test('after the stop there is no lease, and no timer', async () => {
  const { clock, bridge, manager } = setting();
  await manager.start(NEVER);
  const lease = manager.lease(isolated('a'));
  await lease.session.ready(NEVER);
  await manager.stop();
  await manager.stop();
  lease.release();
  await clock.settle();
  assert.deepEqual([bridge.visits.length, clock.pending], [0, 0]);
  assert.throws(() => manager.lease(GATEWAY), throwsWith('shutdown'));
});

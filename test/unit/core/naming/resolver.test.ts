import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createResolver } from '../../../../src/core/naming/resolver.ts';
import { GATEWAY, type SessionKey } from '../../../../src/core/session/key.ts';
import { GateError } from '../../../../src/kit/errors.ts';
import type { NamedDestination } from '../../../../src/wire/i2p/destination.ts';
import { FakeClock } from '../../../helpers/fake-clock.ts';
import { ScriptedBridge } from '../session/scripted-bridge.ts';
import { destination } from '../support.ts';

const NEVER = new AbortController().signal;
const KNOWN_MS = 600_000;
const UNKNOWN_MS = 15_000;

const isolated = (token: string): SessionKey => ({ kind: 'isolated', token });

function setting() {
  const clock = new FakeClock();
  const bridge = new ScriptedBridge();
  const names = createResolver({
    bridge,
    clock,
    credentials: undefined,
    aliases: new Map<string, NamedDestination>([
      ['whole.i2p', destination(7)],
      ['hash.i2p', { b32: destination(8).b32, base64: undefined }],
    ]),
    knownMs: KNOWN_MS,
    unknownMs: UNKNOWN_MS,
  });
  return { clock, bridge, names };
}

function rejectsWith(promise: Promise<unknown>, code: string): Promise<void> {
  return assert.rejects(promise, (error) => error instanceof GateError && error.code === code);
}

const found = (name: string) => `NAMING REPLY RESULT=OK NAME=${name} VALUE=${destination(5).base64}`;

test('asks the router once, however many want the name, and remembers the answer for a while', async () => {
  const { clock, bridge, names } = setting();
  bridge.rules.naming = (_visit, name) => found(name);
  const answers = await Promise.all([1, 2, 3].map(() => names.resolve('a.i2p', GATEWAY, NEVER)));
  for (const answer of answers) assert.equal(answer.b32, destination(5).b32);
  assert.equal(bridge.opened, 1);
  await clock.advance(KNOWN_MS - 1);
  await names.resolve('a.i2p', GATEWAY, NEVER);
  assert.equal(bridge.opened, 1);
  await clock.advance(2);
  await names.resolve('a.i2p', GATEWAY, NEVER);
  assert.equal(bridge.opened, 2);
  await clock.settle();
  assert.deepEqual([bridge.visits.length, clock.pending], [0, 0]);
});

test('remembers an unknown name shortly, and trouble with the router not at all', async () => {
  const { clock, bridge, names } = setting();
  bridge.rules.naming = () => 'NAMING REPLY RESULT=KEY_NOT_FOUND';
  await rejectsWith(names.resolve('a.i2p', GATEWAY, NEVER), 'sam.name-unknown');
  await rejectsWith(names.resolve('a.i2p', GATEWAY, NEVER), 'sam.name-unknown');
  assert.equal(bridge.opened, 1);
  await clock.advance(UNKNOWN_MS + 1);
  bridge.rules.down = true;
  await rejectsWith(names.resolve('a.i2p', GATEWAY, NEVER), 'router.test');
  bridge.rules.down = false;
  bridge.rules.naming = (_visit, name) => found(name);
  assert.equal((await names.resolve('a.i2p', GATEWAY, NEVER)).b32, destination(5).b32);
});

test('gives up on a router that does not answer, and closes the connection', async () => {
  const { clock, bridge, names } = setting();
  const late = rejectsWith(names.resolve('a.i2p', GATEWAY, NEVER), 'sam.naming-late');
  await clock.advance(46_000);
  await late;
  await clock.settle();
  assert.deepEqual([bridge.visits.length, clock.pending], [0, 0]);
});

test('one caller that gives up does not take the answer from the others', async () => {
  const { clock, bridge, names } = setting();
  const abort = new AbortController();
  const impatient = names.resolve('a.i2p', GATEWAY, abort.signal);
  const patient = names.resolve('a.i2p', GATEWAY, NEVER);
  await clock.settle();
  abort.abort(new GateError('cancelled', 'test.enough', 'enough'));
  await rejectsWith(impatient, 'test.enough');
  const [visit] = bridge.of('naming');
  visit?.end.write(`${found('a.i2p')}\n`);
  assert.equal((await patient).b32, destination(5).b32);
  await rejectsWith(
    names.resolve('b.i2p', GATEWAY, AbortSignal.abort(new GateError('cancelled', 'test.before', 'x'))),
    'test.before',
  );
});

test('has at most 128 questions under way, of which nobody has so many that others find no place', async () => {
  const { clock, bridge, names } = setting();
  const asked: Array<Promise<unknown>> = [];
  const ask = (host: string, asker: SessionKey) => {
    const answer = names.resolve(host, asker, NEVER);
    answer.catch(() => {});
    asked.push(answer);
  };
  for (let count = 0; count < 64; count += 1) ask(`${count}.i2p`, GATEWAY);
  await rejectsWith(names.resolve('one-more.i2p', GATEWAY, NEVER), 'naming.limit');
  // A name that is under way already costs nothing.
  ask('0.i2p', GATEWAY);
  assert.deepEqual(names.lookups(), { most: 128, taken: 64, counts: { refusedFull: 0, refusedShare: 1 } });
  for (let count = 0; count < 64; count += 1) ask('a.i2p', isolated(String(count)));
  await rejectsWith(names.resolve('a.i2p', isolated('one more'), NEVER), 'naming.limit');
  assert.deepEqual(names.lookups(), { most: 128, taken: 128, counts: { refusedFull: 1, refusedShare: 1 } });
  await clock.settle();
  assert.equal(bridge.opened, 128);
  await clock.advance(46_000);
  await Promise.allSettled(asked);
  assert.equal(names.lookups().taken, 0);
  bridge.rules.naming = (_visit, name) => found(name);
  await names.resolve('one-more.i2p', GATEWAY, NEVER);
});

test('an alias of the config comes before the address book, which is not asked', async () => {
  const { bridge, names } = setting();
  bridge.rules.naming = (_visit, name) => found(name);
  assert.deepEqual(await names.resolve('whole.i2p', GATEWAY, NEVER), destination(7));
  assert.deepEqual(await names.resolve('hash.i2p', GATEWAY, NEVER), { b32: destination(8).b32, base64: undefined });
  assert.equal(bridge.opened, 0);
});

test('what one identity has asked hastens no other', async () => {
  const { bridge, names, clock } = setting();
  bridge.rules.naming = (_visit, name) => (name === 'a.i2p' ? found(name) : 'NAMING REPLY RESULT=KEY_NOT_FOUND');
  const everybody = [GATEWAY, isolated('x'), isolated('y')];
  for (const [index, session] of everybody.entries()) {
    for (let again = 0; again < 2; again += 1) {
      await names.resolve('a.i2p', session, NEVER);
      await rejectsWith(names.resolve('b.i2p', session, NEVER), 'sam.name-unknown');
    }
    assert.equal(bridge.opened, 2 * (index + 1));
  }
  // Nor does a question that is under way.
  bridge.rules.naming = () => undefined;
  for (const session of everybody) names.resolve('c.i2p', session, NEVER).catch(() => {});
  await clock.settle();
  assert.equal(bridge.opened, 2 * everybody.length + everybody.length);
  await clock.advance(46_000);
});

test('a new session of the router makes unknown names worth a question again, and no others', async () => {
  const { bridge, names } = setting();
  bridge.rules.naming = (_visit, name) => (name === 'a.i2p' ? found(name) : 'NAMING REPLY RESULT=KEY_NOT_FOUND');
  await names.resolve('a.i2p', GATEWAY, NEVER);
  await rejectsWith(names.resolve('new.i2p', isolated('x'), NEVER), 'sam.name-unknown');
  bridge.rules.naming = (_visit, name) => found(name);
  names.forgetUnknown();
  await names.resolve('new.i2p', isolated('x'), NEVER);
  assert.equal(bridge.opened, 3);
  await names.resolve('a.i2p', GATEWAY, NEVER);
  assert.equal(bridge.opened, 3);
});

test('remembers 128 names of each of 64 identities, and lets the oldest go', async () => {
  const { bridge, names } = setting();
  bridge.rules.naming = (_visit, name) => found(name);
  for (let count = 0; count <= 128; count += 1) await names.resolve(`${count}.i2p`, GATEWAY, NEVER);
  const askedFor = async (host: string, session: SessionKey) => {
    const before = bridge.opened;
    await names.resolve(host, session, NEVER);
    return bridge.opened > before;
  };
  assert.deepEqual([await askedFor('1.i2p', GATEWAY), await askedFor('0.i2p', GATEWAY)], [false, true]);
  for (let count = 0; count < 63; count += 1) await names.resolve('a.i2p', isolated(String(count)), NEVER);
  assert.equal(await askedFor('128.i2p', GATEWAY), false);
  for (let count = 63; count < 127; count += 1) await names.resolve('a.i2p', isolated(String(count)), NEVER);
  assert.equal(await askedFor('128.i2p', GATEWAY), true);
});

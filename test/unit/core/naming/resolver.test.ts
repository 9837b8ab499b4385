import assert from 'node:assert/strict';
import { test } from 'node:test';
import { resolver } from '../../../../src/core/naming/resolver.ts';
import { GateError } from '../../../../src/kit/errors.ts';
import { FakeClock } from '../../../helpers/fake-clock.ts';
import { ScriptedBridge } from '../session/scripted-bridge.ts';
import { destination } from '../support.ts';

const NEVER = new AbortController().signal;
const KNOWN_MS = 600_000;
const UNKNOWN_MS = 15_000;

function setting() {
  const clock = new FakeClock();
  const bridge = new ScriptedBridge();
  return { clock, bridge, names: resolver({ bridge, clock, credentials: undefined }) };
}

function rejectsWith(promise: Promise<unknown>, code: string): Promise<void> {
  return assert.rejects(promise, (error) => error instanceof GateError && error.code === code);
}

const found = (name: string) => `NAMING REPLY RESULT=OK NAME=${name} VALUE=${destination(5).base64}`;

test('asks the router once, however many want the name, and remembers the answer for a while', async () => {
  const { clock, bridge, names } = setting();
  bridge.rules.naming = (_visit, name) => found(name);
  const answers = await Promise.all([1, 2, 3].map(() => names.resolve('a.i2p', NEVER)));
  for (const answer of answers) assert.equal(answer.b32, destination(5).b32);
  assert.equal(bridge.opened, 1);
  await clock.advance(KNOWN_MS - 1);
  await names.resolve('a.i2p', NEVER);
  assert.equal(bridge.opened, 1);
  await clock.advance(2);
  await names.resolve('a.i2p', NEVER);
  assert.equal(bridge.opened, 2);
  await clock.settle();
  assert.deepEqual([bridge.visits.length, clock.pending], [0, 0]);
});

test('remembers an unknown name shortly, and trouble with the router not at all', async () => {
  const { clock, bridge, names } = setting();
  bridge.rules.naming = () => 'NAMING REPLY RESULT=KEY_NOT_FOUND';
  await rejectsWith(names.resolve('a.i2p', NEVER), 'sam.name-unknown');
  await rejectsWith(names.resolve('a.i2p', NEVER), 'sam.name-unknown');
  assert.equal(bridge.opened, 1);
  await clock.advance(UNKNOWN_MS + 1);
  bridge.rules.down = true;
  await rejectsWith(names.resolve('a.i2p', NEVER), 'router.test');
  bridge.rules.down = false;
  bridge.rules.naming = (_visit, name) => found(name);
  assert.equal((await names.resolve('a.i2p', NEVER)).b32, destination(5).b32);
});

test('gives up on a router that does not answer, and closes the connection', async () => {
  const { clock, bridge, names } = setting();
  const late = rejectsWith(names.resolve('a.i2p', NEVER), 'sam.naming-late');
  await clock.advance(46_000);
  await late;
  await clock.settle();
  assert.deepEqual([bridge.visits.length, clock.pending], [0, 0]);
});

test('one caller that gives up does not take the answer from the others', async () => {
  const { clock, bridge, names } = setting();
  const abort = new AbortController();
  const impatient = names.resolve('a.i2p', abort.signal);
  const patient = names.resolve('a.i2p', NEVER);
  await clock.settle();
  abort.abort(new GateError('cancelled', 'test.enough', 'enough'));
  await rejectsWith(impatient, 'test.enough');
  const [visit] = bridge.of('naming');
  visit?.end.write(`${found('a.i2p')}\n`);
  assert.equal((await patient).b32, destination(5).b32);
  await rejectsWith(
    names.resolve('b.i2p', AbortSignal.abort(new GateError('cancelled', 'test.before', 'x'))),
    'test.before',
  );
});

test('has at most 64 questions under way', async () => {
  const { clock, bridge, names } = setting();
  const abort = new AbortController();
  const many = Array.from({ length: 64 }, (_, index) => names.resolve(`${index}.i2p`, abort.signal));
  for (const one of many) one.catch(() => {});
  await rejectsWith(names.resolve('one-more.i2p', NEVER), 'naming.limit');
  await clock.settle();
  assert.equal(bridge.opened, 64);
  // A name that is under way already costs nothing.
  const same = names.resolve('0.i2p', abort.signal);
  same.catch(() => {});
  assert.equal(bridge.opened, 64);
  await clock.advance(46_000);
  bridge.rules.naming = (_visit, name) => found(name);
  await names.resolve('one-more.i2p', NEVER);
});

/** Who gets a stream that several may be waiting for, and who gets none. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type AwaitedFrom, createAwaitedStreams, type Wanted } from '../../../../src/core/inbound/awaited.ts';
import { destination, line } from '../support.ts';

const [ANNA, BEN] = [destination(2), destination(3)];

function setting() {
  const awaited = createAwaitedStreams();
  const got: string[] = [];
  return {
    got,
    expect: (who: string, from: AwaitedFrom, port = 0, admits: Wanted['admits'] = () => true) =>
      awaited.expect({ from, admits, port }, () => got.push(who)),
    offer: (from = ANNA, toPort?: number) => awaited.offer({ stream: line()[0], from, fromPort: undefined, toPort }),
  };
}

test('only a stream from the destination that was named is taken', () => {
  const { got, expect, offer } = setting();
  expect('one', BEN.b32);
  assert.deepEqual([offer(ANNA), offer(BEN), offer(BEN)], [false, true, false]);
  assert.deepEqual(got, ['one']);
});

test('whoever must not come goes to nobody, though he was named, until he may', () => {
  const { got, expect, offer } = setting();
  let admitted = false;
  expect('named', ANNA.b32, 0, () => admitted);
  expect('anyone', { mayCome: () => true }, 0, () => admitted);
  assert.equal(offer(ANNA), false);
  admitted = true;
  assert.deepEqual([offer(ANNA), got], [true, ['named']]);
});

test('whoever is named goes to who named him, and only others to who takes anyone', () => {
  const { got, expect, offer } = setting();
  expect('anyone', { mayCome: () => true });
  expect('named', ANNA.b32);
  offer(ANNA);
  offer(ANNA);
  assert.deepEqual(got, ['named', 'anyone']);
});

test('of those who are not named only the ones that may come are taken', () => {
  const { got, expect, offer } = setting();
  expect('but Anna', { mayCome: (b32) => b32 !== ANNA.b32 });
  assert.deepEqual([offer(ANNA), offer(BEN), offer(BEN)], [false, true, false]);
  assert.deepEqual(got, ['but Anna']);
});

test('a port that the bridge tells decides between two, and none or 0 takes the first', () => {
  const { got, expect, offer } = setting();
  expect('first', ANNA.b32, 1000);
  expect('second', ANNA.b32, 2000);
  assert.deepEqual([offer(ANNA, 3000), offer(ANNA, 2000), offer(ANNA, 0)], [false, true, true]);
  expect('third', ANNA.b32, 1000);
  assert.equal(offer(ANNA), true);
  assert.deepEqual(got, ['second', 'first', 'third']);
});

test('a port is had where it is wished and free, and is free again afterwards', () => {
  const { expect, offer } = setting();
  const ports = [21, 21, 0].map((wished) => expect('x', ANNA.b32, wished));
  assert.deepEqual(
    ports.map(({ port }) => port),
    [21, 49_152, 49_153],
  );
  offer(ANNA, 21);
  assert.equal(expect('x', ANNA.b32, 21).port, 21);
  // Its own is over: the one that has the port now stays.
  ports[0]?.cancel();
  assert.equal(offer(ANNA, 21), true);
  ports[1]?.cancel();
  ports[1]?.cancel();
  assert.equal(expect('x', ANNA.b32).port, 49_152);
});

test('what is not awaited any more is not taken', () => {
  const { got, expect, offer } = setting();
  expect('one', ANNA.b32).cancel();
  assert.equal(offer(ANNA), false);
  assert.deepEqual(got, []);
});

test('more ports than there are cannot be had', () => {
  const { expect } = setting();
  for (let port = 49_152; port <= 65_535; port += 1) expect('x', ANNA.b32);
  assert.throws(() => expect('x', ANNA.b32), { kind: 'limit', code: 'session.no-port' });
  assert.equal(expect('x', ANNA.b32, 80).port, 80);
});

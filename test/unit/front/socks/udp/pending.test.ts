/** Datagrams that wait for their route: in order, bounded, and one slow name holds up nobody. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Found, PendingDatagrams } from '../../../../../src/front/socks/udp/pending.ts';
import { FakeClock } from '../../../../helpers/fake-clock.ts';
import { settle } from '../fakes.ts';

function waiting(targets = 2) {
  const clock = new FakeClock();
  const sent: string[] = [];
  const lost: Array<readonly [number, string | undefined]> = [];
  const one = new PendingDatagrams<string, string>({
    clock,
    queue: { items: 3, bytes: 100, ageMs: 1000 },
    targets,
    send: (route, payload) => sent.push(`${route} ${payload.toString()}`),
    lost: (count, why) => lost.push([count, why]),
  });
  const pending = new Map<string, (found: Found<string, string>) => void>();
  const push = (target: string, text: string) =>
    one.push(target, Buffer.from(text), () => new Promise((resolve) => pending.set(target, resolve)));
  const find = async (target: string, found: Found<string, string>) => {
    (pending.get(target) ?? assert.fail(`nobody looks for ${target}`))(found);
    pending.delete(target);
    await settle();
  };
  return { clock, sent, lost, pending, push, find };
}

const to = (route: string) => ({ kind: 'found', route }) as const;

test('goes in order when the route is found, and is looked for once', async () => {
  const { push, find, pending, sent } = waiting();
  push('slow', '1');
  push('fast', 'a');
  push('slow', '2');
  assert.equal(pending.size, 2);
  await find('fast', to('f'));
  assert.deepEqual(sent, ['f a'], 'the slow one holds up nobody');
  push('slow', '3');
  await find('slow', to('s'));
  assert.deepEqual(sent, ['f a', 's 1', 's 2', 's 3']);
  push('slow', '4');
  assert.equal(pending.size, 1, 'whoever comes later looks anew');
});

test('is lost and counted for its reason when there is no route', async () => {
  const { push, find, lost } = waiting();
  push('x', '1');
  push('x', '2');
  await find('x', { kind: 'none', why: 'unknown' });
  assert.deepEqual(lost, [[2, 'unknown']]);
});

test('is bounded in number, bytes and age, and loses the oldest', async () => {
  const { clock, push, find, lost, sent } = waiting();
  for (const text of ['1', '2', '3', '4']) push('x', text);
  assert.deepEqual(lost, [[1, undefined]]);
  push('y', 'x'.repeat(101));
  assert.equal(lost.length, 2);
  await clock.advance(1001);
  push('x', '5');
  await find('x', to('x'));
  assert.deepEqual(sent, ['x 5']);
  assert.equal(lost.length, 5);
});

test('only so many targets are looked for at a time', () => {
  const { push, pending, lost } = waiting(2);
  for (const target of ['a', 'b', 'c']) push(target, '1');
  assert.deepEqual([...pending.keys()], ['a', 'b']);
  assert.deepEqual(lost, [[1, undefined]]);
});

/** Slots that are part of others, and slots of each: none is given twice, none is lost, and nobody is remembered who has none. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Slots, SlotsPerKey } from '../../../src/kit/slots.ts';

test('there are as many as there are, and each can be given back once', () => {
  const slots = new Slots(2);
  const first = slots.take() ?? assert.fail();
  assert.ok(slots.take());
  assert.equal(slots.take(), undefined);
  first();
  first();
  assert.equal(slots.taken, 1);
  assert.ok(slots.take());
  assert.equal(slots.take(), undefined);
});

test('the ones around count too, and are not taken for nothing', () => {
  const around = new Slots(2);
  const [one, other] = [new Slots(1, around), new Slots(5, around)];
  const first = one.take() ?? assert.fail();
  assert.equal(one.take(), undefined);
  assert.equal(around.taken, 1);
  assert.ok(other.take());
  assert.equal(other.take(), undefined);
  assert.equal(other.taken, 1);
  first();
  assert.equal(around.taken, 1);
  assert.ok(other.take());
});

test('each has as many, and whoever has given back all of them is forgotten', () => {
  const slots = new SlotsPerKey<string>(2);
  const [first, second] = [slots.take('alice') ?? assert.fail(), slots.take('alice') ?? assert.fail()];
  assert.equal(slots.take('alice'), undefined);
  const ofBob = slots.take('bob') ?? assert.fail();
  assert.equal(slots.holders, 2);
  first();
  const third = slots.take('alice') ?? assert.fail();
  assert.equal(slots.take('alice'), undefined);
  for (const giveBack of [first, second, third, ofBob]) giveBack();
  assert.equal(slots.holders, 0);
  // One that was given back long ago takes nothing away from whoever comes anew.
  const anew = slots.take('alice') ?? assert.fail();
  first();
  assert.equal(slots.holders, 1);
  anew();
  assert.equal(slots.holders, 0);
});

/** Places inside places, and places of each: none is given twice, none is lost, and nobody is remembered who has none. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Places, PlacesForEach } from '../../../src/kit/places.ts';

test('there are as many as there are, and each can be given back once', () => {
  const places = new Places(2);
  const first = places.take() ?? assert.fail();
  assert.ok(places.take());
  assert.equal(places.take(), undefined);
  first();
  first();
  assert.equal(places.taken, 1);
  assert.ok(places.take());
  assert.equal(places.take(), undefined);
});

test('the ones around count too, and are not taken for nothing', () => {
  const around = new Places(2);
  const [one, other] = [new Places(1, around), new Places(5, around)];
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
  const places = new PlacesForEach<string>(2);
  const [first, second] = [places.take('alice') ?? assert.fail(), places.take('alice') ?? assert.fail()];
  assert.equal(places.take('alice'), undefined);
  const ofBob = places.take('bob') ?? assert.fail();
  assert.equal(places.holders, 2);
  first();
  const third = places.take('alice') ?? assert.fail();
  assert.equal(places.take('alice'), undefined);
  for (const giveBack of [first, second, third, ofBob]) giveBack();
  assert.equal(places.holders, 0);
  // One that was given back long ago takes nothing away from whoever comes anew.
  const anew = places.take('alice') ?? assert.fail();
  first();
  assert.equal(places.holders, 1);
  anew();
  assert.equal(places.holders, 0);
});

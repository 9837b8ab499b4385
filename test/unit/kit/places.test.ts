/** Places inside places: none is given twice, none is lost. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Places } from '../../../src/kit/places.ts';

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

/** A short run of every target of the fuzzer, the kept inputs, and that the fuzzer itself finds what is there to find. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type FuzzTarget, fuzz, thrownBy } from './engine.ts';
import { corpusOf, TARGETS } from './targets.ts';

const SHORT_MS = 1_500;
/** Enough that a target which does nothing but wait would be noticed, on a busy machine too. */
const FEWEST = 50;

describe('the fuzzer', () => {
  const needle: FuzzTarget = {
    name: 'needle',
    seeds: [Buffer.from('a haystack with a 60 byte packet in it')],
    run: (input) => {
      if (input.includes('packet packet')) throw new Error('found');
    },
  };

  test('finds a planted defect, makes its input small, and does the same again with the same seed', () => {
    const first = fuzz({ ...needle, seeds: [Buffer.from('a packet ')] }, { seed: 7, ms: 60_000, inputs: 200_000 });
    assert.equal(first.failure?.input.toString(), 'packet packet');
    const again = fuzz({ ...needle, seeds: [Buffer.from('a packet ')] }, { seed: 7, ms: 60_000, inputs: 200_000 });
    assert.deepEqual([again.inputs, again.failure?.input], [first.inputs, first.failure?.input]);
  });

  test('finds nothing where nothing is, and counts', () => {
    assert.deepEqual(fuzz({ ...needle, run: () => {} }, { seed: 1, ms: 60_000, inputs: 10_000 }), {
      inputs: 10_000,
      failure: undefined,
    });
  });
});

for (const target of TARGETS) {
  test(`${target.name} bears its seeds, what was kept, and whatever can be made of them in a moment`, (context) => {
    const given = [...target.seeds.map((input, index) => [`seed ${index}`, input] as const), ...corpusOf(target)];
    for (const [name, input] of given) assert.equal(thrownBy(target, input), undefined, name);
    const seed = Math.floor(Math.random() * 0x7fff_ffff);
    const { inputs, failure } = fuzz(target, { seed, ms: SHORT_MS });
    context.diagnostic(`${inputs} inputs, seed ${seed}`);
    assert.equal(
      failure,
      undefined,
      `seed ${seed}, input ${failure?.input.toString('hex')}: ${String(failure?.error)}`,
    );
    assert.ok(inputs >= FEWEST, `only ${inputs} inputs`);
  });
}

/** A short run of every target of the fuzzer, the kept inputs, and that the fuzzer itself finds what is there to find. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type FuzzTarget, fuzz, inProcess } from './engine.ts';
import { corpusOf, NATIVE_TARGETS, nameOf, TARGETS } from './targets.ts';

const SHORT_MS = 1_500;
/** Enough that a target which does nothing but wait would be noticed, on a busy machine too. */
const FEWEST = 50;
/** That each kind of work comes up many times. */
const ENOUGH = 1_000;

describe('the fuzzer', () => {
  const needle = (run: (input: Buffer) => void, seeds = [Buffer.from('a packet ')]): FuzzTarget =>
    inProcess({ name: 'needle', seeds, run });
  const planted = needle((input) => {
    if (input.includes('packet packet')) throw new Error('found');
  });

  test('finds a planted defect, makes its input small, and does the same again with the same seed', () => {
    const bounds = { seed: 7, ms: 60_000, inputs: 200_000 };
    const first = fuzz(planted, bounds);
    assert.equal(first.failure?.input.toString(), 'packet packet');
    const again = fuzz(planted, bounds);
    assert.deepEqual([again.inputs, again.failure?.input], [first.inputs, first.failure?.input]);
  });

  test('finds nothing where nothing is, and counts', () => {
    const bounds = { seed: 1, ms: 60_000, inputs: 10_000 };
    assert.deepEqual(
      fuzz(
        needle(() => {}),
        bounds,
      ),
      { inputs: 10_000, failure: undefined },
    );
  });

  test('begins with what was kept as well', () => {
    const bounds = { seed: 1, ms: 60_000, inputs: 10_000, corpus: [Buffer.from('packet packet')] };
    assert.equal(fuzz(planted, bounds).failure?.input.toString(), 'packet packet');
  });

  test('tries inputs beyond every bound on lines, heads and packets, and mostly short ones', () => {
    const lengths: number[] = [];
    fuzz(
      needle((input) => lengths.push(input.length)),
      { seed: 3, ms: 60_000, inputs: 20_000 },
    );
    assert.ok(Math.max(...lengths) > 65_575, `the longest has ${Math.max(...lengths)} bytes`);
    assert.ok(Math.max(...lengths) <= 70 * 1024);
    assert.ok(lengths.filter((length) => length > 4096).length < lengths.length / 100);
  });

  test('keeps what failed under names that tell, each its own', () => {
    const [one, other] = [Buffer.from('one'), Buffer.from('other')];
    const name = nameOf(new RangeError('Offset is out of bounds\nand more'), one);
    assert.match(name, /^range-error-offset-is-out-of-bounds-[0-9a-f]{8}\.bin$/);
    assert.notEqual(nameOf(new RangeError('Offset is out of bounds'), other), name);
    assert.equal(nameOf(new RangeError('Offset is out of bounds'), one), name);
    assert.match(nameOf(new Error('x'.repeat(1_000)), one), /^[a-z-]{1,60}-[0-9a-f]{8}\.bin$/);
  });
});

for (const target of TARGETS) {
  const corpus = [...corpusOf(target)];

  test(`${target.name} has kept inputs, and bears each of them`, () => {
    assert.ok(corpus.length > 0);
    const failure = target.firstFailure(corpus.map(([, input]) => input));
    assert.equal(failure?.error, undefined, `${corpus[failure?.index ?? 0]?.[0]}: ${String(failure?.error)}`);
  });

  test(`${target.name} bears its seeds, and whatever can be made of them and of what was kept in a moment`, (context) => {
    const wrong = target.firstFailure(target.seeds);
    assert.equal(wrong?.error, undefined, `seed ${wrong?.index}: ${String(wrong?.error)}`);
    const seed = Math.floor(Math.random() * 0x7fff_ffff);
    const { inputs, failure } = fuzz(target, { seed, ms: SHORT_MS, corpus: corpus.map(([, input]) => input) });
    context.diagnostic(`${inputs} inputs, seed ${seed}`);
    assert.equal(
      failure,
      undefined,
      `seed ${seed}, input ${failure?.input.toString('hex')}: ${String(failure?.error)}`,
    );
    assert.ok(inputs >= FEWEST, `only ${inputs} inputs`);
  });
}

test('an input that ends the program of the native part without a word is found among others', () => {
  const [target] = NATIVE_TARGETS;
  const tooLong = Buffer.alloc(2 * 1024 * 1024);
  assert.equal(target?.firstFailure([Buffer.of(1), Buffer.of(2), tooLong, Buffer.of(3)])?.index, 2);
});

for (const target of NATIVE_TARGETS) {
  test(`${target.name} is led into each kind of its work`, () => {
    fuzz(target, { seed: 1, ms: 60_000, inputs: ENOUGH, corpus: [...corpusOf(target).values()] });
    assert.deepEqual(
      target.work.filter((what) => (target.met.get(what) ?? 0) === 0),
      [],
    );
  });
}

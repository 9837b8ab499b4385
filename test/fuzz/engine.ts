/**
 * A fuzzer in a few lines: takes good inputs apart and puts them together again, and looks for one that a target cannot
 * bear. The same seed gives the same inputs. Knows no protocol and no files.
 */

export interface FuzzTarget {
  readonly name: string;
  /** Good inputs to begin with. */
  readonly seeds: readonly Buffer[];
  /** How many inputs are tried at once. */
  readonly batch: number;
  /** The first of these inputs that what is tested cannot bear. Changes none of them, and may keep nothing. */
  firstFailure(inputs: readonly Buffer[]): FuzzFailure | undefined;
}

export interface FuzzFailure {
  /** Of the input. */
  readonly index: number;
  readonly error: unknown;
}

export interface FuzzBounds {
  readonly seed: number;
  readonly ms: number;
  readonly inputs?: number;
  /** To begin with beside the seeds. */
  readonly corpus?: readonly Buffer[];
}

export interface FuzzResult {
  readonly inputs: number;
  readonly failure: { readonly input: Buffer; readonly error: unknown } | undefined;
}

/** More than a packet (40 + 65,535 bytes), a control line (64 KiB), a SAM line (16 KiB) or an HTTP head (8 KiB) may have. */
const LONGEST_INPUT = 70 * 1024;
/** One in so many is made as long as that; the others show more in the same time. */
const LONG_ONES = 256;
const USUAL_LONGEST = 4096;
/** For what a failing input can do without. */
const SHORTENING_MS = 20_000;
const INTERESTING = [0x00, 0x01, 0x0a, 0x0d, 0x20, 0x22, 0x3b, 0x3d, 0x60, 0x6f, 0x7f, 0x80, 0xf6, 0xff];

interface OwnTarget {
  readonly name: string;
  readonly seeds: readonly Buffer[];
  /** Must bear every input; may keep nothing of it. @throws when what is tested broke a promise */
  run(input: Buffer): void;
}

/** A target in this process. */
export function inProcess({ name, seeds, run }: OwnTarget): FuzzTarget {
  const firstFailure: FuzzTarget['firstFailure'] = (inputs) => {
    for (const [index, input] of inputs.entries()) {
      try {
        run(Buffer.from(input));
      } catch (error) {
        return { index, error: error ?? new Error('something undefined was thrown') };
      }
    }
    return undefined;
  };
  return { name, seeds, batch: 64, firstFailure };
}

export function fuzz(target: FuzzTarget, bounds: FuzzBounds): FuzzResult {
  const { seed, ms, inputs: most = Number.POSITIVE_INFINITY, corpus = [] } = bounds;
  const random = randomNumbers(seed);
  const beginnings = [...target.seeds, ...corpus];
  const end = performance.now() + ms;
  let done = 0;
  while (done < most && performance.now() < end) {
    const length = Math.min(target.batch, most - done);
    const inputs = Array.from({ length }, () => mutated(beginnings, random));
    const failure = target.firstFailure(inputs);
    const input = failure === undefined ? undefined : inputs[failure.index];
    if (failure !== undefined && input !== undefined) {
      return { inputs: done + failure.index + 1, failure: { input: smallest(target, input), error: failure.error } };
    }
    done += length;
  }
  return { inputs: done, failure: undefined };
}

/** What goes wrong at this input. */
export function failureAt(target: FuzzTarget, input: Buffer): unknown {
  return target.firstFailure([input])?.error;
}

/** Cuts off what is not needed to fail. */
function smallest(target: FuzzTarget, input: Buffer): Buffer {
  const end = performance.now() + SHORTENING_MS;
  let best = input;
  for (let size = best.length >> 1; size > 0; size >>= 1) {
    for (let at = 0; at + size <= best.length && performance.now() < end; ) {
      const shorter = Buffer.concat([best.subarray(0, at), best.subarray(at + size)]);
      if (failureAt(target, shorter) === undefined) at += size;
      else best = shorter;
    }
  }
  return best;
}

/** Whole numbers from 0 to below `limit` (xorshift32). */
type RandomNumbers = (limit: number) => number;

function randomNumbers(seed: number): RandomNumbers {
  let state = seed | 0 || 1;
  return (limit) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % limit;
  };
}

function mutated(seeds: readonly Buffer[], random: RandomNumbers): Buffer {
  const pick = () => seeds[random(Math.max(1, seeds.length))] ?? Buffer.alloc(0);
  let bytes: Buffer = Buffer.from(pick());
  for (let left = random(6); left >= 0; left -= 1) bytes = changed(bytes, pick, random);
  return random(LONG_ONES) === 0 ? lengthened(bytes, random) : bytes.subarray(0, USUAL_LONGEST);
}

/** Says a part of it again and again. */
function lengthened(bytes: Buffer, random: RandomNumbers): Buffer {
  const at = random(bytes.length + 1);
  const to = at + 1 + random(bytes.length - at + 1);
  const part = at < bytes.length ? bytes.subarray(at, to) : Buffer.of(random(256));
  const again = Buffer.alloc(random(LONGEST_INPUT), part);
  return Buffer.concat([bytes.subarray(0, to), again, bytes.subarray(to)]).subarray(0, LONGEST_INPUT);
}

function changed(bytes: Buffer, pick: () => Buffer, random: RandomNumbers): Buffer {
  const at = random(bytes.length + 1);
  const to = at + random(bytes.length - at + 1);
  switch (random(10)) {
    case 0:
      if (at < bytes.length) bytes[at] = (bytes[at] ?? 0) ^ (1 << random(8));
      return bytes;
    case 1:
      if (at < bytes.length) bytes[at] = random(256);
      return bytes;
    case 2:
      if (at < bytes.length) bytes[at] = INTERESTING[random(INTERESTING.length)] ?? 0;
      return bytes;
    case 3:
      if (at + 2 <= bytes.length) bytes.writeUInt16BE([0, 1, 39, 40, 0xffff, random(0x10000)][random(6)] ?? 0, at);
      return bytes;
    case 4:
      return bytes.subarray(0, at);
    case 5:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(to)]);
    case 6:
      return Buffer.concat([bytes.subarray(0, to), bytes.subarray(at)]);
    case 7:
      return Buffer.concat([bytes.subarray(0, at), pick()]);
    case 8: {
      const noise = Buffer.from(Array.from({ length: 1 + random(64) }, () => random(256)));
      return Buffer.concat([bytes.subarray(0, at), noise, bytes.subarray(at)]);
    }
    default:
      return Buffer.concat([bytes.subarray(0, at), Buffer.from([random(256), random(256)]), bytes.subarray(at)]);
  }
}

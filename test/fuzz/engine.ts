/**
 * A fuzzer in a few lines: takes good inputs apart and puts them together again, and looks for one that a target cannot
 * bear. The same seed gives the same inputs. Knows no protocol and no files.
 */

export interface FuzzTarget {
  readonly name: string;
  /** Good inputs to begin with. */
  readonly seeds: readonly Buffer[];
  /** Must bear every input; may keep nothing of it. @throws when what is tested broke a promise */
  run(input: Buffer): void;
}

export interface FuzzBounds {
  readonly seed: number;
  readonly ms: number;
  readonly inputs?: number;
}

export interface FuzzResult {
  readonly inputs: number;
  readonly failure: { readonly input: Buffer; readonly error: unknown } | undefined;
}

/** Longer ones show nothing new and cost time. */
const LONGEST_INPUT = 4096;
/** Between looks at the clock. */
const BATCH = 64;
const INTERESTING = [0x00, 0x01, 0x0a, 0x0d, 0x20, 0x22, 0x3b, 0x3d, 0x60, 0x6f, 0x7f, 0x80, 0xf6, 0xff];

export function fuzz(target: FuzzTarget, { seed, ms, inputs = Number.POSITIVE_INFINITY }: FuzzBounds): FuzzResult {
  const random = randomNumbers(seed);
  const end = performance.now() + ms;
  let done = 0;
  while (done < inputs && performance.now() < end) {
    for (let count = 0; count < BATCH && done < inputs; count += 1) {
      const input = mutated(target.seeds, random);
      done += 1;
      const error = thrownBy(target, input);
      if (error !== undefined) return { inputs: done, failure: { input: smallest(target, input), error } };
    }
  }
  return { inputs: done, failure: undefined };
}

/** What the target throws at this input, which is not changed. */
export function thrownBy(target: FuzzTarget, input: Buffer): unknown {
  try {
    target.run(Buffer.from(input));
    return undefined;
  } catch (error) {
    return error ?? new Error('something undefined was thrown');
  }
}

/** Cuts off what is not needed to fail. */
function smallest(target: FuzzTarget, input: Buffer): Buffer {
  let best = input;
  for (let size = best.length >> 1; size > 0; size >>= 1) {
    for (let at = 0; at + size <= best.length; ) {
      const shorter = Buffer.concat([best.subarray(0, at), best.subarray(at + size)]);
      if (thrownBy(target, shorter) === undefined) at += size;
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
  return bytes.subarray(0, LONGEST_INPUT);
}

function changed(bytes: Buffer, pick: () => Buffer, random: RandomNumbers): Buffer {
  const at = random(bytes.length + 1);
  const to = at + random(bytes.length - at + 1);
  switch (random(9)) {
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
    default:
      return Buffer.concat([bytes.subarray(0, at), Buffer.from([random(256), random(256)]), bytes.subarray(at)]);
  }
}

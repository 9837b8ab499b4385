/** Numbers that look random and are the same each time. */

/** @returns the next number of the sequence of this seed, from 0 to below 1 (mulberry32) */
export function randomNumbers(seed: number): () => number {
  let drawn = seed | 0;
  return () => {
    drawn = (drawn + 0x6d2b79f5) | 0;
    let mixed = Math.imul(drawn ^ (drawn >>> 15), 1 | drawn);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

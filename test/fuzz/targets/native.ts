/** What the native part does for peers: it writes their packets to the TUN, reads what goes to them, holds sockets, and asks the kernel. */
import { randomNumbers } from '../../helpers/random.ts';
import { nativeTarget } from '../native-program.ts';

/** Decisions without a plan: that something comes of them is for the scenarios, and the fuzzer varies them. */
function noise(seed: number, length: number): Buffer {
  const next = randomNumbers(seed);
  return Buffer.from(Array.from({ length }, () => Math.floor(256 * next())));
}

const SEEDS = Array.from({ length: 20 }, (_, seed) => noise(seed, 24 << (seed % 5)));

export const targets = [
  nativeTarget('write', SEEDS, ['alone', 'joined', 'whole', 'refused']),
  nativeTarget('read', SEEDS, ['completed', 'cut', 'uncut', 'malformed', 'noRoom', 'joined']),
  nativeTarget('sockets', SEEDS, ['connected', 'moved', 'stale']),
  nativeTarget('netlink', SEEDS, ['answered']),
];

/** Prefixes for property tests, crowded enough to lie inside each other, and the slow and obvious longest prefix match. */
import fc from 'fast-check';
import { covers, formatPrefix, type Prefix, shortened } from '../../../../src/wire/packet/prefix.ts';

/** Few different bits, so that addresses and prefixes meet. */
const byte = fc.constantFrom(0x00, 0x01, 0x80, 0xfd, 0xff);

export const crowdedAddress: fc.Arbitrary<Buffer> = fc
  .array(byte, { minLength: 16, maxLength: 16 })
  .map((bytes) => Buffer.from(bytes));

export const crowdedPrefixes: fc.Arbitrary<readonly (readonly [Prefix, number])[]> = fc.uniqueArray(
  fc
    .tuple(crowdedAddress, fc.oneof(fc.integer({ min: 0, max: 24 }), fc.integer({ min: 0, max: 128 })), fc.nat(9))
    .map(([bytes, bits, value]) => [shortened({ bytes, bits: 128 }, bits), value] as const),
  { maxLength: 24, selector: ([prefix]) => formatPrefix(prefix) },
);

export function slowMatch<Value>(prefixes: readonly (readonly [Prefix, Value])[], address: Buffer): Value | undefined {
  return prefixes
    .filter(([prefix]) => covers(prefix, { bytes: address, bits: 128 }))
    .toSorted(([one], [other]) => other.bits - one.bits)[0]?.[1];
}

/** Nested prefixes as ranges that do not overlap, for whoever knows no longest prefix match. */
import { lastOf, type Prefix } from '../../wire/packet/prefix.ts';

export interface AddressRange<Value> {
  /** 16 bytes each, both included. */
  readonly first: Buffer;
  readonly last: Buffer;
  readonly value: Value;
}

/**
 * In order. An address lies in the range with the value of its longest prefix, and in none when it has no prefix. Prefixes
 * that are equal have no meaning here.
 */
export function disjointRanges<Value>(prefixes: Iterable<readonly [Prefix, Value]>): readonly AddressRange<Value>[] {
  const ranges: AddressRange<Value>[] = [];
  /** The prefixes around the place that has been reached, the longest last. */
  const around: { readonly last: bigint; readonly value: Value }[] = [];
  let reached = 0n;
  const reach = (end: bigint, value: Value) => {
    if (reached <= end) ranges.push({ first: addressOf(reached), last: addressOf(end), value });
    reached = end + 1n;
  };
  const leaveAllBefore = (place: bigint) => {
    for (let inner = around.at(-1); inner !== undefined && inner.last < place; inner = around.at(-1)) {
      reach(inner.last, inner.value);
      around.pop();
    }
  };
  const inOrder = [...prefixes].sort(([one], [other]) => one.bytes.compare(other.bytes) || one.bits - other.bits);
  for (const [prefix, value] of inOrder) {
    const start = numberOf(prefix.bytes);
    leaveAllBefore(start);
    const outer = around.at(-1);
    if (outer !== undefined) reach(start - 1n, outer.value);
    reached = start;
    around.push({ last: numberOf(lastOf(prefix)), value });
  }
  leaveAllBefore(1n << 128n);
  return ranges;
}

function numberOf(address: Buffer): bigint {
  return BigInt(`0x${address.toString('hex')}`);
}

function addressOf(number: bigint): Buffer {
  return Buffer.from(number.toString(16).padStart(32, '0'), 'hex');
}

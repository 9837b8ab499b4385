/**
 * Walks through packets that stand back to back, a row of alike ones at a time: what is decided once then holds for all of a
 * row. Reads bytes in place.
 */
import { isAlike } from './flow.ts';
import { packetLength } from './ipv6.ts';

/**
 * Sees a row at `bytes[start, end)`: `packets` of them, alike (see isAlike) if there are several, none longer than the
 * first, which ends at `firstEnd`.
 */
export type VisitRow = (start: number, firstEnd: number, end: number, packets: number) => void;

/**
 * @param bytes whole packets
 * @param known rows as they are known already: bytes and packets of each; undefined where nothing is known
 * @param most bytes of a row, unless a known one is longer
 */
export function eachRow(bytes: Buffer, known: Uint32Array | undefined, most: number, visit: VisitRow): void {
  let next = 0;
  const lengthOf = (at: number) => known?.[next] ?? packetLength(bytes, at);
  for (let start = 0; start < bytes.length; ) {
    const firstEnd = start + packetLength(bytes, start);
    let end = start + lengthOf(start);
    let packets = known?.[next + 1] ?? 1;
    for (next += 2; end < bytes.length; next += 2) {
      const otherEnd = end + packetLength(bytes, end);
      if (otherEnd - end > firstEnd - start || !isAlike(bytes, start, firstEnd, end, otherEnd)) break;
      const rowEnd = end + lengthOf(end);
      if (rowEnd - start > most) break;
      end = rowEnd;
      packets += known?.[next + 1] ?? 1;
    }
    visit(start, firstEnd, end, packets);
    start = end;
  }
}

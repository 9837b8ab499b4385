/** Rows of packets: whole, in order, alike, as long as they may be, and the same whether they were known before or not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isAlike } from '../../../../src/wire/packet/flow.ts';
import { packetLength } from '../../../../src/wire/packet/ipv6.ts';
import { eachRow } from '../../../../src/wire/packet/rows.ts';

interface Shape {
  readonly next: number;
  readonly flow: number;
  readonly payload: number;
}

function packet({ next, flow, payload }: Shape): Buffer {
  const bytes = Buffer.alloc(40 + payload, flow);
  bytes.writeUInt32BE(0x60000000, 0);
  bytes.writeUInt16BE(payload, 4);
  bytes[6] = next;
  return bytes;
}

interface Row {
  readonly start: number;
  readonly end: number;
  readonly packets: number;
}

function rowsOf(bytes: Buffer, known: Uint32Array | undefined, most: number): Row[] {
  const rows: Row[] = [];
  eachRow(bytes, known, most, (start, firstEnd, end, packets) => {
    assert.equal(firstEnd, start + packetLength(bytes, start));
    rows.push({ start, end, packets });
  });
  return rows;
}

function check(bytes: Buffer, rows: readonly Row[], most: number): void {
  let at = 0;
  for (const { start, end, packets } of rows) {
    assert.equal(start, at);
    const firstEnd = start + packetLength(bytes, start);
    let count = 0;
    for (; at < end; count += 1) {
      const next = at + packetLength(bytes, at);
      assert.ok(count === 0 || isAlike(bytes, start, firstEnd, at, next));
      assert.ok(next - at <= firstEnd - start);
      at = next;
    }
    assert.deepEqual([at, count], [end, packets]);
    assert.ok(count === 1 || end - start <= most);
  }
  assert.equal(at, bytes.length);
}

const shapes = fc.array(
  fc.record({
    next: fc.constantFrom(6, 6, 17, 58),
    flow: fc.integer({ min: 1, max: 2 }),
    payload: fc.constantFrom(0, 3, 4, 100, 100, 101),
  }),
  { maxLength: 40 },
);

test('every packet is in one row, with those like it, in order', () => {
  fc.assert(
    fc.property(shapes, fc.integer({ min: 1, max: 2_000 }), (made, most) => {
      const bytes = Buffer.concat(made.map(packet));
      check(bytes, rowsOf(bytes, undefined, most), most);
    }),
  );
});

test('rows that are known are joined as single packets would be', () => {
  fc.assert(
    fc.property(shapes, fc.integer({ min: 200, max: 600 }), (made, most) => {
      const bytes = Buffer.concat(made.map(packet));
      const small = rowsOf(bytes, undefined, 200);
      const known = Uint32Array.from(small.flatMap(({ start, end, packets }) => [end - start, packets]));
      check(bytes, rowsOf(bytes, known, most), most);
      assert.deepEqual(rowsOf(bytes, known, 200), small);
    }),
  );
});

test('as many packets make a row as it may have bytes, and a known row is never cut', () => {
  const bytes = Buffer.concat(Array.from({ length: 5 }, () => packet({ next: 6, flow: 1, payload: 60 })));
  const counts = (known: Uint32Array | undefined, most: number) => rowsOf(bytes, known, most).map((row) => row.packets);
  assert.deepEqual(counts(undefined, 300), [3, 2]);
  assert.deepEqual(counts(undefined, 500), [5]);
  assert.deepEqual(counts(undefined, 1), [1, 1, 1, 1, 1]);
  assert.deepEqual(counts(Uint32Array.of(400, 4, 100, 1), 300), [4, 1]);
  assert.deepEqual(counts(Uint32Array.of(200, 2, 300, 3), 500), [5]);
});

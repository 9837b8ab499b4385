/** Which packets are one conversation, and the mark of congestion. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isEcnCapable, markCongestion } from '../../../../src/wire/packet/ecn.ts';
import { flowNumber, isAlike } from '../../../../src/wire/packet/flow.ts';

interface Shape {
  readonly label: number;
  readonly next: number;
  readonly source: number;
  readonly destination: number;
  readonly ports: number;
}

const TCP: Shape = { label: 0x12345, next: 6, source: 1, destination: 2, ports: 0x01bbc350 };

function packet(shape: Shape, payload = Buffer.alloc(20, 0xab), trafficClass = 0): Buffer {
  const bytes = Buffer.alloc(40);
  bytes.writeUInt32BE((0x60000000 | (trafficClass << 20) | shape.label) >>> 0, 0);
  bytes[6] = shape.next;
  bytes.fill(shape.source, 8, 24);
  bytes.fill(shape.destination, 24, 40);
  const body = Buffer.from(payload);
  if (body.length >= 4) body.writeUInt32BE(shape.ports, 0);
  bytes.writeUInt16BE(body.length, 4);
  return Buffer.concat([bytes, body]);
}

/** As people would say it. */
function isOneFlow(one: Shape, other: Shape): boolean {
  const last = one.next === 58 ? 'label' : 'ports';
  return (['next', 'source', 'destination', last] as const).every((field) => one[field] === other[field]);
}

function number(bytes: Buffer): number {
  return flowNumber(bytes, 0, bytes.length, 7);
}

test('the fields that make a flow each tell two flows apart', () => {
  const changes: ReadonlyArray<Partial<Shape>> = [
    { next: 17 },
    { source: 9 },
    { destination: 9 },
    { ports: 0x01bbc351 },
    { ports: 0x01bcc350 },
  ];
  for (const change of changes) {
    assert.notEqual(number(packet(TCP)), number(packet({ ...TCP, ...change })), JSON.stringify(change));
  }
});

test('nothing else does: payload, length, traffic class, and the label that Linux changes when it repeats', () => {
  const relabelled = packet({ ...TCP, label: 0x12346 });
  for (const other of [packet(TCP, Buffer.alloc(1_400)), packet(TCP, undefined, 0xff), packet(TCP), relabelled]) {
    assert.equal(number(packet(TCP)), number(other));
  }
});

test('protocols without ports, fragments, and packets cut behind the header have none', () => {
  for (const next of [58, 44, 0, 50, 59]) {
    const [one, other] = [packet({ ...TCP, next }), packet({ ...TCP, next, ports: 1 })];
    assert.equal(number(one), number(other), `next header ${next}`);
    assert.notEqual(number(one), number(packet({ ...TCP, next, label: 1 })), `next header ${next}: by its label`);
  }
  for (let length = 0; length < 4; length += 1) {
    assert.equal(number(packet(TCP, Buffer.alloc(length))), number(packet(TCP, Buffer.alloc(0))));
  }
});

test('two packets are the same flow exactly when they have the same number', () => {
  const shape = fc.record({
    label: fc.integer({ min: 0, max: 3 }),
    next: fc.constantFrom(6, 17, 58, 132),
    source: fc.integer({ min: 1, max: 2 }),
    destination: fc.integer({ min: 1, max: 2 }),
    ports: fc.integer({ min: 0, max: 3 }),
  });
  fc.assert(
    fc.property(shape, shape, (one, other) => {
      assert.equal(number(packet(one)) === number(packet(other)), isOneFlow(one, other));
    }),
    { numRuns: 500 },
  );
});

test('packets are alike exactly when they are TCP or UDP with ports, of one flow, with the same first word', () => {
  const shape = fc.record({
    label: fc.integer({ min: 0, max: 1 }),
    next: fc.constantFrom(6, 17, 58, 59, 132),
    source: fc.integer({ min: 1, max: 2 }),
    destination: fc.integer({ min: 1, max: 2 }),
    ports: fc.integer({ min: 0, max: 1 }),
  });
  const made = fc
    .tuple(shape, fc.integer({ min: 0, max: 6 }), fc.constantFrom(0, 0, 0, 3))
    .map(([one, payload, trafficClass]) => packet(one, Buffer.alloc(payload), trafficClass));
  fc.assert(
    fc.property(made, made, (one, other) => {
      const run = Buffer.concat([one, other]);
      const hasPorts = [one, other].every((bytes) => bytes.length >= 44 && (bytes[6] === 6 || bytes[6] === 17));
      const isSame = number(one) === number(other) && one.readUInt32BE(0) === other.readUInt32BE(0);
      assert.equal(isAlike(run, 0, one.length, one.length, run.length), hasPorts && isSame);
    }),
    { numRuns: 1_000 },
  );
});

test('the numbers depend on the seed, and spread', () => {
  const numbers = (seed: number) =>
    Array.from({ length: 4_096 }, (_, ports) => {
      const bytes = packet({ ...TCP, ports });
      return flowNumber(bytes, 0, bytes.length, seed);
    });
  const first = numbers(1);
  assert.equal(new Set(first).size, 4_096);
  assert.ok(first.every((one) => Number.isInteger(one) && one >= 0 && one < 2 ** 32));
  const buckets = new Array<number>(64).fill(0);
  for (const one of first) buckets[one % 64] = (buckets[one % 64] ?? 0) + 1;
  assert.ok(Math.max(...buckets) < 110, `${Math.max(...buckets)} of 4096 in one of 64`);
  assert.ok(numbers(2).filter((one, index) => one === first[index]).length < 3);
});

test('only a packet whose sender knows ECN can be marked, and nothing else of it changes', () => {
  for (const [ecn, capable] of [
    [0, false],
    [1, true],
    [2, true],
    [3, true],
  ] as const) {
    const bytes = packet(TCP, undefined, 0xb8 | ecn);
    assert.equal(isEcnCapable(bytes, 0), capable);
    if (!capable) continue;
    const before = Buffer.from(bytes);
    markCongestion(bytes, 0);
    assert.equal(bytes.readUInt32BE(0), (0x60000000 | ((0xb8 | 3) << 20) | TCP.label) >>> 0);
    assert.deepEqual(bytes.subarray(4), before.subarray(4));
  }
});

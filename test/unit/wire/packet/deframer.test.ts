/** Packets back to back in a byte stream: each as long as its header says, in any pieces, and not one that is none. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Deframer } from '../../../../src/wire/packet/deframer.ts';
import { cuts, gateError, inPieces, noise } from '../../kit/support.ts';
import { packet } from './packets.ts';

/** Copies of what is visited, because the memory is only borrowed. */
function visitor() {
  const seen: Buffer[] = [];
  return {
    seen,
    visit: (bytes: Buffer, start: number, end: number) => void seen.push(Buffer.from(bytes.subarray(start, end))),
  };
}

function deframed(pieces: readonly Buffer[]): { packets: Buffer[]; pending: number } {
  const deframer = new Deframer();
  const { seen, visit } = visitor();
  for (const piece of pieces) deframer.push(piece, visit);
  return { packets: seen, pending: deframer.pending };
}

const SMALL = [
  packet(noise(3, 1)),
  packet(Buffer.alloc(0)),
  packet(noise(25, 2), { next: 59 }),
  packet(Buffer.alloc(0)),
  packet(noise(1, 3)),
];

test('a few packets in any split', () => {
  for (const pieces of cuts(Buffer.concat(SMALL))) assert.deepEqual(deframed(pieces), { packets: SMALL, pending: 0 });
});

test('one packet in any three pieces', () => {
  const [one = Buffer.alloc(0)] = SMALL;
  for (let first = 0; first <= one.length; first += 1) {
    for (let second = first; second <= one.length; second += 1) {
      const pieces = [one.subarray(0, first), one.subarray(first, second), one.subarray(second)];
      assert.deepEqual(deframed(pieces), { packets: [one], pending: 0 });
    }
  }
});

test('how much of an unfinished packet is held is told, and nothing of it is shown', () => {
  const whole = packet(noise(60, 4));
  for (let at = 1; at < whole.length; at += 1) {
    assert.deepEqual(deframed([Buffer.concat([whole, whole.subarray(0, at)])]), { packets: [whole], pending: at });
    assert.deepEqual(deframed(inPieces(whole.subarray(0, at), [1])), { packets: [], pending: at });
  }
});

test('the longest packet that a header can announce, in pieces of many sizes, with neighbours', () => {
  const longest = packet(noise(0xffff, 5));
  assert.equal(longest.length, 65_575);
  const packets = [longest, packet(Buffer.alloc(0)), longest, packet(noise(2, 6)), longest];
  for (const sizes of [[1_000_000], [65_575], [65_574], [65_576], [16_384], [39, 1, 1, 65_000], [1448], [40]]) {
    assert.deepEqual(deframed(inPieces(Buffer.concat(packets), sizes)), { packets, pending: 0 });
  }
});

test('packets that came whole are shown in place, and what is held is a copy', () => {
  const deframer = new Deframer();
  const [one = Buffer.alloc(0), two = Buffer.alloc(0)] = [packet(noise(30, 7)), packet(noise(50, 8))];
  const chunk = Buffer.concat([one, two.subarray(0, 60)]);
  const { seen, visit } = visitor();
  deframer.push(chunk, (bytes, start, end) => {
    assert.equal(bytes.buffer, chunk.buffer);
    visit(bytes, start, end);
  });
  chunk.fill(0);
  deframer.push(two.subarray(60), visit);
  assert.deepEqual(seen, [one, two]);
});

test('every first byte but 60 to 6f ends it, wherever it stands, after what came before and nothing more', () => {
  const good = packet(noise(10, 9));
  for (let first = 0; first < 256; first += 1) {
    if (first >> 4 === 6) continue;
    const bad = packet(noise(10, 10));
    bad[0] = first;
    for (const before of [[], [good], [good, good]]) {
      const bytes = Buffer.concat([...before, bad, good, good]);
      for (const pieces of [[bytes], inPieces(bytes, [1]), inPieces(bytes, [50]), inPieces(bytes, [7])]) {
        const deframer = new Deframer();
        const { seen, visit } = visitor();
        gateError('peer-protocol', () => {
          for (const piece of pieces) deframer.push(piece, visit);
        });
        assert.deepEqual(seen, before);
        // There is no hunting: whoever goes on by mistake gets nothing, not even what looks good.
        assert.throws(() => deframer.push(good, visit));
        assert.deepEqual(seen, before);
      }
    }
  }
});

test('every first byte from 60 to 6f begins a packet', () => {
  for (let first = 0x60; first <= 0x6f; first += 1) {
    const bytes = packet(noise(10, 11));
    bytes[0] = first;
    assert.deepEqual(deframed([bytes]).packets, [bytes]);
  }
});

test('IPv4 is no packet here', () => {
  gateError('peer-protocol', () => deframed([Buffer.from([0x45, 0, 0, 20])]));
});

test('a length that lies: too short and what follows is no packet, too long and it waits for what it announced', () => {
  const short = packet(noise(20, 12).fill(0xee), { says: 10 });
  const { seen, visit } = visitor();
  const deframer = new Deframer();
  gateError('peer-protocol', () => deframer.push(short, visit));
  assert.deepEqual(
    seen.map(({ length }) => length),
    [50],
  );

  const long = packet(noise(20, 13), { says: 0xffff });
  assert.deepEqual(deframed([long]), { packets: [], pending: 60 });
  const after = packet(noise(5, 14));
  const { packets, pending } = deframed([Buffer.concat([long, after])]);
  assert.deepEqual([packets.length, pending], [0, 105]);
});

test('a jumbogram is what its header says: 40 bytes', () => {
  const jumbo = packet(Buffer.alloc(0), { next: 0 });
  assert.deepEqual(deframed([jumbo]).packets, [jumbo]);
});

test('pieces without bytes change nothing', () => {
  const whole = packet(noise(4, 15));
  const nothing = Buffer.alloc(0);
  assert.deepEqual(deframed([nothing, whole.subarray(0, 20), nothing, whole.subarray(20), nothing]), {
    packets: [whole],
    pending: 0,
  });
});

/** Frames in a flow: a length and that many bytes, in any pieces, up to the frame that ends the direction. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { END_FRAME, FrameReader, frameHeader, LONGEST_FRAME } from '../../../../src/wire/flow/frames.ts';
import { cuts, hex, inPieces, noise } from '../../kit/support.ts';

interface Read {
  readonly data: string;
  readonly ends: number;
  readonly ended: boolean;
}

/** What a reader passes on of these pieces; no empty piece may ever be passed on, and nothing behind the end. */
function read(pieces: readonly Buffer[]): Read {
  const reader = new FrameReader();
  const data: Buffer[] = [];
  let ends = 0;
  for (const piece of pieces) {
    reader.push(piece, {
      data: (bytes) => {
        assert.ok(bytes.length > 0);
        assert.equal(ends, 0);
        data.push(Buffer.from(bytes));
      },
      end: () => {
        ends += 1;
      },
    });
  }
  return { data: Buffer.concat(data).toString('hex'), ends, ended: reader.ended };
}

function frame(payload: Buffer): Buffer {
  return Buffer.concat([frameHeader(payload.length), payload]);
}

test('a header is two bytes, the high one first; the end is 00 00', () => {
  for (const [length, bytes] of [
    [1, '0001'],
    [255, '00ff'],
    [256, '0100'],
    [0x1234, '1234'],
    [0xffff, 'ffff'],
  ] as const) {
    assert.equal(frameHeader(length).toString('hex'), bytes);
  }
  assert.equal(END_FRAME.toString('hex'), '0000');
  assert.equal(LONGEST_FRAME, 0xffff);
});

test('a length that does not fit is refused rather than written as another, or as an end', () => {
  for (const length of [0x10000, 0x10001, 0x20000, -1]) assert.throws(() => frameHeader(length));
});

test('frames in any split give their payload, and the end comes once', () => {
  const payload = [hex('00'), hex('00 00'), hex('ff ff 00 01'), noise(30, 1)];
  const bytes = Buffer.concat([...payload.map(frame), END_FRAME]);
  for (const pieces of cuts(bytes)) {
    assert.deepEqual(read(pieces), { data: Buffer.concat(payload).toString('hex'), ends: 1, ended: true });
  }
});

test('until the end frame has come the direction is not over, wherever it is cut', () => {
  const payload = noise(20, 2);
  const bytes = Buffer.concat([frame(payload), END_FRAME]);
  for (let at = 0; at < bytes.length; at += 1) {
    const { ends, ended, data } = read([bytes.subarray(0, at)]);
    assert.deepEqual([ends, ended], [0, false]);
    assert.equal(data, payload.subarray(0, Math.max(0, at - 2)).toString('hex'), 'payload is passed on as it comes');
  }
});

test('what comes behind the end is ignored, whatever it is', () => {
  for (const behind of [END_FRAME, frame(noise(5, 3)), hex('ff'), hex('00 00 00 00 00')]) {
    const bytes = Buffer.concat([frame(hex('aa')), END_FRAME, behind]);
    for (const pieces of cuts(bytes)) assert.deepEqual(read(pieces), { data: 'aa', ends: 1, ended: true });
  }
});

test('the end alone is an end', () => {
  for (const pieces of cuts(END_FRAME)) assert.deepEqual(read(pieces), { data: '', ends: 1, ended: true });
});

test('the longest frames, in pieces of many sizes', () => {
  const payload = [noise(0xffff, 4), noise(1, 5), noise(0xffff, 6)];
  const bytes = Buffer.concat([...payload.map(frame), END_FRAME]);
  for (const sizes of [[1_000_000], [0xffff], [0x10001], [1448], [1, 2, 70_000]]) {
    assert.deepEqual(read(inPieces(bytes, sizes)), {
      data: Buffer.concat(payload).toString('hex'),
      ends: 1,
      ended: true,
    });
  }
});

test('payload is passed on in place', () => {
  const bytes = frame(noise(50, 7));
  new FrameReader().push(bytes, {
    data: (payload) => assert.equal(payload.buffer, bytes.buffer),
    end: () => assert.fail(),
  });
});

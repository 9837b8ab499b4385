/**
 * What comes out of a byte stream does not depend on the pieces in which it came: packets, frames, and the conversations
 * with a bridge, all with generated contents and generated splits.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { GateError } from '../../../src/kit/errors.ts';
import type { Machine } from '../../../src/kit/step.ts';
import { END_FRAME, FrameReader, frameHeader } from '../../../src/wire/flow/frames.ts';
import { flowAcceptMachine, flowRequestMachine } from '../../../src/wire/flow/preface.ts';
import { Deframer } from '../../../src/wire/packet/deframer.ts';
import {
  acceptedPeer,
  armAccept,
  connectStream,
  conversationMachine,
  createSession,
  generateKeys,
  hello,
  lookupName,
} from '../../../src/wire/sam/conversation.ts';
import { feed, inPieces, noise } from '../../unit/kit/support.ts';
import { packet } from '../../unit/wire/packet/packets.ts';
import { NODE, RECORDED } from '../../unit/wire/sam/replies.ts';

const FOR_A_WHILE = { numRuns: 100_000, interruptAfterTimeLimit: 1500 };

/** Mostly small, now and then of a size that makes a difference somewhere. */
const size = fc.oneof(
  { arbitrary: fc.integer({ min: 0, max: 60 }), weight: 8 },
  { arbitrary: fc.integer({ min: 0, max: 2000 }), weight: 3 },
  { arbitrary: fc.constantFrom(1240, 1280, 0x3fff, 0x4000, 0xfffe, 0xffff), weight: 1 },
);
const split = fc.array(
  fc.oneof(
    fc.integer({ min: 1, max: 50 }),
    fc.integer({ min: 1, max: 2000 }),
    fc.constantFrom(39, 40, 41, 16_384, 65_575, 200_000),
  ),
  { minLength: 1, maxLength: 20 },
);

/** What a deframer shows of these pieces, and whether it gave up. */
function deframed(pieces: readonly Buffer[]): { bytes: Buffer; lengths: number[]; lost: boolean; pending: number } {
  const deframer = new Deframer();
  const seen: Buffer[] = [];
  let lost = false;
  try {
    for (const piece of pieces) {
      // What was pushed is overwritten afterwards, as a socket may do.
      const borrowed = Buffer.from(piece);
      deframer.push(borrowed, (bytes, start, end) => seen.push(Buffer.from(bytes.subarray(start, end))));
      borrowed.fill(0xff);
    }
  } catch (error) {
    assert.ok(error instanceof GateError && error.kind === 'peer-protocol', String(error));
    lost = true;
  }
  return { bytes: Buffer.concat(seen), lengths: seen.map(({ length }) => length), lost, pending: deframer.pending };
}

test('packets come out as they went in, in any split', () => {
  fc.assert(
    fc.property(fc.array(size, { maxLength: 12 }), split, fc.nat(), (sizes, pieces, seed) => {
      const packets = sizes.map((length, index) => packet(noise(length, seed + index)));
      const stream = Buffer.concat(packets);
      const out = deframed(inPieces(stream, pieces));
      assert.deepEqual(
        out.lengths,
        packets.map(({ length }) => length),
      );
      assert.equal(Buffer.compare(out.bytes, stream), 0);
      assert.deepEqual([out.lost, out.pending], [false, 0]);
    }),
    FOR_A_WHILE,
  );
});

test('one bad byte where a packet begins: all before it, nothing behind it', () => {
  fc.assert(
    fc.property(
      fc.array(size, { maxLength: 6 }),
      fc.array(size, { maxLength: 3 }),
      fc.integer({ min: 0, max: 239 }),
      split,
      (before, after, byte, pieces) => {
        const bad = byte < 0x60 ? byte : byte + 0x10;
        const good = Buffer.concat(before.map((length, index) => packet(noise(length, index + 1))));
        const behind = after.map((length, index) => packet(noise(length, index + 100)));
        const out = deframed(inPieces(Buffer.concat([good, Buffer.from([bad]), ...behind]), pieces));
        assert.equal(Buffer.compare(out.bytes, good), 0);
        assert.deepEqual([out.lost, out.lengths.length], [true, before.length]);
      },
    ),
    FOR_A_WHILE,
  );
});

test('any bytes: what is shown is a beginning of them, the rest is held or refused, and never is more held than a packet', () => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 400 }),
    fc.array(fc.constantFrom(0x60, 0x6f, 0x00, 0x01, 0xff), { maxLength: 400 }).map((list) => Uint8Array.from(list)),
  );
  fc.assert(
    fc.property(bytes, split, (given, pieces) => {
      const stream = Buffer.from(given);
      const out = deframed(inPieces(stream, pieces));
      assert.equal(Buffer.compare(out.bytes, stream.subarray(0, out.bytes.length)), 0);
      if (!out.lost) assert.equal(out.bytes.length + out.pending, stream.length);
      else assert.notEqual((stream[out.bytes.length] ?? 0) >> 4, 6);
      assert.deepEqual(out, deframed([stream].filter(({ length }) => length > 0)));
    }),
    FOR_A_WHILE,
  );
});

test('frames give back their payload and their end, in any split', () => {
  fc.assert(
    fc.property(
      fc.array(size, { maxLength: 10 }),
      fc.boolean(),
      fc.uint8Array({ maxLength: 6 }),
      split,
      (sizes, ends, behind, pieces) => {
        const payload = sizes.filter((length) => length > 0).map((length, index) => noise(length, index + 7));
        const frames = payload.map((bytes) => Buffer.concat([frameHeader(bytes.length), bytes]));
        const stream = Buffer.concat([...frames, ...(ends ? [END_FRAME, behind] : [])]);
        const reader = new FrameReader();
        const seen: Buffer[] = [];
        let ended = 0;
        for (const piece of inPieces(stream, pieces)) {
          const borrowed = Buffer.from(piece);
          reader.push(borrowed, { data: (bytes) => seen.push(Buffer.from(bytes)), end: () => void ended++ });
          borrowed.fill(0);
        }
        assert.equal(Buffer.compare(Buffer.concat(seen), Buffer.concat(payload)), 0);
        assert.deepEqual([ended, reader.ended], ends ? [1, true] : [0, false]);
      },
    ),
    FOR_A_WHILE,
  );
});

const MACHINES: Readonly<Record<string, () => Machine<unknown>>> = {
  hello: () => conversationMachine(hello()),
  session: () =>
    conversationMachine(createSession({ id: 's', style: { kind: 'stream' }, keys: 'transient', options: {} })),
  connect: () => conversationMachine(connectStream({ id: 's', destination: 'd', port: 1 })),
  accept: () => conversationMachine(armAccept('s')),
  peer: () => conversationMachine(acceptedPeer()),
  lookup: () => conversationMachine(lookupName('x.i2p')),
  generate: () => conversationMachine(generateKeys()),
  'flow request': () => flowRequestMachine(80, 1),
  'flow accept': () => flowAcceptMachine(),
};

/** The whole course of a machine as text: outcome or error, what it sent, and what it left. */
function course(machine: Machine<unknown>, pieces: readonly Buffer[]): string {
  try {
    const { done, rest, sent } = feed(machine, pieces);
    const left = done === undefined ? 'wants more' : `${JSON.stringify(done)} ${rest.toString('hex')}`;
    return `${left} ${Buffer.concat(sent).toString('latin1')}`;
  } catch (error) {
    assert.ok(error instanceof GateError, `not a GateError: ${String(error)}`);
    return `${error.kind} ${error.code} ${error.message}`;
  }
}

const word = fc.oneof(
  fc.constantFrom(...RECORDED.map(({ line }) => `${line}\n`)),
  fc.constantFrom(
    '\n',
    '\r\n',
    ' ',
    '=',
    '"',
    'RESULT=OK ',
    'STREAM STATUS ',
    'HELLO REPLY RESULT=OK VERSION=3.1\n',
    `${NODE.base64}\n`,
    '\xf6\x01\0\0',
    '\xf6\x01\0\x50\0',
  ),
  fc.string({ unit: 'binary', maxLength: 8 }),
);

test('machines answer any bytes with an outcome or a GateError, the same in any split', () => {
  fc.assert(
    fc.property(fc.array(word, { maxLength: 6 }), split, (words, pieces) => {
      const bytes = Buffer.from(words.join(''), 'latin1');
      for (const make of Object.values(MACHINES)) {
        const whole = course(make(), [bytes]);
        assert.equal(course(make(), inPieces(bytes, pieces)), whole);
        assert.equal(
          course(
            make(),
            inPieces(
              bytes,
              pieces.map((each) => each % 7),
            ),
          ),
          whole,
        );
      }
    }),
    FOR_A_WHILE,
  );
});

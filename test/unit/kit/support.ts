/**
 * What the tests of kit/ and wire/ share: bytes from spaced hex, the kind of a thrown error, and a machine fed with pieces.
 * Knows no protocol.
 */
import assert from 'node:assert/strict';
import { type ErrorKind, GateError } from '../../../src/kit/errors.ts';
import { type Machine, NO_BYTES } from '../../../src/kit/step.ts';

/** Bytes from hex digits; blanks are for the reader. */
export function hex(text: string): Buffer {
  const digits = text.replaceAll(/\s/g, '');
  assert.match(digits, /^([0-9a-f]{2})*$/, 'the test has a typing error in its hex');
  return Buffer.from(digits, 'hex');
}

/** Runs `work`, which must throw a GateError of this kind, and returns it. */
export function gateError(kind: ErrorKind, work: () => unknown): GateError {
  try {
    work();
  } catch (error) {
    assert.ok(error instanceof GateError, `not a GateError: ${String(error)}`);
    assert.equal(error.kind, kind, error.message);
    return error;
  }
  return assert.fail(`nothing was thrown, ${kind} was expected`);
}

export async function gateRejection(kind: ErrorKind, work: Promise<unknown>): Promise<GateError> {
  const thrown: unknown = await work.then(
    () => undefined,
    (error: unknown) => error,
  );
  return gateError(kind, () => {
    if (thrown !== undefined) throw thrown;
  });
}

export interface Fed<Out> {
  /** Undefined while the machine wants more bytes than there were. */
  readonly done: { readonly out: Out } | undefined;
  /** Everything behind the end of the protocol, whether the machine saw it or not. */
  readonly rest: Buffer;
  readonly sent: Buffer[];
}

/** Runs a machine as a driver would, one piece for each time that it wants bytes. */
export function feed<Out>(machine: Machine<Out>, pieces: readonly Uint8Array[]): Fed<Out> {
  const left = pieces.filter((piece) => piece.length > 0);
  const sent: Buffer[] = [];
  let input: Uint8Array = NO_BYTES;
  for (;;) {
    const step = machine.step(input);
    input = NO_BYTES;
    if (step.kind === 'done') return { done: { out: step.out }, rest: Buffer.concat([step.rest, ...left]), sent };
    if (step.kind === 'send') {
      sent.push(Buffer.from(step.bytes));
      continue;
    }
    const piece = left.shift();
    if (piece === undefined) return { done: undefined, rest: Buffer.alloc(0), sent };
    input = piece;
  }
}

/** Every way to cut `bytes` in two, the whole at once, and byte by byte. */
export function* cuts(bytes: Buffer): Generator<Buffer[]> {
  for (let at = 0; at < bytes.length; at += 1) yield [bytes.subarray(0, at), bytes.subarray(at)];
  yield [...bytes].map((byte) => Buffer.from([byte]));
}

/** Cuts `bytes` into pieces of these sizes, in turn, until nothing is left. */
export function inPieces(bytes: Buffer, sizes: readonly number[]): Buffer[] {
  const pieces: Buffer[] = [];
  for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
    const size = Math.max(1, sizes[turn % Math.max(1, sizes.length)] ?? bytes.length);
    pieces.push(bytes.subarray(at, at + size));
    at += size;
  }
  return pieces;
}

/** Bytes that look random, other ones for each seed, and are the same in every run (xorshift32). */
export function noise(length: number, seed: number): Buffer {
  const bytes = Buffer.alloc(length);
  let state = 2 * seed + 1;
  for (let at = 0; at < length; at += 1) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[at] = state & 0xff;
  }
  return bytes;
}

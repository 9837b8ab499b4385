/**
 * Lets a binary protocol be written down in the order in which it is spoken, as a generator that asks for fields and
 * sends answers, and runs it as a machine that does not care how the bytes were split. Every field is bounded by the
 * one who asks for it, so no more than one field and one chunk of input is ever held.
 */
import { type Machine, NO_BYTES, RECEIVE, type Step } from '../../kit/step.ts';

type IoRequest =
  | { readonly kind: 'send'; readonly bytes: Uint8Array }
  | { readonly kind: 'exactly'; readonly length: number }
  | { readonly kind: 'up-to'; readonly last: number; readonly longest: number };

/** Ends with what was understood; never throws, since every input has a meaning to it. */
export type Exchange<Out> = Generator<IoRequest, Out, Buffer>;

export function* send(bytes: Uint8Array): Exchange<void> {
  yield { kind: 'send', bytes };
}

export function* exactly(length: number): Exchange<Buffer> {
  return yield { kind: 'exactly', length };
}

/**
 * A field that ends with a certain byte, without that byte.
 *
 * @param longest bytes before the last one
 * @returns `undefined` when the byte is not where it may stand
 */
export function* upTo(last: number, longest: number): Exchange<Buffer | undefined> {
  const field = yield { kind: 'up-to', last, longest };
  return field.at(-1) === last ? field.subarray(0, -1) : undefined;
}

export function exchangeMachine<Out>(exchange: Exchange<Out>): Machine<Out> {
  let held: Buffer = Buffer.alloc(0);
  let next = exchange.next(Buffer.alloc(0));
  return {
    step(input): Step<Out> {
      if (input.length > 0) held = held.length === 0 ? asBuffer(input) : Buffer.concat([held, input]);
      while (next.done !== true) {
        const request = next.value;
        if (request.kind === 'send') {
          next = exchange.next(Buffer.alloc(0));
          return request;
        }
        const length = request.kind === 'exactly' ? request.length : lengthUpTo(request.last, held, request.longest);
        if (length === undefined || held.length < length) return RECEIVE;
        // Copied, so that a field that is kept does not keep the whole chunk that it came in.
        const field = Buffer.from(held.subarray(0, length));
        held = held.subarray(length);
        next = exchange.next(field);
      }
      const rest = held.length === 0 ? NO_BYTES : held;
      held = Buffer.alloc(0);
      return { kind: 'done', out: next.value, rest };
    },
  };
}

function lengthUpTo(last: number, bytes: Buffer, longest: number): number | undefined {
  const at = bytes.subarray(0, longest + 1).indexOf(last);
  if (at !== -1) return at + 1;
  return bytes.length > longest ? longest + 1 : undefined;
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}

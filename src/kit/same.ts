/** Whether two plain values say the same, secrets included, which look alike from outside. */
import { isDeepStrictEqual } from 'node:util';
import { Sensitive } from './sensitive.ts';

/** Of numbers, texts, bytes, lists and objects of these; anything else is only the same as itself. */
export function isSame(one: unknown, other: unknown): boolean {
  return isDeepStrictEqual(opened(one), opened(other));
}

function opened(value: unknown): unknown {
  if (value instanceof Sensitive) return ['secret', opened(value.reveal())];
  if (Array.isArray(value)) return value.map(opened);
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, opened(member)]));
}

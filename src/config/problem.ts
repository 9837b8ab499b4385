/** What is wrong with a config file, in a form that tells a person where, what was found and what is wanted. */
import type { KeyPath } from './locate.ts';

export interface Problem {
  /** Counted from 1. */
  readonly line: number;
  /** As a person writes it: `vpn.mtu`, `peer[2].destination` with elements counted from 1; empty for the whole file. */
  readonly key: string;
  readonly found: string;
  readonly wanted: string;
}

/** A rule between settings that is broken, and at which of them. */
export interface BrokenRule {
  readonly path: KeyPath;
  readonly found: string;
  readonly wanted: string;
}

/** One line of text, without a closing newline. */
export function describeProblem(file: string, problem: Problem): string {
  const key = problem.key === '' ? '' : `${problem.key}: `;
  return `${file}:${problem.line}: ${key}found ${problem.found}, wanted ${problem.wanted}`;
}

/** `['peer', 1, 'name']` as `peer[2].name`. */
export function keyText(path: ReadonlyArray<PropertyKey>): string {
  let text = '';
  for (const part of path) {
    if (typeof part === 'number') text += `[${part + 1}]`;
    else text += (text === '' ? '' : '.') + keyName(String(part));
  }
  return text;
}

/** A value as it was found, cut short: it may be long, or a secret put in the wrong place. */
export function foundText(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (Array.isArray(value)) return value.length === 0 ? '[]' : 'a list';
  if (value instanceof Date) return 'a date';
  if (typeof value === 'object') return 'a table';
  const text = typeof value === 'number' ? String(value) : JSON.stringify(value);
  return text.length <= LONGEST_QUOTE ? text : `a text of ${String(value).length} characters`;
}

/** A b32 name with its quotes fits; a private key never does. */
const LONGEST_QUOTE = 80;

function keyName(name: string): string {
  return /^[A-Za-z0-9_-]{1,64}$/.test(name) ? name : JSON.stringify(name.slice(0, 64));
}

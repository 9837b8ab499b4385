/** A closed set of named counters: what a part of the program counts is fixed by its type and shown whole by status. */
import { GateError } from './errors.ts';

export interface Tally<Name extends string> {
  add(name: Name, count?: number): void;
  snapshot(): Readonly<Record<Name, number>>;
}

export function createTally<const Name extends string>(names: readonly Name[]): Tally<Name> {
  const counts: Partial<Record<Name, number>> = {};
  for (const name of names) counts[name] = 0;
  // The compiler does not see that the loop leaves none out, and takes nobody's word for it.
  if (!areAllThere(counts, names)) throw new GateError('bug', 'bug', 'a counter is missing');
  return {
    add: (name, count = 1) => {
      counts[name] += count;
    },
    snapshot: () => ({ ...counts }),
  };
}

function areAllThere<Name extends string>(
  counts: Partial<Record<Name, number>>,
  names: readonly Name[],
): counts is Record<Name, number> {
  return names.every((name) => counts[name] !== undefined);
}

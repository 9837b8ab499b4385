/** A closed set of named counters: what a part of the program counts is fixed by its type and shown whole by status. */

export interface Tally<Name extends string> {
  add(name: Name, count?: number): void;
  snapshot(): Readonly<Record<Name, number>>;
}

export function createTally<const Name extends string>(names: readonly Name[]): Tally<Name> {
  const counts = new Map<Name, number>(names.map((name) => [name, 0]));
  return {
    add: (name, count = 1) => {
      counts.set(name, (counts.get(name) ?? 0) + count);
    },
    snapshot: () => Object.fromEntries(counts) as Record<Name, number>,
  };
}

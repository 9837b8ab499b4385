/** "Did you mean": the known word that a mistyped one is nearest to. */

/** Beyond this many edits two words have nothing to do with each other. */
const MOST_EDITS = 3;

/** The nearest of `known`, or undefined when none is near. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  // A long word would only cost time: no key of ours is near it.
  if (word.length > 64) return undefined;
  const wanted = plain(word);
  let best: string | undefined;
  let fewest = Math.min(MOST_EDITS, Math.ceil(wanted.length / 3)) + 1;
  for (const candidate of known) {
    const edits = editDistance(wanted, plain(candidate));
    if (edits < fewest) {
      best = candidate;
      fewest = edits;
    }
  }
  return best;
}

/** `keyFile`, `key-file` and `key_file` are the same mistake: none. */
function plain(word: string): string {
  return word.toLowerCase().replaceAll(/[_-]/g, '');
}

/** Insertions, deletions, replacements, and two neighbours swapped (the "optimal string alignment" distance). */
export function editDistance(from: string, to: string): number {
  let before: readonly number[] = [];
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let at = 0; at < from.length; at += 1) {
    const next = [at + 1];
    for (let column = 0; column < to.length; column += 1) {
      const replaced = (row[column] ?? 0) + (from[at] === to[column] ? 0 : 1);
      const swapped =
        at > 0 && column > 0 && from[at] === to[column - 1] && from[at - 1] === to[column]
          ? (before[column - 1] ?? 0) + 1
          : Number.POSITIVE_INFINITY;
      next.push(Math.min(replaced, swapped, (row[column + 1] ?? 0) + 1, (next[column] ?? 0) + 1));
    }
    before = row;
    row = next;
  }
  return row[to.length] ?? 0;
}

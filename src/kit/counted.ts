/** Numbers of things, for people. */

/** @param many for other numbers than 1, where an s behind the word is not enough */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}

/** One line of a client, taken apart as a router does it. */
import type { Temperament } from './temperament.ts';

export interface Command {
  readonly verb: string;
  /** The second word, where there is one. */
  readonly action: string | undefined;
  /** Everything behind the verb, as it stood. */
  readonly text: string;
  readonly values: ReadonlyMap<string, string>;
}

export function parseCommand(line: string, temperament: Temperament): Command {
  const text = temperament.ignoresCarriageReturn ? line.replace(/\r$/, '') : line;
  const [verb = '', action] = text.split(' ', 2);
  const values = new Map<string, string>();
  const pattern = temperament.quotedValues ? /([^\s="]+)=(?:"((?:[^"\\]|\\.)*)"|(\S*))/g : /([^ =]+)=()([^ ]*)/g;
  for (const [, name = '', quoted, bare = ''] of text.matchAll(pattern)) {
    const value = quoted === undefined || quoted === '' ? bare : quoted.replaceAll(/\\(.)/g, '$1');
    values.set(name, value === '' && temperament.emptyIsTrue ? 'true' : value);
  }
  const inCase = (word: string) => (temperament.anyCase ? word.toUpperCase() : word);
  return {
    verb: inCase(verb),
    action: action === undefined ? undefined : inCase(action),
    text: text.slice(verb.length + 1),
    values,
  };
}

/** The line as it may be kept and printed: without private keys and passwords. */
export function masked(line: string): string {
  return line
    .replaceAll(/(DESTINATION=)[A-Za-z0-9~=-]{800,}/g, '$1[private]')
    .replaceAll(/(PASSWORD=)("(?:[^"\\]|\\.)*"|\S+)/g, '$1[private]');
}

/**
 * On which line of a TOML text a key stands. The parser tells lines only for syntax errors, so this walks the text a
 * second time, looking at nothing but structure. It expects TOML that the parser accepted; with anything else it finds
 * fewer keys and still ends.
 */

export type KeyPath = ReadonlyArray<string | number>;

/** @returns the line, counted from 1, of the key or of the nearest thing around it that has one */
export type Locate = (path: KeyPath) => number;

export function locateKeys(toml: string): Locate {
  const lines = new TomlWalker(toml).lines();
  return (path) => {
    for (let length = path.length; length > 0; length -= 1) {
      const line = lines.get(keyOf(path.slice(0, length)));
      if (line !== undefined) return line;
    }
    return 1;
  };
}

function keyOf(path: KeyPath): string {
  return JSON.stringify(path);
}

const BLANK = /[ \t]*/y;
const SPACE = /(?:[ \t\r\n]|#[^\n]*)*/y;
const BARE_KEY = /[A-Za-z0-9_-]+/y;
const STRING = /"""(?:[^\\]|\\[\s\S])*?"{3,5}|'''[\s\S]*?'{3,5}|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'/y;
const SCALAR = /[^,\]}#\n]*/y;

class TomlWalker {
  readonly #text: string;
  readonly #lines = new Map<string, number>();
  /** Index of the newest element of each array of tables. */
  readonly #newest = new Map<string, number>();
  #at = 0;
  #line = 1;

  constructor(text: string) {
    this.#text = text;
  }

  lines(): ReadonlyMap<string, number> {
    let table: KeyPath = [];
    for (;;) {
      this.#take(SPACE);
      const start = this.#at;
      if (start >= this.#text.length) return this.#lines;
      if (this.#skip('[')) {
        const isArray = this.#skip('[');
        table = this.#header(isArray);
        this.#skip(']');
        if (isArray) this.#skip(']');
      } else {
        this.#pair(table);
      }
      if (this.#at === start) return this.#lines;
    }
  }

  /** `[a.b]` or `[[a.b]]`: names inside an array of tables mean its newest element. */
  #header(isArray: boolean): KeyPath {
    let path: KeyPath = [];
    const names = this.#dottedKey();
    for (const [index, name] of names.entries()) {
      path = [...path, name];
      const newest = this.#newest.get(keyOf(path));
      if (isArray && index === names.length - 1) {
        this.#newest.set(keyOf(path), (newest ?? -1) + 1);
        this.#note(path);
        path = [...path, (newest ?? -1) + 1];
      } else if (newest !== undefined) {
        this.#note(path);
        path = [...path, newest];
      }
      this.#note(path);
    }
    return path;
  }

  #pair(table: KeyPath): void {
    let path = table;
    for (const name of this.#dottedKey()) {
      path = [...path, name];
      this.#note(path);
    }
    this.#take(BLANK);
    if (!this.#skip('=')) return;
    this.#take(BLANK);
    this.#value(path);
  }

  #value(path: KeyPath): void {
    if (this.#skip('{')) this.#list('}', () => this.#pair(path));
    else if (this.#skip('[')) {
      this.#list(']', (index) => {
        this.#note([...path, index]);
        this.#value([...path, index]);
      });
    } else if (this.#take(STRING) === undefined) this.#take(SCALAR);
  }

  #list(close: string, element: (index: number) => void): void {
    for (let index = 0; ; index += 1) {
      this.#take(SPACE);
      if (this.#skip(close)) return;
      const start = this.#at;
      element(index);
      this.#take(SPACE);
      this.#skip(',');
      if (this.#at === start) return;
    }
  }

  #dottedKey(): readonly string[] {
    const names: string[] = [];
    do {
      this.#take(BLANK);
      const quoted = this.#take(STRING);
      const name = quoted === undefined ? this.#take(BARE_KEY) : unquote(quoted);
      if (name === undefined) return names;
      names.push(name);
      this.#take(BLANK);
    } while (this.#skip('.'));
    return names;
  }

  #note(path: KeyPath): void {
    const key = keyOf(path);
    if (!this.#lines.has(key)) this.#lines.set(key, this.#line);
  }

  #skip(literal: string): boolean {
    if (!this.#text.startsWith(literal, this.#at)) return false;
    this.#at += literal.length;
    return true;
  }

  #take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    if (found === undefined) return undefined;
    this.#at += found.length;
    this.#line += found.split('\n').length - 1;
    return found;
  }
}

function unquote(quoted: string): string {
  const inner = quoted.slice(1, -1);
  if (quoted.startsWith("'")) return inner;
  try {
    return String(JSON.parse(`"${inner}"`));
  } catch {
    // An escape that only TOML knows: the key is then found by the line of its table.
    return inner;
  }
}

/**
 * A value that can be used but not printed: keys and passwords. Every way in which a value usually ends up in text
 * (template, JSON, console, inspect) yields a placeholder instead.
 */
import { inspect } from 'node:util';

export class Sensitive<T> {
  readonly #value: T;

  constructor(value: T) {
    this.#value = value;
  }

  /** The value itself. Call it only where the secret leaves the process on purpose. */
  reveal(): T {
    return this.#value;
  }

  toString(): string {
    return '[sensitive]';
  }

  toJSON(): string {
    return '[sensitive]';
  }

  [inspect.custom](): string {
    return '[sensitive]';
  }
}

/** Abort signals of which there are very many, or to which very many listen, need more care than the platform takes. */
import { setMaxListeners } from 'node:events';

/** A controller whose signal many may listen to at a time. Node 20 warns of a leak from the eleventh on. */
export function sharedController(): AbortController {
  const controller = new AbortController();
  setMaxListeners(0, controller.signal);
  return controller;
}

type Listener = Parameters<AbortSignal['addEventListener']>[1];

/** One for all to which nobody listens. */
const NOBODY: readonly Listener[] = [];

/**
 * An AbortController that is its own signal, for what every client has one of. The platform's takes more than a kilobyte on
 * Node 20, where each signal has two maps and a hidden class to itself, and some microseconds.
 */
export class Cancellation implements AbortSignal {
  onabort: AbortSignal['onabort'] = null;
  #aborted = false;
  #reason: unknown;
  #listeners: readonly Listener[] = NOBODY;

  get aborted(): boolean {
    return this.#aborted;
  }

  get reason(): unknown {
    return this.#reason;
  }

  /** Tells everybody who listens. Only the first time counts. */
  abort(reason: unknown): void {
    if (this.#aborted) return;
    this.#aborted = true;
    this.#reason = reason;
    this.dispatchEvent(new Event('abort'));
    this.#listeners = NOBODY;
  }

  throwIfAborted(): void {
    if (this.#aborted) throw this.#reason;
  }

  addEventListener(type: string, listener: Listener): void {
    if (type !== 'abort' || this.#aborted || this.#listeners.includes(listener)) return;
    this.#listeners = [...this.#listeners, listener];
  }

  removeEventListener(_type: string, listener: Listener): void {
    const left = this.#listeners.filter((one) => one !== listener);
    this.#listeners = left.length === 0 ? NOBODY : left;
  }

  dispatchEvent(event: Event): boolean {
    this.onabort?.call(this, event);
    for (const listener of this.#listeners) {
      // Whoever was told before may have taken somebody away.
      if (!this.#listeners.includes(listener)) continue;
      if (typeof listener === 'function') listener.call(this, event);
      else listener.handleEvent(event);
    }
    return true;
  }
}

/** Abort signals of which there are very many, or to which very many listen, need more care than the platform takes. */
import { setMaxListeners } from 'node:events';
import { abortError } from './errors.ts';

/** A controller whose signal many may listen to at a time. Node 20 warns of a leak from the eleventh on. */
export function createSharedController(): AbortController {
  const controller = new AbortController();
  setMaxListeners(0, controller.signal);
  return controller;
}

/** A signal made of others. */
export interface JoinedSignal {
  readonly signal: AbortSignal;
  /** Must be called when the work that it was made for is over: lets go of the others, and cancels what still goes on. */
  end(): void;
}

/**
 * Aborts with the first of `signals`, for its reason. Unlike AbortSignal.any, which on Node 20 leaves a piece of itself at
 * every signal that lives longer, it lets go of them.
 */
export function firstOf(...signals: readonly AbortSignal[]): JoinedSignal {
  const controller = createSharedController();
  const end = () => {
    for (const signal of signals) signal.removeEventListener('abort', end);
    controller.abort(signals.find(({ aborted }) => aborted)?.reason);
  };
  for (const signal of signals) signal.addEventListener('abort', end);
  if (signals.some(({ aborted }) => aborted)) end();
  return { signal: controller.signal, end };
}

/**
 * What `promise` becomes, for work that heeds no signal itself.
 *
 * @throws the signal's reason when that aborts first
 */
export function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal, doing: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(abortError(signal, doing));
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}

type AbortListener = Parameters<AbortSignal['addEventListener']>[1];

/** One for all to which nobody listens. */
const NOBODY: readonly AbortListener[] = [];

/**
 * An AbortController that is its own signal, for what every client has one of. The platform's takes more than a kilobyte on
 * Node 20, where each signal has two maps and a hidden class to itself, and some microseconds.
 */
export class Cancellation implements AbortSignal {
  onabort: AbortSignal['onabort'] = null;
  #aborted = false;
  #reason: unknown;
  #listeners: readonly AbortListener[] = NOBODY;

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

  addEventListener(type: string, listener: AbortListener): void {
    if (type !== 'abort' || this.#aborted || this.#listeners.includes(listener)) return;
    this.#listeners = [...this.#listeners, listener];
  }

  removeEventListener(_type: string, listener: AbortListener): void {
    const left = this.#listeners.filter((one) => one !== listener);
    this.#listeners = left.length === 0 ? NOBODY : left;
  }

  dispatchEvent(event: Event): boolean {
    if (this.onabort !== null) this.#tell(this.onabort, event);
    // Whoever was told before may have taken somebody away.
    for (const listener of this.#listeners) if (this.#listeners.includes(listener)) this.#tell(listener, event);
    return true;
  }

  #tell(listener: AbortListener, event: Event): void {
    try {
      if (typeof listener === 'function') listener.call(this, event);
      else listener.handleEvent(event);
    } catch (error) {
      // As the platform has it: everybody else is told all the same, and the process learns of the defect.
      queueMicrotask(() => {
        throw error;
      });
    }
  }
}

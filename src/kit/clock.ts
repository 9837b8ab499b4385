/**
 * Time as the program sees it: monotonic, and replaceable in tests. Nothing outside io/ reads the system clock or sets a
 * timer by itself.
 */
import { abortError, type GateError } from './errors.ts';

export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Monotonic milliseconds since an arbitrary start. */
  now(): number;
  /** Runs `run` once after `ms` milliseconds. */
  after(ms: number, run: () => void): Timer;
}

/** Resolves after `ms`; rejects with the signal's reason when it aborts first. */
export function sleep(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(abortError(signal, 'waiting'));
    const onAbort = () => {
      timer.cancel();
      reject(abortError(signal, 'waiting'));
    };
    const timer = clock.after(ms, () => {
      signal.removeEventListener('abort', onAbort);
      resolve();
    });
    signal.addEventListener('abort', onAbort, { once: true });
  });
}

/** A signal that aborts with `error` after `ms`, or with the parent's reason when the parent aborts. */
export interface Deadline {
  readonly signal: AbortSignal;
  /** Must be called when the guarded work is over: it frees the timer and the hold on the parent. */
  clear(): void;
}

/** An error, or how to make it: one costs a stack trace, and most deadlines never pass. */
export type Lateness = GateError | (() => GateError);

/** How long something may take, for those who set their own timer: it costs less than a signal of its own. */
export interface TimeLimit {
  readonly clock: Clock;
  readonly ms: number;
  readonly late: Lateness;
}

/** Runs `fail` with the error when the time is up. */
export function startTimeLimit({ clock, ms, late }: TimeLimit, fail: (error: GateError) => void): Timer {
  return clock.after(ms, () => fail(typeof late === 'function' ? late() : late));
}

export function deadline(clock: Clock, ms: number, error: Lateness, parent?: AbortSignal): Deadline {
  const controller = new AbortController();
  const timer = startTimeLimit({ clock, ms, late: error }, (late) => controller.abort(late));
  const onParent = () => {
    timer.cancel();
    controller.abort(parent?.reason);
  };
  if (parent?.aborted) onParent();
  else parent?.addEventListener('abort', onParent, { once: true });
  return {
    signal: controller.signal,
    clear: () => {
      timer.cancel();
      parent?.removeEventListener('abort', onParent);
    },
  };
}

/** Runs `work` under a deadline and always frees it. */
export async function within<T>(
  clock: Clock,
  ms: number,
  error: Lateness,
  parent: AbortSignal | undefined,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const limit = deadline(clock, ms, error, parent);
  try {
    return await work(limit.signal);
  } finally {
    limit.clear();
  }
}

/**
 * For work that heeds no signal.
 *
 * @returns whether it has come to its end within `ms`; what it does afterwards is nobody's business
 * @throws what the work throws within that time
 */
export function isOverWithin(clock: Clock, ms: number, work: Promise<unknown>): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const timer = clock.after(ms, () => resolve(false));
    work.then(() => resolve(true), reject).finally(() => timer.cancel());
  });
}

/** How long to wait before trying again: doubling, bounded, and spread so that many waiters do not return together. */

export interface BackoffRange {
  readonly firstMs: number;
  readonly longestMs: number;
}

/**
 * @param attempt failures so far, 1 for the first
 * @param random uniform in [0, 1)
 * @returns milliseconds between half and the whole of the doubled delay
 */
export function backoffDelay(range: BackoffRange, attempt: number, random: number): number {
  const doubled = range.firstMs * 2 ** Math.min(attempt - 1, 30);
  const whole = Math.min(doubled, range.longestMs);
  return Math.round(whole * (0.5 + random / 2));
}

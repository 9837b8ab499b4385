/** Medians and their spread. A single number hides how noisy the machine was; a pair of them does not. */

/** @throws Error for no values */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const [low, high] = [sorted[sorted.length % 2 === 0 ? middle - 1 : middle], sorted[middle]];
  if (low === undefined || high === undefined) throw new Error('no values to take the median of');
  return (low + high) / 2;
}

/** How far the values lie apart, as a share of their median: 0.2 means that they differ by a fifth. */
export function spread(values: readonly number[]): number {
  const middle = median(values);
  return middle === 0 ? 0 : (Math.max(...values) - Math.min(...values)) / middle;
}

/** The median of the ratios of each round: both sides of one round met the same machine. */
export function ratio(values: readonly number[], others: readonly number[]): number {
  return median(values.map((value, round) => value / (others[round] ?? Number.NaN)));
}

/** @param share of the values that are not larger, in percent. @throws Error for no values */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const found = sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * share) / 100))];
  if (found === undefined) throw new Error('no values to take a percentile of');
  return found;
}

/** The median and what one of a hundred exceeds, as text. */
export function percentiles(values: readonly number[], digits: number): string {
  return `${percentile(values, 50).toFixed(digits)} / ${percentile(values, 99).toFixed(digits)}`;
}

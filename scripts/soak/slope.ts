/** Whether a series of figures grows: the straight line through it, and how far that can be trusted. Pure. */

export interface Sample {
  /** Since the beginning. */
  readonly seconds: number;
  readonly value: number;
}

export interface Slope {
  /** Of the value, in an hour. */
  readonly perHour: number;
  /** Standard error of that. */
  readonly error: number;
}

const HOUR_S = 3_600;

/**
 * Least squares. What is left over at one moment resembles what was left over at the one before, where memory is concerned:
 * of n figures with a correlation r between neighbours only n (1 - r) / (1 + r) count for the error, as for a series
 * whose dependence fades like r, r², r³, ... (Wilks, Statistical Methods in the Atmospheric Sciences, on effective
 * sample size).
 *
 * @param samples at even intervals
 * @throws RangeError for fewer than three samples, through which every line fits
 */
export function slopeOf(samples: readonly Sample[]): Slope {
  const count = samples.length;
  if (count < 3) throw new RangeError(`${count} figures are too few for a slope`);
  const mean = (pick: (sample: Sample) => number) => samples.reduce((sum, one) => sum + pick(one), 0) / count;
  const [middle, level] = [mean(({ seconds }) => seconds), mean(({ value }) => value)];
  const sum = (term: (sample: Sample) => number) => samples.reduce((total, one) => total + term(one), 0);
  const spread = sum(({ seconds }) => (seconds - middle) ** 2);
  const perSecond = sum(({ seconds, value }) => (seconds - middle) * (value - level)) / spread;
  const rest = samples.map(({ seconds, value }) => value - level - perSecond * (seconds - middle));
  const scatter = rest.reduce((total, one) => total + one ** 2, 0);
  const error = Math.sqrt(scatter / (count - 2) / spread) * widening(rest, scatter);
  return { perHour: perSecond * HOUR_S, error: error * HOUR_S };
}

/** By how much an error grows because neighbours resemble each other. @param scatter sum of the squares of `rest` */
function widening(rest: readonly number[], scatter: number): number {
  if (scatter === 0) return 1;
  const together = rest.slice(1).reduce((total, one, before) => total + one * (rest[before] ?? 0), 0);
  // Neighbours that differ more than by chance would make the error smaller: that is not believed.
  const alike = Math.max(0, together / scatter);
  return Math.sqrt((1 + alike) / (1 - alike));
}

/** Does it grow by more than chance? Two standard errors. */
export function grows({ perHour, error }: Slope): boolean {
  return perHour > 2 * error;
}

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
 * The least of each minute: what a collector of garbage has left over, without its teeth. Figures of neighbouring moments
 * depend on each other, those of minutes much less, so that the error means something.
 */
export function minima(samples: readonly Sample[], minuteSeconds = 60): readonly Sample[] {
  const least = new Map<number, Sample>();
  for (const sample of samples) {
    const minute = Math.floor(sample.seconds / minuteSeconds);
    const known = least.get(minute);
    if (known === undefined || sample.value < known.value) least.set(minute, sample);
  }
  return [...least.values()];
}

/** Least squares. @throws RangeError for fewer than three samples, through which every line fits */
export function slopeOf(samples: readonly Sample[]): Slope {
  const count = samples.length;
  if (count < 3) throw new RangeError(`${count} figures are too few for a slope`);
  const mean = (pick: (sample: Sample) => number) => samples.reduce((sum, one) => sum + pick(one), 0) / count;
  const [middle, level] = [mean(({ seconds }) => seconds), mean(({ value }) => value)];
  const sum = (term: (sample: Sample) => number) => samples.reduce((total, one) => total + term(one), 0);
  const spread = sum(({ seconds }) => (seconds - middle) ** 2);
  const perSecond = sum(({ seconds, value }) => (seconds - middle) * (value - level)) / spread;
  const rest = sum(({ seconds, value }) => (value - level - perSecond * (seconds - middle)) ** 2);
  return { perHour: perSecond * HOUR_S, error: Math.sqrt(rest / (count - 2) / spread) * HOUR_S };
}

/** Does it grow by more than chance? Two standard errors. */
export function grows({ perHour, error }: Slope): boolean {
  return perHour > 2 * error;
}

/**
 * How long a round trip takes by the way itself, without what of ours waits on it. Ways through other people's routers are
 * uneven, and to keep one busy as much has to be under way as it carries in a mean round trip, not in the shortest that was
 * ever seen (Little 1961). The mean says that only while no queue of ours stands, so now and then less is sent, to see it.
 * Pure: knows no stream and no timer.
 */

/** As many samples make a measurement. */
const SAMPLES = 32;
/** A slow way is not kept half empty for longer. Round trips. */
const MOST_ROUND_TRIPS = 1.5;
/** At the beginning fewer count, since what is sent soon waits for its turn. */
const FIRST_SAMPLES = 4;
/** A way is even as long as its mean round trip is below so many of its shortest. */
const EVEN = 1.25;
/**
 * On one that is not, what the mean is above the shortest counts twice: what stays in order waits for whatever is late before
 * it, and the more so the more is under way than while that was measured.
 */
const UNEVEN = 2;
/** One that old may be of another tunnel. */
const KEPT_MS = 30_000;
const KEPT_ROUND_TRIPS = 20;
/** Of the mean of all, as RFC 6298 has it. */
const SMOOTHING = 8;

interface OngoingMeasurement {
  /** Of what the way holds: no more may be under way meanwhile. */
  readonly share: number;
  /** When no more than that was under way; undefined before. */
  since: number | undefined;
  readonly samples: number[];
}

export class BaseRoundTrip {
  #known: { readonly ms: number; readonly at: number } | undefined;
  #smoothed: number | undefined;
  #measurement: OngoingMeasurement | undefined;
  readonly #first: number[] = [];

  /** Undefined before the first answer. Milliseconds. */
  get ms(): number | undefined {
    return this.#known?.ms;
  }

  /** With whatever waits on the way, smoothed (RFC 6298); undefined before the first answer. Milliseconds. */
  get smoothedMs(): number | undefined {
    return this.#smoothed;
  }

  /** While it is measured: the share of what the way holds that may be under way. */
  get share(): number | undefined {
    return this.#measurement?.share;
  }

  /** May be of a way that is not there any more. */
  isOld(now: number): boolean {
    const { ms, at } = this.#known ?? { ms: 0, at: now };
    return now - at > Math.max(KEPT_MS, KEPT_ROUND_TRIPS * (this.#smoothed ?? ms));
  }

  /** @param share as `share` is from now on, until it has been measured; nothing when that is under way already */
  measure(share: number): void {
    this.#measurement ??= { share, since: undefined, samples: [] };
  }

  /** No more than its share is under way, which counts while it is measured. */
  noteDrained(now: number): void {
    if (this.#measurement !== undefined) this.#measurement.since ??= now;
  }

  /**
   * An answer came.
   *
   * @param pieceMs what the way takes for as much as is sent between two questions: so long our own bytes wait for each other
   * @returns whether that completed a measurement
   */
  answered(sampleMs: number, askedAt: number, now: number, pieceMs: number): boolean {
    const smoothed = this.#smoothed ?? sampleMs;
    this.#smoothed = smoothed + (sampleMs - smoothed) / SMOOTHING;
    const measurement = this.#measurement;
    if (measurement?.since === undefined || askedAt < measurement.since) return false;
    const { samples, since } = measurement;
    samples.push(sampleMs);
    if (samples.length < SAMPLES && now - since < MOST_ROUND_TRIPS * this.#smoothed) return false;
    const measured = (shortest: number, usual: number) => shortest + UNEVEN * Math.max(0, usual - shortest - pieceMs);
    this.#known = { ms: unlessEven(samples, measured), at: now };
    this.#measurement = undefined;
    return true;
  }

  /** An answer came at the beginning, when hardly anything of ours waits yet. */
  noteEarly(sampleMs: number, now: number): void {
    if (this.#first.length >= FIRST_SAMPLES) return;
    this.#first.push(sampleMs);
    this.#known = { ms: unlessEven(this.#first, (_shortest, usual) => usual), at: now };
  }

  /** Nothing of ours has waited for some time, so the smoothed round trip is that of the way itself. */
  adoptSmoothed(now: number): void {
    if (this.#smoothed !== undefined) this.#known = { ms: this.#smoothed, at: now };
  }
}

/** @param otherwise what counts on a way that is not even */
function unlessEven(samples: readonly number[], otherwise: (shortest: number, usual: number) => number): number {
  const [shortest, usual] = [Math.min(...samples), mean(samples)];
  return usual < EVEN * shortest ? shortest : otherwise(shortest, usual);
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, one) => sum + one, 0) / values.length;
}

/**
 * CoDel's control law (RFC 8289): when a queue stays longer than it should for a whole interval, the senders behind it
 * are told so, first rarely, then at shorter and shorter distances, until it is short again. Judges one item at a time as
 * it leaves the queue; what telling means (dropping it, or marking it) is the caller's.
 */

export interface CodelTimes {
  /** How long an item may stand in the queue for good. Milliseconds. */
  readonly targetMs: number;
  /** How long senders take to hear of it and to slow down: a long round trip. Milliseconds. */
  readonly intervalMs: number;
}

/** Within so many intervals the rate at which senders were told is remembered. */
const MEMORY_INTERVALS = 16;

export class Codel {
  /** When the queue will have been too long for a whole interval; undefined while it is short. */
  #firstAboveAt: number | undefined;
  #telling = false;
  #nextAt = 0;
  #count = 0;
  #lastCount = 0;

  /**
   * @param waitedMs how long the item at the head of the queue has waited
   * @param isLast nothing stands behind it: what is in the queue is no queue
   * @returns whether the sender of this item is to be told
   */
  judge(waitedMs: number, isLast: boolean, now: number, times: CodelTimes): boolean {
    const stands = this.#stands(waitedMs, isLast, now, times);
    if (!stands) {
      this.#telling = false;
      return false;
    }
    if (this.#telling) {
      if (now < this.#nextAt) return false;
      this.#count += 1;
      this.#nextAt += times.intervalMs / Math.sqrt(this.#count);
      return true;
    }
    this.#telling = true;
    const more = this.#count - this.#lastCount;
    const isRecent = now - this.#nextAt < MEMORY_INTERVALS * times.intervalMs;
    this.#count = more > 1 && isRecent ? more : 1;
    this.#lastCount = this.#count;
    this.#nextAt = now + times.intervalMs / Math.sqrt(this.#count);
    return true;
  }

  #stands(waitedMs: number, isLast: boolean, now: number, { targetMs, intervalMs }: CodelTimes): boolean {
    if (waitedMs < targetMs || isLast) {
      this.#firstAboveAt = undefined;
      return false;
    }
    this.#firstAboveAt ??= now + intervalMs;
    return now >= this.#firstAboveAt;
  }
}

/**
 * How much may be under way on one stream: what the way holds by itself, and little more, since a router takes tens of
 * megabytes from us and lets them wait (docs/adr/0013). Learns it as BBR does (draft-ietf-ccwg-bbr), from how long the
 * answers to our keepalives take and how many bytes they say have arrived between them: the highest delivery rate times
 * the round trip of the way itself (base-round-trip.ts). Pure: knows no stream and no timer.
 */
import { BaseRoundTrip } from './base-round-trip.ts';

/** In excess of what the way holds, so that it never runs empty and a faster one is noticed. */
const GAIN = 1.25;
/** While the rate is unknown it is doubled every round trip. */
const GROWTH = 2;
/** The rate is known when it has not grown by this in so many rounds. */
const GROWN = 1.25;
const ROUNDS_WITHOUT_GROWTH = 3;
/** The highest rate counts for this many rounds. */
const RATE_ROUNDS = 4;
/** Like TCP's first window (RFC 6928). Bytes. */
const FIRST_LIMIT = 16 * 1024;
/** Four packets: fewer would stop and go. Bytes. */
const LEAST_LIMIT = 6_000;
/** More is under way on no line that I2P has, and to no peer, whatever it says. Bytes. */
const HIGHEST_LIMIT = 16 * 1024 * 1024;
/**
 * A round trip that was measured while nothing moved says too little of a quick line: under load routers handle packets by
 * the batch, and acknowledge them so. Milliseconds.
 */
const SHORTEST_ROUND_TRIP_MS = 20;
/** No rate is measured over less. */
const SHORTEST_SAMPLE_MS = 0.1;
/** Of what the way holds, while its round trip is measured: as little less as leaves nothing waiting on it. */
const DRAINED = 0.92;
/**
 * The same where the limit has fallen: either the way carries less, and what was sent for the old rate waits on it, or its
 * round trips have become longer, and we keep it empty. Measured without a queue they tell which.
 */
const DRAINED_AFTER_FALL = 0.4;
/** Below this share of the highest limit since the last measurement it has fallen. */
const FALLEN = 0.6;
/** So short that nobody feels it: what may be out of our hands without having left. Milliseconds. */
const MOMENT_MS = 2;
/** Answers asked for within one limit. */
const ASKS_PER_LIMIT = 8;
/** A keepalive and its answer are 124 bytes each: no more than 4 % of what they measure. Bytes. */
const LEAST_BETWEEN_ASKS = 3_000;
/** Answers that may be outstanding; a peer that owes more is not asked. */
const MOST_ASKS = 64;

/** What was true when an answer was asked for. */
interface Ask {
  readonly stamp: number;
  readonly at: number;
  readonly sent: number;
  readonly arrived: number;
  readonly arrivedAt: number;
  /** When what had arrived by then was sent. */
  readonly arrivedSentAt: number;
  /** We had less to send than we were allowed to: the rate says nothing about the way. */
  readonly isIdle: boolean;
}

export class InFlight {
  readonly #asks: Ask[] = [];
  /** Highest rate of each of the last rounds, the current one last; bytes per millisecond. */
  readonly #rates = [0];
  #sent = 0;
  #arrived = 0;
  /** What stood before the last keepalive that was answered: so much has arrived, and a peer that lies cannot say more. */
  #proven = 0;
  #arrivedAt = 0;
  #arrivedSentAt = 0;
  #sentAtAsk = 0;
  #wasFull = false;
  /** The current round is over when an ask is answered that was sent after so much had arrived. */
  #roundEnd = 0;
  #roundWasBusy = false;
  #growing = true;
  #bestRate = 0;
  #roundsWithoutGrowth = 0;
  readonly #base = new BaseRoundTrip();
  #limit = FIRST_LIMIT;
  /** Since the round trip was last measured. */
  #highestLimit = FIRST_LIMIT;

  /** Round trip of an answer, smoothed (RFC 6298); undefined before the first. Milliseconds. */
  get roundTripMs(): number | undefined {
    return this.#base.smoothedMs;
  }

  /** Bytes that may be under way. */
  get limit(): number {
    return this.#limit;
  }

  /** Bytes sent of which the peer has not said that they arrived. */
  get underWay(): number {
    return this.#sent - this.#arrived;
  }

  /** What the way carries in a moment, as far as is known: 0 before anything was measured. Bytes. */
  get momentBytes(): number {
    return Math.max(...this.#rates) * MOMENT_MS;
  }

  /**
   * Asked by somebody who has bytes to send: how many may be sent now, none when it is not positive. That there was no room
   * for them is remembered, since it says that the way was full. Never beyond the next ask: answers that came for large pieces
   * would be followed by pieces as large, and the line would have to swallow them.
   */
  requestRoom(): number {
    const room = Math.min(this.#limit - this.underWay, HIGHEST_LIMIT - (this.#sent - this.#proven));
    if (room <= 0) {
      this.#wasFull = true;
      // The limit fell below what is under way and no answer is to come: one packet more, to ask behind.
      if (this.#asks.length === 0 && this.wantsAsk) return 1;
    }
    return Math.min(room, Math.max(this.#distance - (this.#sent - this.#sentAtAsk), 1));
  }

  sent(bytes: number, now: number): void {
    if (this.underWay <= 0) {
      // The way was empty: the time before counts for no rate.
      this.#arrivedAt = now;
      this.#arrivedSentAt = now;
    }
    this.#sent += bytes;
  }

  /** Is it time to ask how far it has got? */
  get wantsAsk(): boolean {
    return this.#sent - this.#sentAtAsk >= this.#distance && this.#asks.length < MOST_ASKS;
  }

  /** Bytes between two asks. */
  get #distance(): number {
    return Math.max(this.#limit / ASKS_PER_LIMIT, LEAST_BETWEEN_ASKS);
  }

  /**
   * A keepalive that asks has been sent, and counted.
   *
   * @param stamp that its answer will show: nobody can know it before the keepalive, and all that was sent before, has arrived
   */
  asked(stamp: number, now: number): void {
    if (this.#asks.length >= MOST_ASKS) this.#asks.shift();
    this.#asks.push({
      stamp,
      at: now,
      sent: this.#sent,
      arrived: this.#arrived,
      arrivedAt: this.#arrivedAt,
      arrivedSentAt: this.#arrivedSentAt,
      isIdle: !this.#wasFull,
    });
    this.#sentAtAsk = this.#sent;
    this.#wasFull = false;
  }

  /**
   * @param received bytes that the peer says have arrived; what was never sent is not believed
   * @returns when the answer was asked for; undefined where it was not
   */
  answered(stamp: number, received: number, now: number): number | undefined {
    const index = this.#asks.findIndex((one) => one.stamp === stamp);
    const ask = this.#asks[index];
    if (ask === undefined) return undefined;
    this.#asks.splice(0, index + 1);
    const before = this.#arrived;
    // What stood before the keepalive on the stream has arrived in any case.
    this.#proven = ask.sent;
    this.#arrived = Math.min(Math.max(received, ask.sent, this.#arrived), this.#sent);
    this.#arrivedAt = now;
    this.#arrivedSentAt = ask.at;
    this.#noteRoundTrip(Math.max(now - ask.at, 0), ask, now);
    const elapsed = Math.max(now - ask.arrivedAt, ask.at - ask.arrivedSentAt, SHORTEST_SAMPLE_MS);
    this.#noteRate((this.#arrived - ask.arrived) / elapsed, ask);
    this.#limit = this.#nextLimit(this.#arrived - before, now);
    return ask.at;
  }

  #noteRoundTrip(sample: number, ask: Ask, now: number): void {
    const isMeasured = this.#base.answered(sample, ask.at, now, this.#distance / Math.max(...this.#rates, 1));
    if (isMeasured) this.#highestLimit = this.#limit;
    else this.#highestLimit = Math.max(this.#highestLimit, this.#limit);
    if (this.#growing) this.#base.noteEarly(sample, now);
    else if (ask.isIdle) {
      if (this.#base.isOld(now)) this.#base.adoptSmoothed(now);
    } else if (this.#limit < FALLEN * this.#highestLimit) this.#base.measure(DRAINED_AFTER_FALL);
    else if (this.#base.isOld(now)) this.#base.measure(DRAINED);
  }

  #noteRate(rate: number, ask: Ask): void {
    const highest = Math.max(...this.#rates);
    const current = this.#rates.length - 1;
    if (!ask.isIdle || rate > highest) this.#rates[current] = Math.max(this.#rates[current] ?? 0, rate);
    this.#roundWasBusy ||= !ask.isIdle;
    if (ask.arrived < this.#roundEnd || this.#base.share !== undefined) return;
    this.#roundEnd = this.#arrived;
    if (!this.#roundWasBusy) return;
    this.#roundWasBusy = false;
    this.#lookForGrowth();
    this.#rates.push(0);
    if (this.#rates.length > RATE_ROUNDS) this.#rates.shift();
  }

  #lookForGrowth(): void {
    const highest = Math.max(...this.#rates);
    if (highest >= this.#bestRate * GROWN) {
      this.#bestRate = highest;
      this.#roundsWithoutGrowth = 0;
    } else {
      this.#roundsWithoutGrowth += 1;
      if (this.#roundsWithoutGrowth < ROUNDS_WITHOUT_GROWTH || !this.#growing) return;
      this.#growing = false;
      this.#base.measure(DRAINED);
    }
  }

  #nextLimit(arrived: number, now: number): number {
    const holds = Math.max(...this.#rates) * Math.max(this.#base.ms ?? 0, SHORTEST_ROUND_TRIP_MS);
    if (this.#growing) return clamp(Math.max(this.#limit, GROWTH * holds));
    const { share } = this.#base;
    if (share !== undefined) {
      const drained = clamp(share * holds);
      if (this.underWay <= drained) this.#base.noteDrained(now);
      return drained;
    }
    const wanted = clamp(Math.max(GAIN * holds, holds + 2 * LEAST_BETWEEN_ASKS));
    // Step by step: a limit that jumped up would be a burst.
    return Math.min(wanted, Math.round(this.#limit + arrived / 2));
  }
}

function clamp(bytes: number): number {
  return Math.min(Math.max(Math.round(bytes), LEAST_LIMIT), HIGHEST_LIMIT);
}

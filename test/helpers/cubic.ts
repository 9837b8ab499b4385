/**
 * A sender of bulk data as a host behind a gateway has it: a window that grows and shrinks as CUBIC's does (RFC 9438), with
 * selective acknowledgements (RFC 6675, simplified) and ECN. A model for simulations: what is sent is packets that are only
 * numbered.
 */
import type { Clock } from '../../src/kit/clock.ts';

export interface CubicOptions {
  readonly clock: Clock;
  /** Sends the packet with this number; called again for one that was lost. */
  readonly send: (number: number) => void;
  /** The receiver's window, in packets. */
  readonly receiveWindow: number;
}

const SHRINK = 0.7;
const GROWTH = 0.4;
/** A packet is lost when one so many later has been acknowledged. */
const REORDERING = 3;

export class CubicSender {
  readonly #options: CubicOptions;
  /** Packets sent and neither acknowledged nor lost, oldest first, with the time when they were sent. */
  readonly #underWay = new Map<number, number>();
  #next = 0;
  #window = 10;
  #threshold = Number.POSITIVE_INFINITY;
  #highestWindow = 0;
  #shrunkAt: number | undefined;
  /** The window shrinks once for all packets that were sent before. */
  #shrunkUpTo = -1;
  #roundTripMs = 1_000;
  #lastAckAt = 0;

  constructor(options: CubicOptions) {
    this.#options = options;
  }

  start(): void {
    this.#fill();
    const check = () => {
      const now = this.#options.clock.now();
      if (this.#underWay.size > 0 && now - this.#lastAckAt > Math.max(1_000, 3 * this.#roundTripMs)) this.#timeOut(now);
      this.#options.clock.after(500, check);
    };
    this.#options.clock.after(500, check);
  }

  /** @param marked the receiver saw the mark of congestion */
  acknowledged(number: number, marked: boolean): void {
    const now = this.#options.clock.now();
    const sentAt = this.#underWay.get(number);
    this.#lastAckAt = now;
    if (sentAt === undefined) return;
    this.#underWay.delete(number);
    this.#roundTripMs += (now - sentAt - this.#roundTripMs) / 8;
    if (marked) this.#shrink(number, now);
    const lost = [...this.#underWay]
      .filter(([one, at]) => one < number - REORDERING && at <= sentAt)
      .map(([one]) => one);
    for (const one of lost) {
      this.#underWay.delete(one);
      this.#shrink(one, now);
      this.#transmit(one);
    }
    if (lost.length === 0 && !marked) this.#grow(now);
    this.#fill();
  }

  #grow(now: number): void {
    if (this.#window < this.#threshold) {
      this.#window += 1;
      return;
    }
    const seconds = (now - (this.#shrunkAt ?? now)) / 1_000;
    const inflection = Math.cbrt((this.#highestWindow * (1 - SHRINK)) / GROWTH);
    const cubic = GROWTH * (seconds + this.#roundTripMs / 1_000 - inflection) ** 3 + this.#highestWindow;
    const likeReno =
      this.#highestWindow * SHRINK + ((3 * (1 - SHRINK)) / (1 + SHRINK)) * ((seconds * 1_000) / this.#roundTripMs);
    const target = Math.min(Math.max(cubic, likeReno), 1.5 * this.#window);
    if (target > this.#window) this.#window += (target - this.#window) / this.#window;
  }

  #shrink(number: number, now: number): void {
    if (number <= this.#shrunkUpTo) return;
    this.#shrunkUpTo = this.#next;
    this.#highestWindow = this.#window;
    this.#window = Math.max(this.#window * SHRINK, 2);
    this.#threshold = this.#window;
    this.#shrunkAt = now;
  }

  #timeOut(now: number): void {
    this.#shrink(this.#next, now);
    this.#window = 2;
    const all = [...this.#underWay.keys()];
    this.#underWay.clear();
    this.#next = all[0] ?? this.#next;
    this.#lastAckAt = now;
    this.#fill();
  }

  #fill(): void {
    const window = Math.min(this.#window, this.#options.receiveWindow);
    while (this.#underWay.size < window) {
      this.#transmit(this.#next);
      this.#next += 1;
    }
  }

  #transmit(number: number): void {
    this.#underWay.set(number, this.#options.clock.now());
    this.#options.send(number);
  }
}

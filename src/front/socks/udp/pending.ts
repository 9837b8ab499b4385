/**
 * Datagrams of one association that wait until it is known by which route they go, and that route stands. Each target has a
 * queue of its own, so that a name that takes long holds up nobody else.
 */
import type { Clock } from '../../../kit/clock.ts';
import { DropOldestQueue, type QueueLimits } from '../../../kit/queue.ts';

/** A route that stands, or why there is none. */
export type Found<Route, Why> =
  | { readonly kind: 'found'; readonly route: Route }
  | { readonly kind: 'none'; readonly why: Why };

export interface PendingDatagramsOptions<Route, Why> {
  readonly clock: Clock;
  /** Of each queue. */
  readonly queue: QueueLimits;
  /** Targets that may be waited for at one time. */
  readonly targets: number;
  readonly send: (route: Route, payload: Buffer) => void;
  /** So many were lost; `why` is undefined where there was no room, or they had waited for too long. */
  readonly lost: (count: number, why: Why | undefined) => void;
}

export class PendingDatagrams<Route, Why> {
  readonly #options: PendingDatagramsOptions<Route, Why>;
  readonly #queues = new Map<string, DropOldestQueue>();

  constructor(options: PendingDatagramsOptions<Route, Why>) {
    this.#options = options;
  }

  /**
   * @param target equal texts for equal targets
   * @param find asked only where nobody waits for the target yet; never rejects
   */
  push(target: string, payload: Buffer, find: () => Promise<Found<Route, Why>>): void {
    const { clock, lost, queue: limits, targets } = this.#options;
    const known = this.#queues.get(target);
    if (known !== undefined) {
      known.push(payload, clock.now());
      return;
    }
    if (this.#queues.size >= targets) {
      lost(1, undefined);
      return;
    }
    const queue = new DropOldestQueue(limits, () => lost(1, undefined));
    queue.push(payload, clock.now());
    this.#queues.set(target, queue);
    void find().then((found) => {
      this.#queues.delete(target);
      if (found.kind === 'none') {
        if (queue.length > 0) lost(queue.length, found.why);
        return;
      }
      for (;;) {
        const next = queue.shift(clock.now());
        if (next === undefined) return;
        this.#options.send(found.route, next);
      }
    });
  }
}

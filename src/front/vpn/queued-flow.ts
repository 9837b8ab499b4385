/** A flow as the queue of a peer holds it: its packets, what it may send, and its place in the order of turns. */
import type { Block } from '../../kit/blocks.ts';
import type { Codel } from '../../kit/codel.ts';

/** Packets of one flow, back to back from `start` on. */
export interface Run {
  readonly block: Block;
  start: number;
  readonly at: number;
  next: Run | undefined;
}

export interface Flow {
  readonly number: number;
  readonly codel: Codel;
  first: Run | undefined;
  last: Run | undefined;
  packets: number;
  bytes: number;
  /** What it may still send before others get their turn; bytes. */
  credit: number;
  turns: Turns;
  before: Flow | undefined;
  after: Flow | undefined;
}

/** Flows in the order in which it is their turn. */
export class Turns {
  first: Flow | undefined;
  #last: Flow | undefined;

  append(flow: Flow): void {
    flow.turns = this;
    flow.before = this.#last;
    flow.after = undefined;
    if (this.#last === undefined) this.first = flow;
    else this.#last.after = flow;
    this.#last = flow;
  }

  remove(flow: Flow): void {
    if (flow.before === undefined) this.first = flow.after;
    else flow.before.after = flow.after;
    if (flow.after === undefined) this.#last = flow.before;
    else flow.after.before = flow.before;
  }

  clear(): void {
    this.first = undefined;
    this.#last = undefined;
  }
}

/**
 * A flow as the queue of a peer holds it: its packets, what it may send, and its place in the order of turns, which is that
 * of RFC 8290. Knows nothing of what is sent.
 */
import type { Block } from '../../kit/blocks.ts';
import { Codel } from '../../kit/codel.ts';

/** Packets of one flow, back to back from `start` on. */
export interface QueuedRun {
  readonly block: Block;
  start: number;
  readonly at: number;
  next: QueuedRun | undefined;
}

export interface Flow {
  readonly number: number;
  readonly codel: Codel;
  first: QueuedRun | undefined;
  last: QueuedRun | undefined;
  packets: number;
  bytes: number;
  /** What it may still send before others get their turn; bytes. */
  credit: number;
  list: FlowList;
  before: Flow | undefined;
  after: Flow | undefined;
}

/** What a flow may send in one turn: a packet of the usual size. Bytes. */
const QUANTUM = 1514;

/** Flows in the order in which they get their turns. */
class FlowList {
  first: Flow | undefined;
  #last: Flow | undefined;

  append(flow: Flow): void {
    flow.list = this;
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

/** The order in which flows get their turns: those first that have not had a whole one since they became busy. */
export class FlowScheduler {
  readonly #fresh = new FlowList();
  readonly #busy = new FlowList();

  get first(): Flow | undefined {
    return this.#fresh.first ?? this.#busy.first;
  }

  /** A flow that was not there. */
  begin(number: number): Flow {
    const flow: Flow = {
      number,
      codel: new Codel(),
      first: undefined,
      last: undefined,
      packets: 0,
      bytes: 0,
      credit: QUANTUM,
      list: this.#fresh,
      before: undefined,
      after: undefined,
    };
    this.#fresh.append(flow);
    return flow;
  }

  end(flow: Flow): void {
    flow.list.remove(flow);
  }

  clear(): void {
    this.#fresh.clear();
    this.#busy.clear();
  }

  /** Its turn is over, and so many next ones are its own already. */
  endTurn(flow: Flow, turns = 1): void {
    flow.credit += turns * QUANTUM;
    this.queueUp(flow);
  }

  /** Behind all others, with what it may still send. */
  queueUp(flow: Flow): void {
    flow.list.remove(flow);
    this.#busy.append(flow);
  }

  /** May a flow that has nothing more to send be forgotten? A fresh one could get ahead by coming and going. */
  mayLeave(flow: Flow): boolean {
    return flow.list === this.#busy || this.#busy.first === undefined;
  }

  isAlone(flow: Flow): boolean {
    if (flow.before !== undefined || flow.after !== undefined) return false;
    return (flow.list === this.#busy ? this.#fresh : this.#busy).first === undefined;
  }

  /**
   * Where a flow that has taken so many bytes of its credit is alone, its next turns begin at once.
   *
   * @returns whether it may take more now
   */
  extendTurn(flow: Flow, taken: number, isAlone: boolean): boolean {
    if (flow.credit > taken) return true;
    if (isAlone) this.endTurn(flow, Math.floor((taken - flow.credit) / QUANTUM) + 1);
    return isAlone;
  }
}

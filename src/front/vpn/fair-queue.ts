/**
 * The packets that wait for one peer: a queue for each flow, served in turn by bytes, with those first that send little
 * (RFC 8290), and CoDel on each, which marks or drops where a queue stands. Bounded by packets, bytes and age; when it is
 * full the flow that holds most of it loses its oldest. Pure: knows no stream and no timer.
 *
 * Packets of one flow that came side by side stay together in one piece of memory, and leave together where they may. A
 * step costs the same however many flows there are, but for the search for the largest one, which is made again only
 * after half of the last one found has gone.
 */
import type { Blocks } from '../../kit/blocks.ts';
import type { CodelTimes } from '../../kit/codel.ts';
import { isEcnCapable, markCongestion } from '../../wire/packet/ecn.ts';
import { packetLength } from '../../wire/packet/ipv6.ts';
import { type Flow, FlowScheduler, type QueuedRun } from './queued-flow.ts';

export interface FairQueueLimits {
  readonly packets: number;
  readonly bytes: number;
  readonly ageMs: number;
}

/** `overflow`: no room; `age`: waited in vain; `congestion`: its sender has to slow down; `tooBig`: the peer takes no such packet. */
export type DropCause = 'overflow' | 'age' | 'congestion' | 'tooBig';

/**
 * Told about each packet that is dropped, except those of a queue that is cleared. Borrowed until it returns.
 *
 * @param left packets of its flow that wait on
 */
export type OnPacketDrop = (bytes: Buffer, start: number, end: number, cause: DropCause, left: number) => void;

/** Flows without a packet that wait for their turn to end. */
const MOST_LEAVING = 256;

/** CoDel's times for a round trip: senders need about two to react, and the line stays busy with half of one in store. */
export function codelTimes(roundTripMs: number): CodelTimes {
  const intervalMs = Math.min(Math.max(2 * roundTripMs, 100), 4_000);
  return { intervalMs, targetMs: intervalMs / 4 };
}

/** Before anything was measured: I2P's round trips are about a second. */
const UNMEASURED_MS = 1_000;

export class FairQueue {
  readonly #limits: FairQueueLimits;
  readonly #blocks: Blocks;
  readonly #onDrop: OnPacketDrop;
  /** What was pulled last, and memory for what is pulled next. */
  #batch: Buffer = Buffer.alloc(0);
  readonly #flows = new Map<number, Flow>();
  readonly #scheduler = new FlowScheduler();
  #leaving = 0;
  #packets = 0;
  #bytes = 0;
  #pulled = 0;
  #marked = 0;
  #times = codelTimes(UNMEASURED_MS);
  #takes: (length: number) => boolean = () => true;
  /** Packets that came before have waited for a stream, which says nothing about congestion. */
  #openedAt = Number.NEGATIVE_INFINITY;
  #largest: { readonly flow: Flow; readonly bytes: number } | undefined;

  constructor(limits: FairQueueLimits, blocks: Blocks, onDrop: OnPacketDrop) {
    this.#limits = limits;
    this.#blocks = blocks;
    this.#onDrop = onDrop;
  }

  /** Packets. */
  get length(): number {
    return this.#packets;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get flows(): number {
    return this.#flows.size;
  }

  /** Packets that have left for the peer. */
  get pulled(): number {
    return this.#pulled;
  }

  /** Packets that were marked instead of dropped. */
  get marked(): number {
    return this.#marked;
  }

  /** Fits CoDel to the way. */
  setRoundTrip(roundTripMs: number): void {
    this.#times = codelTimes(roundTripMs);
  }

  /** The peer has said what it takes: other packets are dropped when it is their turn. @param takes asked with bytes */
  acceptOnly(takes: (length: number) => boolean): void {
    this.#takes = takes;
  }

  /** There is a stream again. */
  opened(now: number): void {
    this.#openedAt = now;
  }

  /**
   * @param run whole packets of one flow, borrowed
   * @param packets how many
   * @param now monotonic milliseconds, never less than at an earlier call
   */
  push(run: Uint8Array, packets: number, flowNumber: number, now: number): void {
    const flow = this.#flowFor(flowNumber);
    const entry: QueuedRun = { block: this.#blocks.copy(run), start: 0, at: now, next: undefined };
    if (flow.last === undefined) flow.first = entry;
    else flow.last.next = entry;
    flow.last = entry;
    flow.packets += packets;
    flow.bytes += run.length;
    this.#packets += packets;
    this.#bytes += run.length;
    if (this.#largest !== undefined && flow.bytes > this.#largest.bytes) this.#largest = { flow, bytes: flow.bytes };
    while (this.#packets > this.#limits.packets || this.#bytes > this.#limits.bytes) this.#dropFromLargest();
  }

  /**
   * The packets whose turn it is: whole ones, as long as less than `room` bytes were taken, so that the last may be
   * longer than the room. Undefined when there are none, or no room. Borrowed until the next call, but for whoever keeps
   * it.
   */
  pull(room: number, now: number): Buffer | undefined {
    const pieces: PacketSpan[] = [];
    let taken = 0;
    while (taken < room) {
      const flow = this.#scheduler.first;
      if (flow === undefined) break;
      if (flow.first === undefined) {
        this.#leaving -= 1;
        this.#forget(flow);
      } else if (flow.credit <= 0) {
        this.#scheduler.endTurn(flow);
      } else {
        this.#expireFlow(flow, now);
        taken += this.#serve(flow, room - taken, now, pieces);
        if (flow.first === undefined) this.#finishTurn(flow);
      }
    }
    return pieces.length === 0 ? undefined : this.#join(pieces, taken);
  }

  /** Whoever pulled last goes on using it. */
  keep(): void {
    this.#batch = Buffer.alloc(0);
  }

  #join(pieces: readonly PacketSpan[], length: number): Buffer {
    if (this.#batch.length < length) this.#batch = Buffer.allocUnsafeSlow(length);
    let at = 0;
    for (const { bytes, start, end } of pieces) at += bytes.copy(this.#batch, at, start, end);
    return this.#batch.subarray(0, length);
  }

  /** Drops what is too old. Called by itself for what is pulled; call it also by timer while nobody pulls. */
  expire(now: number): void {
    for (const flow of this.#flows.values()) {
      const isLeaving = flow.first === undefined;
      this.#expireFlow(flow, now);
      if (!isLeaving && flow.first === undefined) this.#forget(flow);
    }
  }

  /** Lets everything go without a word. */
  clear(): void {
    this.#flows.clear();
    this.#scheduler.clear();
    this.#largest = undefined;
    this.#leaving = 0;
    this.#packets = 0;
    this.#bytes = 0;
  }

  #flowFor(number: number): Flow {
    const known = this.#flows.get(number);
    if (known !== undefined) {
      if (known.first === undefined) this.#leaving -= 1;
      return known;
    }
    const flow = this.#scheduler.begin(number);
    this.#flows.set(number, flow);
    return flow;
  }

  /** A flow that just sent its last packet goes once around among the others, so that it cannot get ahead by pausing. */
  #finishTurn(flow: Flow): void {
    if (this.#scheduler.mayLeave(flow) || this.#leaving >= MOST_LEAVING) {
      this.#forget(flow);
      return;
    }
    this.#leaving += 1;
    this.#scheduler.queueUp(flow);
  }

  #forget(flow: Flow): void {
    this.#scheduler.end(flow);
    this.#flows.delete(flow.number);
  }

  /** @returns bytes taken from the flow, whose credit or packets may be used up by that */
  #serve(flow: Flow, room: number, now: number, pieces: PacketSpan[]): number {
    const isAlone = this.#scheduler.isAlone(flow);
    let taken = 0;
    for (let run = flow.first; run !== undefined && taken < room; run = flow.first) {
      if (!this.#scheduler.extendTurn(flow, 0, isAlone)) break;
      const { start, at } = run;
      const { bytes } = run.block;
      const length = packetLength(bytes, start);
      if (!this.#takes(length)) {
        this.#drop(flow, run, 'tooBig');
        continue;
      }
      const waited = now - Math.max(at, this.#openedAt);
      const isTold = flow.codel.judge(waited, flow.packets === 1, now, this.#times);
      if (isTold && !isEcnCapable(bytes, start)) {
        this.#drop(flow, run, 'congestion');
        continue;
      }
      if (isTold) {
        markCongestion(bytes, start);
        this.#marked += 1;
      }
      let end = start + length;
      let packets = 1;
      // Those behind it in the run have waited as long, so CoDel would say the same of them, but for the last of a flow.
      while (!isTold && end < run.block.length && packets + 1 < flow.packets && taken + end - start < room) {
        const next = packetLength(bytes, end);
        if (!this.#takes(next) || !this.#scheduler.extendTurn(flow, end - start, isAlone)) break;
        end += next;
        packets += 1;
      }
      this.#remove(flow, run, end - start, packets);
      this.#pulled += packets;
      flow.credit -= end - start;
      taken += end - start;
      const piece = pieces.at(-1);
      if (piece !== undefined && piece.bytes === bytes && piece.end === start) piece.end = end;
      else pieces.push({ bytes, start, end });
    }
    return taken;
  }

  #expireFlow(flow: Flow, now: number): void {
    for (let run = flow.first; run !== undefined && now - run.at > this.#limits.ageMs; run = flow.first) {
      this.#drop(flow, run, 'age');
    }
  }

  #dropFromLargest(): void {
    const { first } = this.#scheduler;
    if (first === undefined) return;
    let largest = this.#largest;
    if (largest === undefined || largest.flow.bytes * 2 < largest.bytes || largest.flow.first === undefined) {
      largest = { flow: first, bytes: first.bytes };
      for (const flow of this.#flows.values()) if (flow.bytes > largest.bytes) largest = { flow, bytes: flow.bytes };
      this.#largest = largest;
    }
    const { flow } = largest;
    if (flow.first !== undefined) this.#drop(flow, flow.first, 'overflow');
    if (flow.first === undefined) this.#forget(flow);
  }

  #drop(flow: Flow, run: QueuedRun, cause: DropCause): void {
    const { start } = run;
    const { bytes } = run.block;
    const length = packetLength(bytes, start);
    this.#remove(flow, run, length, 1);
    this.#onDrop(bytes, start, start + length, cause, flow.packets);
  }

  /** Takes the first packets off the flow's first run. */
  #remove(flow: Flow, run: QueuedRun, length: number, packets: number): void {
    run.start += length;
    flow.packets -= packets;
    flow.bytes -= length;
    this.#packets -= packets;
    this.#bytes -= length;
    if (run.start < run.block.length) return;
    // Used again at the next push: whoever took the packet has copied it by then.
    this.#blocks.giveBack(run.block);
    flow.first = run.next;
    if (flow.first === undefined) flow.last = undefined;
  }
}

interface PacketSpan {
  readonly bytes: Buffer;
  readonly start: number;
  end: number;
}

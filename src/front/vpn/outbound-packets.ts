/**
 * The packets on their way to one peer: taken from the TUN, copied once, sorted by flow into the peer's queue, and handed
 * to the stream that asks for them. Counts what leaves and what is lost. Knows no stream.
 */
import type { PacketRun } from '../../core/ports.ts';
import type { Blocks } from '../../kit/blocks.ts';
import { flowNumber } from '../../wire/packet/flow.ts';
import { packetLength } from '../../wire/packet/ipv6.ts';
import { type DropCause, FairQueue, type FairQueueLimits } from './fair-queue.ts';

export interface OutboundParts {
  readonly limits: FairQueueLimits;
  /** Of RUN_BLOCK bytes each. */
  readonly blocks: Blocks;
  /** 32 bits that nobody outside knows. */
  readonly seed: number;
  dropped(cause: DropCause): void;
  /** A packet waited for the peer until it was too old; borrowed until it returns. @param isLast no other of its flow waits */
  expired(packet: Buffer, isLast: boolean): void;
  /** A packet is longer than the peer takes, which it said while the packet waited; borrowed until it returns. */
  tooBig(packet: Buffer): void;
}

/**
 * Packets that are kept together at most, so that little memory hangs on the last of them: what the kernel hands over as
 * one, with a header for each. Bytes.
 */
export const RUN_BLOCK = 72 * 1024;

export class OutboundPackets {
  readonly #seed: number;
  readonly #queue: FairQueue;

  constructor({ limits, blocks, seed, dropped, expired, tooBig }: OutboundParts) {
    this.#seed = seed;
    this.#queue = new FairQueue(limits, blocks, (bytes, start, end, cause, left) => {
      dropped(cause);
      if (cause === 'age') expired(bytes.subarray(start, end), left === 0);
      else if (cause === 'tooBig') tooBig(bytes.subarray(start, end));
    });
  }

  /** Packets. */
  get length(): number {
    return this.#queue.length;
  }

  get bytes(): number {
    return this.#queue.bytes;
  }

  get flows(): number {
    return this.#queue.flows;
  }

  get marked(): number {
    return this.#queue.marked;
  }

  /** Packets handed out so far. */
  get handedOut(): number {
    return this.#queue.pulled;
  }

  /** @param row alike packets, borrowed; RUN_BLOCK bytes of them are kept together */
  push(row: PacketRun, packets: number, now: number): void {
    this.#queue.push(row, packets, flowNumber(row, 0, packetLength(row, 0), this.#seed), now);
  }

  /** See FairQueue.pull. */
  pull(room: number, now: number): Buffer | undefined {
    return this.#queue.pull(room, now);
  }

  /** See FairQueue.keep. */
  keep(): void {
    this.#queue.keep();
  }

  expire(now: number): void {
    this.#queue.expire(now);
  }

  clear(): void {
    this.#queue.clear();
  }

  /** See FairQueue.acceptOnly. */
  acceptOnly(takes: (length: number) => boolean): void {
    this.#queue.acceptOnly(takes);
  }

  opened(now: number): void {
    this.#queue.opened(now);
  }

  setRoundTrip(roundTripMs: number): void {
    this.#queue.setRoundTrip(roundTripMs);
  }
}

/** The relay as its users see it. */
import type { RelayEnd } from '../dial/target.ts';

export interface RelayOptions {
  readonly signal: AbortSignal;
  /** Close when neither side sent a byte for this long; 0 means never. Milliseconds. */
  readonly idleMs: number;
  /**
   * Told when the near side has ended its direction after it was answered, so that most likely it has gone: its end is held back
   * only in case the far side says more. What it is told passes the end on at once, as often as it is called.
   */
  readonly onAnswered?: (passEndOn: () => void) => void;
}

export interface RelayReport {
  readonly ended: 'both-finished' | 'near-failed' | 'far-failed' | 'idle' | 'cancelled' | 'limit';
}

export const RELAY_COUNTERS = [
  'joined',
  'refusedLimit',
  /** From `near` to `far`, handed to the far stream. */
  'bytesOut',
  'bytesIn',
  'bytesDiscarded',
  'failed',
  'idle',
] as const;
export type RelayCounter = (typeof RELAY_COUNTERS)[number];

/** Joins two streams until both directions are over. Owns and closes both; never throws. */
export type Join = (near: RelayEnd, far: RelayEnd, options: RelayOptions) => Promise<RelayReport>;

export interface Relay {
  /** Where there is no slot for them, both are closed at once. */
  readonly join: Join;
  /**
   * A slot for a pair, for who has to tell one side that it will be joined, or to wait for the other.
   *
   * @returns undefined, which is counted, where there is none
   */
  reserve(): ReservedSlot | undefined;
}

/** Held until one of the two is called, once. */
export interface ReservedSlot {
  readonly join: Join;
  readonly leave: () => void;
}

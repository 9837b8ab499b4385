/** The relay as its users see it. */
import type { RelayEnd } from '../dial/target.ts';

export interface RelayOptions {
  readonly signal: AbortSignal;
  /** Close when neither side sent a byte for this long; 0 means never. Milliseconds. */
  readonly idleMs: number;
}

export interface RelayReport {
  /** Bytes from `near` to `far` that were handed to the far stream. */
  readonly bytesOut: number;
  readonly bytesIn: number;
  readonly ended: 'both-finished' | 'near-failed' | 'far-failed' | 'idle' | 'cancelled' | 'limit';
}

/** Joins two streams until both directions are over. Owns and closes both; never throws. */
export interface Relay {
  join(near: RelayEnd, far: RelayEnd, options: RelayOptions): Promise<RelayReport>;
}

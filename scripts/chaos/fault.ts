/** What a fault of the fault lab is. */

import type { HostClocks, Lab } from '../lab/lab.ts';
import type { Traffic } from './traffic.ts';
import type { Stream } from './watch.ts';

export interface Stage extends Lab {
  /** Of the own gateway and its router. */
  readonly clocks: HostClocks;
  /** From the own gateway to the other; `bare` stands beside both, and has to lose its session where one of them does. */
  readonly traffic: Pick<Traffic, 'bare' | 'goTo' | 'hangUp'>;
}

export interface Fault {
  /** For the command line. */
  readonly name: string;
  readonly what: string;
  /** Takes minutes, and happens only when it is asked for by name, or with all the others. */
  readonly isLong?: true;
  /** Connections that cannot outlive it; none unless told. */
  readonly mayBreak?: readonly Stream[];
  /** For so many milliseconds nothing can come through, whatever a gateway does; 0 unless told. */
  readonly blockedMs?: number;
  /** The same for the bare stream; as long unless told. */
  readonly bareBlockedMs?: number;
  /** Leaves something in the routers that the next faults would be blamed for: they happen in a new network. */
  readonly spoils?: true;
  happen(stage: Stage, signal: AbortSignal): Promise<void>;
}

/** What a person or a supervisor needs at least to start something again. */
export const RESTART_AFTER_MS = 2_000;

/** A connection through SOCKS to a peer travels on an I2P stream, which ends with the session on either side. */
export const SESSION_ENDS: readonly Stream[] = ['socks'];

/** What a fault of the fault lab is. */

import type { HostClocks, Lab } from '../lab/lab.ts';
import type { Traffic } from './traffic.ts';

export interface Stage extends Lab {
  /** Of the own gateway and its router. */
  readonly clocks: HostClocks;
  /** From the own gateway to the other; `bare` stands beside both, and has to lose its session where one of them does. */
  readonly traffic: Pick<Traffic, 'bare' | 'goTo'>;
}

export interface Fault {
  /** For the command line. */
  readonly name: string;
  readonly what: string;
  /** Takes minutes, and happens only when it is asked for by name. */
  readonly isLong?: true;
  happen(stage: Stage, signal: AbortSignal): Promise<void>;
}

/** What a person or a supervisor needs at least to start something again. */
export const RESTART_AFTER_MS = 2_000;

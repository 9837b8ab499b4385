/**
 * The relay as a whole: as many pairs of joined streams as may be at one time, and what has come of all of them. What a pair
 * does is in `pair.ts`.
 */
import type { Clock } from '../../kit/clock.ts';
import { createTally } from '../../kit/tally.ts';
import { abandon } from './abandon.ts';
import { IdleWatch } from './idle-watch.ts';
import { RelayPair } from './pair.ts';
import {
  type Join,
  RELAY_COUNTERS,
  type Relay,
  type RelayCounter,
  type RelayReport,
  type ReservedSlot,
} from './report.ts';
import { StreamListeners } from './stream-listeners.ts';

export interface RelayCoreOptions {
  readonly clock: Clock;
  /** Joined pairs at one time; more are closed at once. */
  readonly maxPairs: number;
  /** How long a side without half-close may be quiet before a held end is passed on. Milliseconds. */
  readonly heldEndMs: number;
}

export interface RelayCore extends Relay {
  readonly active: number;
  counters(): Readonly<Record<RelayCounter, number>>;
}

export function createRelayCore({ clock, maxPairs, heldEndMs }: RelayCoreOptions): RelayCore {
  const counts = createTally(RELAY_COUNTERS);
  let active = 0;
  const leave = () => {
    active -= 1;
  };
  const over = ({ ended }: RelayReport) => {
    leave();
    if (ended === 'near-failed' || ended === 'far-failed') counts.add('failed');
    if (ended === 'idle') counts.add('idle');
  };
  const shared = { clock, heldEndMs, counts, over, idle: new IdleWatch(clock), listeners: new StreamListeners() };
  /** Not an async function: one would keep its frame for as long as the pair stands. */
  const joinInPlace: Join = (near, far, how) =>
    new Promise((resolve) => {
      counts.add('joined');
      new RelayPair(near, far, how, shared, resolve).start();
    });
  const slot: ReservedSlot = { join: joinInPlace, leave };
  const reserve = () => {
    if (active >= maxPairs) {
      counts.add('refusedLimit');
      return undefined;
    }
    active += 1;
    return slot;
  };
  return {
    get active() {
      return active;
    },
    counters: () => counts.snapshot(),
    reserve,
    join: (near, far, how) => {
      const reserved = reserve();
      if (reserved !== undefined) return reserved.join(near, far, how);
      abandon(near.stream);
      abandon(far.stream);
      return Promise.resolve({ ended: 'limit' });
    },
  };
}

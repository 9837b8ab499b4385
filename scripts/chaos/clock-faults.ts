/** What the fault lab lets happen to the clock on the wall of one gateway's host. */
import { setTimeout as pause } from 'node:timers/promises';
import type { HostClocks } from '../lab/lab.ts';
import type { WallClock } from '../lab/wall-clock.ts';
import { type Fault, SESSION_ENDS } from './fault.ts';

/** Long enough for every program to have looked at the clock many times. */
const WRONG_MS = 30_000;
const HOUR_S = 3_600;

export const CLOCK_FAULTS: readonly Fault[] = [
  wrong('clock', "the clock of the own gateway's host is an hour ahead for 30 s", ({ gateway }) => [gateway]),
  {
    ...wrong('clock-router', 'the same, and its router goes by it too', ({ gateway, router }) => [gateway, router]),
    isLong: true,
    // Other routers refuse one that is more than a minute off, and whoever reaches nobody for long builds its session anew.
    mayBreak: SESSION_ENDS,
    blockedMs: WRONG_MS,
    // What was published in the wrong hour stands in the other routers, and is newer than all that comes after it.
    spoils: true,
  },
];

function wrong(name: string, what: string, pick: (clocks: HostClocks) => readonly WallClock[]): Fault {
  return {
    name,
    what,
    happen: async ({ clocks }, signal) => {
      for (const clock of pick(clocks)) clock.set(HOUR_S);
      await pause(WRONG_MS, undefined, { signal });
      for (const clock of pick(clocks)) clock.set(0);
    },
  };
}

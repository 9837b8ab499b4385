/** Lets something happen between two times at which all traffic flows, and waits until it flows again. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Meter } from './meter.ts';

/** All must have been heard for so long before something happens, and after. */
const QUIET_MS = 3_000;
/** A kernel that has waited long for an answer repeats itself after two minutes at most. */
const SETTLE_MS = 150_000;
const LOOK_EVERY_MS = 100;

export interface Times {
  /** From then on all that was missing could come back. */
  readonly repairedAt: number;
  /** Then all was heard, or nobody waited any longer. What was sent by then has had time to come back. */
  readonly backAt: number;
}

/**
 * @param meters by the names of what they measure; they begin anew when it happens
 * @param happen returns when what broke has been repaired
 * @param patienceMs how long traffic may take from then on
 * @throws Error naming what does not flow before it happens
 */
export async function letHappen(
  meters: Readonly<Record<string, Meter>>,
  happen: () => Promise<void>,
  patienceMs: number,
  signal: AbortSignal,
): Promise<Times> {
  const silentSince = (at: number) => Object.keys(meters).filter((name) => meters[name]?.heardSince(at) !== true);
  const settleBy = performance.now() + SETTLE_MS;
  for (;;) {
    await pause(QUIET_MS, undefined, { signal });
    const silent = silentSince(performance.now() - QUIET_MS);
    if (silent.length === 0) break;
    if (performance.now() > settleBy) throw new Error(`before the fault nothing comes by ${silent.join(', ')}`);
  }
  for (const meter of Object.values(meters)) meter.begin();
  await happen();
  const repairedAt = performance.now();
  while (silentSince(repairedAt).length > 0 && performance.now() - repairedAt < patienceMs) {
    await pause(LOOK_EVERY_MS, undefined, { signal });
  }
  const backAt = performance.now();
  await pause(QUIET_MS, undefined, { signal });
  return { repairedAt, backAt };
}

/** Waits for what real sockets and timers bring about, without a fixed pause. */
import { setTimeout as pause } from 'node:timers/promises';

/** Far above what anything on loopback takes, also on a busy machine. */
const PATIENCE_MS = 5_000;

/** @throws Error naming `what` when the condition does not come true in time */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  patienceMs = PATIENCE_MS,
): Promise<void> {
  const end = performance.now() + patienceMs;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`waited ${patienceMs} ms in vain: ${what}`);
    await pause(1);
  }
}

/** Runs the faults of the scriptable bridge, each on a pair of gateways of its own, and tells a row of each. */
import { setTimeout as pause } from 'node:timers/promises';
import type { BridgeFault } from './bridge-faults.ts';
import { startBridgePair } from './bridge-pair.ts';
import { startBridgeTraffic } from './bridge-traffic.ts';
import { SESSION_ENDS } from './fault.ts';
import { type HeldHere, heldHere } from './observe.ts';
import { connectionsOf, head, lostOn, row, seconds, verdict } from './table.ts';
import { type Change, changed, failuresOf, isTooMuch } from './verdict.ts';

const BRIDGE_HEAD = head([
  'what happened',
  'packets away',
  'SOCKS away',
  'connections',
  'bytes lost',
  'packets lost',
  'the log warns of',
  'sockets',
  'timers',
  'memory, MB',
  'verdict',
]);

/** From the repair on. */
const PATIENCE_MS = 150_000;
/** What a gateway still finishes once traffic flows. */
const SETTLE_MS = 20_000;
/** A stream that is doubted is kept for 330 s (ADR 23). */
const LINGERS_MS = 345_000;
/** Code that V8 compiles meanwhile. */
const MAY_GROW_MB = 4;

/** @returns the names of those that ended badly */
export async function sufferOnBridge(
  faults: readonly BridgeFault[],
  signal: AbortSignal,
  say: (row: string) => void,
): Promise<readonly string[]> {
  say(BRIDGE_HEAD);
  const failed: string[] = [];
  for (const fault of faults) {
    signal.throwIfAborted();
    const { text, failures } = await suffer(fault);
    if (failures.length > 0) failed.push(fault.name);
    say(text);
  }
  return failed;
}

/** @returns the row, and what is wrong with it */
async function suffer(fault: BridgeFault): Promise<{ text: string; failures: readonly string[] }> {
  const pair = await startBridgePair();
  const traffic = startBridgeTraffic(pair);
  try {
    await pause(SETTLE_MS);
    pair.warned();
    const before = await heldHere();
    const outage = await traffic.during(() => fault.happen(pair), PATIENCE_MS);
    await pause(SETTLE_MS);
    const changes = await untilBack(before);
    const warned = pair.warned();
    const failures = failuresOf({ ...outage, mayBreak: SESSION_ENDS, changes });
    const cells = [
      fault.what,
      seconds(outage.away.packets),
      seconds(outage.away.socks),
      connectionsOf(outage.broken),
      lostOn(outage.broken),
      `${outage.lost}`,
      warned.length === 0 ? 'nothing' : warned.join(', '),
      ...changes.map((change) => changed(change.before, change.after)),
      verdict(failures),
    ];
    return { text: row(cells), failures };
  } finally {
    await traffic.stop();
    await pair.stop();
  }
}

async function untilBack(before: HeldHere): Promise<readonly Change[]> {
  const end = performance.now() + LINGERS_MS;
  for (;;) {
    const after = await heldHere();
    const changes: readonly Change[] = [
      { what: 'sockets', before: before.sockets, after: after.sockets, mayGrow: 0 },
      { what: 'timers', before: before.timers, after: after.timers, mayGrow: 0 },
      { what: 'megabytes', before: before.megabytes, after: after.megabytes, mayGrow: MAY_GROW_MB },
    ];
    if (!changes.some(isTooMuch) || performance.now() > end) return changes;
  }
}

/** Runs the faults of the scriptable bridge, each on a pair of gateways of its own, and tells a row of each. */
import { setTimeout as pause } from 'node:timers/promises';
import type { BridgeFault } from './bridge-faults.ts';
import { startBridgePair } from './bridge-pair.ts';
import { startBridgeTraffic } from './bridge-traffic.ts';
import { SESSION_ENDS } from './fault.ts';
import { type HeldHere, heldHere } from './observe.ts';
import { connectionsOf, head, lostOn, row, verdict } from './table.ts';
import { type Change, changed, isTooMuch, type Judgement, judge, seconds } from './verdict.ts';

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

/** @returns how each ended, by its name */
export async function sufferOnBridge(
  faults: readonly BridgeFault[],
  signal: AbortSignal,
  say: (row: string) => void,
): Promise<ReadonlyMap<string, Judgement>> {
  say(BRIDGE_HEAD);
  const rows = new Map<string, Judgement>();
  for (const fault of faults) {
    signal.throwIfAborted();
    const { text, judgement } = await suffer(fault);
    rows.set(fault.name, judgement);
    say(text);
  }
  return rows;
}

async function suffer(fault: BridgeFault): Promise<{ text: string; judgement: Judgement }> {
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
    const { blockedMs = 0 } = fault;
    // A bridge that is told what to do needs no time of its own.
    const judgement = judge({ ...outage, bareAway: 0, blockedMs, mayBreak: SESSION_ENDS, changes });
    const cells = [
      fault.what,
      seconds(outage.away.packets),
      seconds(outage.away.socks),
      connectionsOf(outage.broken),
      lostOn(outage.broken),
      `${outage.lost}`,
      warned.length === 0 ? 'nothing' : warned.join(', '),
      ...changes.map((change) => changed(change.before, change.after)),
      verdict(judgement),
    ];
    return { text: row(cells), judgement };
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

/** Runs the faults of the scriptable bridge, each on a pair of gateways of its own, and tells a row of each. */
import { setTimeout as pause } from 'node:timers/promises';
import type { BridgeFault } from './bridge-faults.ts';
import { startBridgePair } from './bridge-pair.ts';
import { startBridgeTraffic } from './bridge-traffic.ts';
import { SESSION_ENDS } from './fault.ts';
import { type HeldHere, heldHere } from './observe.ts';
import { connectionsOf, head, lostOn, row, verdict } from './table.ts';
import {
  changed,
  changesOf,
  type Holding,
  isTooMuch,
  type Judgement,
  judge,
  type Measure,
  seconds,
} from './verdict.ts';

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
const MEASURES: readonly Measure<HeldHere>[] = [
  { what: 'sockets', of: ({ sockets }) => sockets, mayGrow: 0 },
  { what: 'timers', of: ({ timers }) => timers, mayGrow: 0 },
  { what: 'megabytes', of: ({ megabytes }) => megabytes, mayGrow: MAY_GROW_MB },
];

/** @returns how each ended, by its name */
export async function sufferOnBridge(
  faults: readonly BridgeFault[],
  signal: AbortSignal,
  say: (row: string) => void,
): Promise<ReadonlyMap<string, Judgement>> {
  say(BRIDGE_HEAD);
  const rows = new Map<string, Judgement>();
  let first: HeldHere | undefined;
  for (const fault of faults) {
    signal.throwIfAborted();
    const { text, judgement, before } = await suffer(fault, first);
    first ??= before;
    rows.set(fault.name, judgement);
    say(text);
  }
  return rows;
}

interface Suffered {
  readonly text: string;
  readonly judgement: Judgement;
  readonly before: HeldHere;
}

/** @param first what this process held before the first fault, with another pair; undefined when this is the first */
async function suffer(fault: BridgeFault, first: HeldHere | undefined): Promise<Suffered> {
  const pair = await startBridgePair();
  const traffic = startBridgeTraffic(pair);
  try {
    await pause(SETTLE_MS);
    pair.warned();
    const before = await heldHere();
    const outage = await traffic.during(() => fault.happen(pair), PATIENCE_MS);
    await pause(SETTLE_MS);
    const holding = await untilBack(first ?? before, before);
    const warned = pair.warned();
    const { blockedMs = 0 } = fault;
    // A bridge that is told what to do needs no time of its own.
    const judgement = judge({
      ...outage,
      bareAway: 0,
      blockedMs,
      mayBreak: SESSION_ENDS,
      changes: changesOf(MEASURES, holding),
    });
    const cells = [
      fault.what,
      seconds(outage.away.packets),
      seconds(outage.away.socks),
      connectionsOf(outage.broken),
      lostOn(outage.broken),
      `${outage.lost}`,
      warned.length === 0 ? 'nothing' : warned.join(', '),
      ...MEASURES.map(({ of }) => changed(of(holding.before), of(holding.after))),
      verdict(judgement),
    ];
    return { text: row(cells), judgement, before };
  } finally {
    await traffic.stop();
    await pair.stop();
  }
}

async function untilBack(first: HeldHere, before: HeldHere) {
  const end = performance.now() + LINGERS_MS;
  for (;;) {
    const holding = { first, before, after: await heldHere() } satisfies Holding<HeldHere>;
    if (!changesOf(MEASURES, holding).some(isTooMuch) || performance.now() > end) return holding;
  }
}

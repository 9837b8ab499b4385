/** Runs the faults of the scriptable bridge, each on a pair of gateways of its own, and tells a row of each. */
import { setTimeout as pause } from 'node:timers/promises';
import type { BridgeFault } from './bridge-faults.ts';
import { startBridgePair } from './bridge-pair.ts';
import { row, seconds } from './table.ts';

const COLUMNS = ['what happened', 'away', 'the log warns of', 'sockets', 'timers'];
export const BRIDGE_HEAD = `${row(COLUMNS)}\n${row(COLUMNS.map(() => '---'))}`;

/** From the repair on. */
const PATIENCE_MS = 150_000;
/** What a gateway still finishes once traffic flows. */
const SETTLE_MS = 20_000;

/** @returns the row, and whether all was well again */
export async function sufferBridge({ what, happen }: BridgeFault): Promise<{ text: string; isWell: boolean }> {
  const pair = await startBridgePair();
  try {
    await pause(SETTLE_MS);
    pair.warned();
    const before = resources();
    const start = performance.now();
    await happen(pair);
    const repairedAt = performance.now();
    const back = await pair.untilThrough(PATIENCE_MS);
    const away = back === undefined ? undefined : repairedAt - start + back;
    await pause(SETTLE_MS);
    const after = resources();
    const warned = pair.warned();
    const cells = [
      what,
      seconds(away),
      warned.length === 0 ? 'nothing' : warned.join(', '),
      `${before.sockets} → ${after.sockets}`,
      `${before.timers} → ${after.timers}`,
    ];
    return { text: row(cells), isWell: away !== undefined };
  } finally {
    await pair.stop();
  }
}

/** Of this process: both gateways and both bridges. */
function resources(): { readonly sockets: number; readonly timers: number } {
  const active = process.getActiveResourcesInfo();
  const count = (name: string) => active.filter((one) => one === name).length;
  return { sockets: count('TCPSocketWrap'), timers: count('Timeout') };
}

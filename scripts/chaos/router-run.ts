/**
 * Runs the faults of routers, lines and hosts, one after the other on the same two gateways, and tells a row of each. Where not
 * everything comes back from one, or it spoils the routers, the next ones happen in a new network.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { Gateway } from '../lab/gateway.ts';
import { ECHO_PORT, handedOver, type Lab, WEB_PORT } from '../lab/lab.ts';
import type { Fault, Stage } from './fault.ts';
import { type Held, held, listen } from './observe.ts';
import { describe, describeMedians, HEAD, MEDIANS_HEAD, type Side } from './table.ts';
import { type Outage, startTraffic, type Traffic } from './traffic.ts';
import {
  type Change,
  changesOf,
  type Findings,
  isTooMuch,
  type Judgement,
  judge,
  judgeTogether,
  type Measure,
  medianTimes,
} from './verdict.ts';

/**
 * From the repair on. i2pd 2.45.1 mostly needs 125 s at most; what it does not mend by then goes with the tunnels and lease sets,
 * which live for ten minutes.
 */
const PATIENCE_MS = 660_000;
/** A stream that is doubted is kept for 330 s (ADR 23). */
const LINGERS_MS = 345_000;
const LOOK_EVERY_MS = 1_000;
/** Connections of SOCKS clients, streams and commands that are there at one moment and not at another. */
const MORE_DESCRIPTORS = 4;
/** Resident memory of Node: what its collector lets lie differs by so much from one moment to another. */
const MORE_MEGABYTES = 30;
const MEASURES: readonly Measure<Held>[] = [
  { what: 'descriptors', of: ({ descriptors }) => descriptors, mayGrow: MORE_DESCRIPTORS },
  { what: 'megabytes', of: ({ megabytes }) => megabytes, mayGrow: MORE_MEGABYTES },
];

/** What a run on routers needs. */
export interface RouterRun {
  /** Ends the one before. */
  readonly openLab: () => Promise<Lab>;
  readonly clocks: Stage['clocks'];
  readonly faults: readonly Fault[];
  /** How often all of them happen. */
  readonly rounds: number;
  readonly signal: AbortSignal;
  readonly say: (row: string) => void;
}

/** @returns how each ended, by its name */
export async function sufferOnRouters(run: RouterRun): Promise<ReadonlyMap<string, Judgement>> {
  const { openLab, clocks, faults, rounds, signal, say } = run;
  const found = new Map<Fault, [Findings, ...Findings[]]>();
  let running: Running | undefined;
  say(HEAD);
  try {
    for (const fault of Array.from({ length: rounds }, () => faults).flat()) {
      const { what, mayBreak = [], blockedMs = 0, bareBlockedMs = blockedMs, spoils = false, happen } = fault;
      running ??= await startRunning(await openLab(), clocks, signal);
      const { stage, traffic } = running;
      const gateways = [stage.a, stage.b].map((gateway) => ({ gateway, warned: listen(gateway) }));
      let before: Both = [];
      const start = () => {
        before = [held(stage.a), held(stage.b)];
        return happen(stage, signal);
      };
      const outage = await traffic.during(start, PATIENCE_MS);
      running.first ??= before;
      const { first } = running;
      const watched = gateways.map((one, index) => ({ ...one, first: first[index], before: before[index] }));
      const sides = await untilLittleIsHeld(watched, signal);
      const findings = { ...outage, blockedMs, bareBlockedMs, mayBreak, changes: sides.flatMap(changesOn) };
      found.set(fault, [...(found.get(fault) ?? []), findings]);
      say(describe(what, outage, sides, judge(findings)));
      if (isAllBack(outage) && !spoils) continue;
      traffic.stop();
      running = undefined;
    }
  } finally {
    running?.traffic.stop();
  }
  const rows = [...found].map(([fault, times]) => ({ ...fault, times, judgement: judgeTogether(times) }));
  if (rounds > 1) say(MEDIANS_HEAD);
  for (const { what, times, judgement } of rounds > 1 ? rows : [])
    say(describeMedians(what, times.length, medianTimes(times), judgement));
  return new Map(rows.map(({ name, judgement }) => [name, judgement]));
}

function isAllBack({ away, bareAway }: Outage): boolean {
  return bareAway !== undefined && !Object.values(away).includes(undefined);
}

interface Running {
  readonly stage: Stage;
  readonly traffic: Traffic;
  /** What both held when all traffic flowed and nothing had happened yet. */
  first?: Both;
}

/** What each gateway holds, in the order of their names. */
type Both = readonly (Held | undefined)[];

async function startRunning(lab: Lab, clocks: Stage['clocks'], signal: AbortSignal): Promise<Running> {
  const { a, b } = lab;
  const [socksHost = '', socksPort] = a.socks.split(':');
  const traffic = await startTraffic({
    network: lab.network,
    namespace: a.namespace,
    host: b.addresses.oc,
    echoPort: ECHO_PORT,
    webPort: WEB_PORT,
    socks: { host: socksHost, port: Number(socksPort) },
    handedOver: (name) => handedOver(b, name),
    signal,
  });
  return { stage: { ...lab, clocks, traffic }, traffic };
}

interface Before {
  readonly gateway: Gateway;
  readonly warned: () => readonly string[];
  readonly first: Held | undefined;
  readonly before: Held | undefined;
}

/** Waits where more is held than before. */
async function untilLittleIsHeld(watched: readonly Before[], signal: AbortSignal): Promise<readonly Side[]> {
  const end = performance.now() + LINGERS_MS;
  for (;;) {
    const sides = watched.map(({ gateway, warned, first, before }) => ({
      name: gateway.name,
      first,
      before,
      after: held(gateway),
      warned: warned(),
    }));
    if (!sides.flatMap(changesOn).some(isTooMuch) || performance.now() > end) return sides;
    await pause(LOOK_EVERY_MS, undefined, { signal });
  }
}

function changesOn(side: Side): readonly Change[] {
  return changesOf(
    MEASURES.map((measure) => ({ ...measure, what: `${measure.what} of ${side.name}` })),
    side,
  );
}

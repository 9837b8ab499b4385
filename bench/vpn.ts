/**
 * `npm run bench -- vpn`: what a bulk transfer on a slow line does to everybody else, against a relay that moves packet by
 * packet, in interleaved rounds on a line of 1 MB/s. docs/performance.md says how to read the tables.
 */
import { withCleanup } from './lib/cleanup.ts';
import { compileTunnelPrograms } from './lib/compile.ts';
import { atLeast, atMost, type Goal, goalsTable } from './lib/goals.ts';
import { describeMachine, type Machine, machineLine } from './lib/machine.ts';
import { median, percentile, ratio, spread } from './lib/statistics.ts';
import { table } from './lib/table.ts';
import { type FlowsSample, flows, ping } from './tunnel/loads.ts';
import { startTunnels } from './tunnel/tunnels.ts';

export interface VpnBenchOptions {
  readonly rounds: number;
  /** Of each load, after the flows have found their pace. */
  readonly seconds: number;
  /** Until CUBIC has left its slow start on a line of some megabits. */
  readonly settleSeconds: number;
  readonly note: (text: string) => void;
}

const NAMES = ['relay', 'garligate'] as const;
type Name = (typeof NAMES)[number];

/** How many bulk flows run side by side. */
const FLOWS = [1, 2, 8] as const;
type Flows = (typeof FLOWS)[number];

interface Round {
  /** Round trips without any other load. Milliseconds. */
  readonly idle: readonly number[];
  readonly beside: Readonly<Record<Flows, FlowsSample>>;
}

export interface VpnBenchReport {
  readonly machine: Machine;
  readonly rounds: Readonly<Record<Name, readonly Round[]>>;
  readonly goals: readonly Goal[];
}

export const MEGABYTE_LINE = { rate: 1e6, delayMs: 50 };
const MTU = 1500;
const IDLE_SECONDS = 2;
const MEGABYTE = 1e6;

export function benchVpn({ rounds, seconds, settleSeconds, note }: VpnBenchOptions): Promise<VpnBenchReport> {
  return withCleanup(async (cleanup) => {
    const machine = describeMachine();
    const tunnels = await startTunnels(NAMES, await compileTunnelPrograms(), MEGABYTE_LINE, cleanup);
    const samples: Record<Name, Round[]> = { relay: [], garligate: [] };
    for (let round = 1; round <= rounds; round += 1) {
      for (const name of NAMES) {
        const tunnel = tunnels.get(name);
        if (tunnel === undefined) throw new Error(`${name} was not started`);
        note(`round ${round} of ${rounds}: ${name}`);
        const idle = await ping(tunnel, IDLE_SECONDS);
        const one = await flows(tunnel, 1, seconds, settleSeconds);
        const two = await flows(tunnel, 2, seconds, settleSeconds);
        const eight = await flows(tunnel, 8, seconds, settleSeconds);
        samples[name].push({ idle, beside: { 1: one, 2: two, 8: eight } });
      }
    }
    return { machine, rounds: samples, goals: judge(samples) };
  });
}

type Samples = VpnBenchReport['rounds'];

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
const p99 = (values: readonly number[]) => percentile(values, 99);
/** How far the flows lie apart, as a share of what each should have. */
const unevenness = ({ bytesPerSecond }: FlowsSample) =>
  (Math.max(...bytesPerSecond) - Math.min(...bytesPerSecond)) / (sum(bytesPerSecond) / bytesPerSecond.length);

function figures(samples: Samples, name: Name, figure: (round: Round) => number): number[] {
  return samples[name].map(figure);
}

function judge(samples: Samples): Goal[] {
  const against = (figure: (round: Round) => number) =>
    ratio(figures(samples, 'garligate', figure), figures(samples, 'relay', figure));
  const packetMs = (1000 * MTU) / MEGABYTE_LINE.rate;
  const sparse = figures(
    samples,
    'garligate',
    ({ idle, beside }) => (p99(beside[8].roundTrips) - packetMs) / median(idle),
  );
  return [
    atMost(
      0.1,
      'ping p99 beside one bulk flow, against the relay',
      against(({ beside }) => p99(beside[1].roundTrips)),
    ),
    atLeast(
      0.97,
      'goodput of one bulk flow, against the relay',
      against(({ beside }) => sum(beside[1].bytesPerSecond)),
    ),
    atMost(
      0.1,
      'two bulk flows apart, as a share of one',
      median(figures(samples, 'garligate', ({ beside }) => unevenness(beside[2]))),
    ),
    atMost(1.5, 'ping p99 beside eight less one packet, against idle', median(sparse)),
  ];
}

export function printVpnReport({ machine, rounds, goals }: VpnBenchReport): string {
  const heading = ['', 'goodput, MB/s', 'spread', 'apart', 'ping p50, ms', 'ping p99, ms', 'spread'];
  const rows = NAMES.flatMap((name) => {
    const idle = rounds[name].flatMap((round) => round.idle);
    const idleWorst = figures(rounds, name, (round) => p99(round.idle));
    const loads = FLOWS.map((count) => {
      const goodput = figures(rounds, name, ({ beside }) => sum(beside[count].bytesPerSecond) / MEGABYTE);
      const apart = figures(rounds, name, ({ beside }) => unevenness(beside[count]));
      const worst = figures(rounds, name, ({ beside }) => p99(beside[count].roundTrips));
      return [
        `${name}, ${count} bulk`,
        median(goodput).toFixed(3),
        percent(spread(goodput)),
        count === 1 ? '-' : percent(median(apart)),
        percentile(
          rounds[name].flatMap(({ beside }) => beside[count].roundTrips),
          50,
        ).toFixed(1),
        median(worst).toFixed(1),
        percent(spread(worst)),
      ];
    });
    const still = [median(idle).toFixed(1), median(idleWorst).toFixed(1), percent(spread(idleWorst))];
    return [[`${name}, idle`, '-', '-', '-', ...still], ...loads];
  });
  return `${[machineLine(machine), table([heading, ...rows]), goalsTable(goals)].join('\n\n')}\n`;
}

function percent(share: number): string {
  return `${(share * 100).toFixed(0)} %`;
}

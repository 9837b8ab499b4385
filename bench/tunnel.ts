/**
 * `npm run bench -- tunnel`: the data path, from one host's kernel to the other's, against a relay that moves packet by
 * packet, against wireguard-go and against a bare cable, in interleaved rounds. The line between the gateways copies bytes.
 * docs/performance.md says how to read the tables.
 */
import { barChart } from './lib/chart.ts';
import { withCleanup } from './lib/cleanup.ts';
import { compileTunnelPrograms } from './lib/compile.ts';
import { atLeast, atMost, type Goal, goalsTable } from './lib/goals.ts';
import { describeMachine, type Machine, machineLine } from './lib/machine.ts';
import { median, percentiles, ratio, spread } from './lib/statistics.ts';
import { table } from './lib/table.ts';
import { SETTLE_MS, tcp } from './tunnel/loads.ts';
import { measureRound, type Round } from './tunnel/round.ts';
import { startTunnels, TUNNELS, type TunnelName } from './tunnel/tunnels.ts';

export interface TunnelBenchOptions {
  readonly rounds: number;
  /** Of each load. */
  readonly seconds: number;
  readonly quick: boolean;
  readonly note: (text: string) => void;
}

export interface TunnelBenchReport {
  readonly machine: Machine;
  readonly rounds: Readonly<Record<TunnelName, readonly Round[]>>;
  readonly goals: readonly Goal[];
}

const PLANS = {
  whole: { sizes: [64, 1400], search: { first: 10_000, step: 1.25, halvings: 2, settleMs: SETTLE_MS }, idleSeconds: 2 },
  quick: { sizes: [64], search: { first: 40_000, step: 2, halvings: 0, settleMs: SETTLE_MS }, idleSeconds: 1 },
} as const;
const AS_FAST_AS_IT_GOES = { rate: 0, delayMs: 0 };
const GIGABIT = 1e9 / 8;
const MEBIBYTE = 2 ** 20;

export function benchTunnel({ rounds, seconds, quick, note }: TunnelBenchOptions): Promise<TunnelBenchReport> {
  return withCleanup(async (cleanup) => {
    const machine = describeMachine();
    const plan = PLANS[quick ? 'quick' : 'whole'];
    const programs = await compileTunnelPrograms();
    const tunnels = await startTunnels(TUNNELS, programs, AS_FAST_AS_IT_GOES, cleanup);
    const samples: Record<TunnelName, Round[]> = {
      veth: [],
      relay: [],
      'wireguard-go': [],
      garligate: [],
      'garligate, big': [],
    };
    // What a program does only once, such as compiling itself, is not what is measured.
    for (const tunnel of tunnels.values()) await tcp(tunnel, 1, 'both');
    for (let round = 1; round <= rounds; round += 1) {
      for (const [name, tunnel] of tunnels) {
        note(`round ${round} of ${rounds}: ${name}`);
        samples[name].push(await measureRound(tunnel, programs, plan, seconds, samples[name].at(-1)));
      }
    }
    return { machine, rounds: samples, goals: judge(samples) };
  });
}

type Samples = TunnelBenchReport['rounds'];

function figures(samples: Samples, name: TunnelName, figure: (round: Round) => number): number[] {
  return samples[name].map(figure);
}

function judge(samples: Samples): Goal[] {
  const against = (other: TunnelName, figure: (round: Round) => number, who: TunnelName = 'garligate') =>
    ratio(figures(samples, who, figure), figures(samples, other, figure));
  const wrong = TUNNELS.flatMap((name) => samples[name]).reduce((sum, round) => sum + round.wrongDatagrams, 0);
  const largest = Math.max(...figures(samples, 'garligate', ({ memory }) => memory)) / 2;
  return [
    atLeast(
      3.5,
      'TCP one way against the relay: throughput',
      against('relay', ({ one }) => one.bytesPerSecond),
    ),
    atMost(
      0.25,
      'TCP one way against the relay: CPU per GB',
      against('relay', ({ one }) => one.cpuSecondsPerGigabyte),
    ),
    atLeast(
      3,
      'TCP both ways against the relay: throughput',
      against('relay', ({ both }) => both.bytesPerSecond),
    ),
    atLeast(
      4.5,
      'TCP one way with big packets against the relay: throughput',
      against('relay', ({ one }) => one.bytesPerSecond, 'garligate, big'),
    ),
    atMost(
      0.18,
      'TCP one way with big packets against the relay: CPU per GB',
      against('relay', ({ one }) => one.cpuSecondsPerGigabyte, 'garligate, big'),
    ),
    atLeast(
      2,
      'UDP of 64 bytes against the relay: datagrams',
      against('relay', (round) => round.datagrams[64] ?? 0),
    ),
    atMost(
      0.4,
      'ping under load against the relay: median',
      against('relay', ({ one }) => median(one.roundTrips)),
    ),
    atLeast(
      1,
      'TCP one way against wireguard-go: throughput',
      against('wireguard-go', ({ one }) => one.bytesPerSecond),
    ),
    atMost(80, 'memory of a gateway, MiB', largest / MEBIBYTE),
    atMost(0, 'datagrams with wrong bytes', wrong),
  ];
}

export function printTunnelReport({ machine, rounds, goals }: TunnelBenchReport): string {
  const sections = [machineLine(machine)];
  for (const [title, load] of [
    ['TCP one way', (round: Round) => round.one],
    ['TCP both ways', (round: Round) => round.both],
  ] as const) {
    const heading = [title, 'Gbit/s', 'spread', '× relay', 'CPU s/GB', '× relay', 'retransmits', 'ping p50 / p99, ms'];
    const rows = TUNNELS.map((name) => {
      const rates = figures(rounds, name, (round) => load(round).bytesPerSecond / GIGABIT);
      const relay = figures(rounds, 'relay', (round) => load(round).bytesPerSecond / GIGABIT);
      const cpu = figures(rounds, name, (round) => load(round).cpuSecondsPerGigabyte);
      const relayCpu = figures(rounds, 'relay', (round) => load(round).cpuSecondsPerGigabyte);
      const trips = rounds[name].flatMap((round) => load(round).roundTrips);
      return [
        name,
        median(rates).toFixed(2),
        `${(spread(rates) * 100).toFixed(0)} %`,
        ratio(rates, relay).toFixed(2),
        name === 'veth' ? '-' : median(cpu).toFixed(2),
        name === 'veth' ? '-' : ratio(cpu, relayCpu).toFixed(2),
        median(figures(rounds, name, (round) => load(round).retransmits)).toFixed(0),
        percentiles(trips, 2),
      ];
    });
    sections.push(table([heading, ...rows]));
  }
  const sizes = Object.keys(rounds.veth[0]?.datagrams ?? {}).map(Number);
  const heading = ['', ...sizes.map((size) => `UDP ${size} B, 1000/s`), 'ping idle p50 / p99, ms', 'MiB each'];
  const rows = TUNNELS.map((name) => [
    name,
    ...sizes.map((size) => (median(figures(rounds, name, (round) => round.datagrams[size] ?? 0)) / 1e3).toFixed(0)),
    percentiles(
      rounds[name].flatMap(({ idle }) => idle),
      2,
    ),
    name === 'veth' ? '-' : (median(figures(rounds, name, ({ memory }) => memory)) / 2 / MEBIBYTE).toFixed(0),
  ]);
  sections.push(table([heading, ...rows]));
  sections.push(goalsTable(goals));
  return `${sections.join('\n\n')}\n`;
}

/** An SVG of what is compared most: throughput and what it costs. */
export function drawTunnelReport({ machine, rounds }: TunnelBenchReport): string {
  const bars = (figure: (round: Round) => number) =>
    TUNNELS.map((name) => {
      const values = figures(rounds, name, figure);
      return { name, value: median(values), low: Math.min(...values), high: Math.max(...values) };
    });
  return barChart(machineLine(machine), [
    { title: 'TCP one way, Gbit/s', bars: bars(({ one }) => one.bytesPerSecond / GIGABIT) },
    { title: 'TCP both ways, Gbit/s', bars: bars(({ both }) => both.bytesPerSecond / GIGABIT) },
    { title: 'CPU seconds per GB, both ends', bars: bars(({ one }) => one.cpuSecondsPerGigabyte) },
    { title: 'UDP of 64 bytes, 1000 per second', bars: bars((round) => (round.datagrams[64] ?? 0) / 1e3) },
    { title: 'ping under load, median, ms', bars: bars(({ one }) => median(one.roundTrips)) },
  ]);
}

/**
 * `npm run bench -- tunnel`, the part about many peers: what a packet costs beside 1 to 1,000 configured peers, each with a
 * network behind it and firewall rules of its own. The pairs run side by side and are loaded one after the other.
 */
import { withCleanup } from './lib/cleanup.ts';
import { compileTunnelPrograms } from './lib/compile.ts';
import { atMost, type Goal, goalsTable } from './lib/goals.ts';
import { median, ratio, spread } from './lib/statistics.ts';
import { table } from './lib/table.ts';
import { startGateways } from './tunnel/gateways.ts';
import { steadyDatagrams, tcp } from './tunnel/loads.ts';
import { openGround } from './tunnel/site.ts';
import { type Tunnel, untilCarrying } from './tunnel/tunnels.ts';

export interface TunnelScaleOptions {
  readonly rounds: number;
  /** Of each load. */
  readonly seconds: number;
  readonly note: (text: string) => void;
}

interface Sample {
  readonly bytesPerSecond: number;
  readonly cpuSecondsPerGigabyte: number;
  readonly cpuSecondsPerMillionDatagrams: number;
}

export interface TunnelScaleReport {
  readonly pairs: readonly { readonly peers: number; readonly samples: readonly Sample[] }[];
  readonly goals: readonly Goal[];
}

const PEERS = [1, 10, 100, 1000] as const;
/** A datagram is a packet of its own all the way, and the smallest are the dearest for each byte. */
const DATAGRAM = 64;
const DATAGRAM_RATE = 20_000;
const AS_FAST_AS_IT_GOES = { rate: 0, delayMs: 0 };
const GIGABIT = 1e9 / 8;

export function benchTunnelScale({ rounds, seconds, note }: TunnelScaleOptions): Promise<TunnelScaleReport> {
  return withCleanup(async (cleanup) => {
    const programs = await compileTunnelPrograms();
    const ground = await openGround(programs, AS_FAST_AS_IT_GOES, cleanup);
    const pairs: { peers: number; tunnel: Tunnel; samples: Sample[] }[] = [];
    for (const peers of PEERS) {
      note(`gateways with ${peers} peers`);
      const site = await ground.add();
      const { address, programs: ends } = await startGateways(site, { bigPackets: false, others: peers - 1 });
      const tunnel = { address, programs: ends, on: site.on };
      await untilCarrying(site, tunnel, `a pair with ${peers} peers`);
      await tcp(tunnel, 1, 'one');
      pairs.push({ peers, tunnel, samples: [] });
    }
    for (let round = 1; round <= rounds; round += 1) {
      for (const { peers, tunnel, samples } of pairs) {
        note(`round ${round} of ${rounds}: ${peers} peers`);
        const { bytesPerSecond, cpuSecondsPerGigabyte } = await tcp(tunnel, seconds, 'one');
        const perMillion = await steadyDatagrams(tunnel, programs, DATAGRAM, DATAGRAM_RATE, seconds);
        samples.push({ bytesPerSecond, cpuSecondsPerGigabyte, cpuSecondsPerMillionDatagrams: perMillion });
      }
    }
    const report = pairs.map(({ peers, samples }) => ({ peers, samples }));
    return { pairs: report, goals: judge(report) };
  });
}

/** Somewhat above the noise: what grows with the number of peers would grow a hundredfold. */
const NOT_GROWN = 1.25;

function judge(pairs: TunnelScaleReport['pairs']): Goal[] {
  const against = (figure: (sample: Sample) => number) => {
    const [few, many] = [pairs.at(0), pairs.at(-1)].map((pair) => (pair?.samples ?? []).map(figure));
    return ratio(many ?? [], few ?? []);
  };
  return [
    atMost(
      NOT_GROWN,
      'CPU per GB of TCP with 1000 peers against one',
      against((sample) => sample.cpuSecondsPerGigabyte),
    ),
    atMost(
      NOT_GROWN,
      'CPU per datagram with 1000 peers against one',
      against((sample) => sample.cpuSecondsPerMillionDatagrams),
    ),
  ];
}

export function printTunnelScaleReport({ pairs, goals }: TunnelScaleReport): string {
  const heading = ['peers', 'TCP, Gbit/s', 'spread', 'CPU s/GB', 'spread', 'CPU s per million UDP 64 B', 'spread'];
  const rows = pairs.map(({ peers, samples }) => [
    String(peers),
    ...[
      samples.map(({ bytesPerSecond }) => bytesPerSecond / GIGABIT),
      samples.map(({ cpuSecondsPerGigabyte }) => cpuSecondsPerGigabyte),
      samples.map(({ cpuSecondsPerMillionDatagrams }) => cpuSecondsPerMillionDatagrams),
    ].flatMap((values) => [median(values).toFixed(2), `${(spread(values) * 100).toFixed(0)} %`]),
  ]);
  return `${table([heading, ...rows])}\n\n${goalsTable(goals)}\n`;
}

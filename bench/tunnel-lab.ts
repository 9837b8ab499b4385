/**
 * `npm run bench -- tunnel`, the part on the lab: the same loads over real routers. Beside the gateways stands the relay that
 * moves packet by packet, with a bare SAM stream between the same two routers, so that both have the same to put up with.
 */
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { type Lab, startLab } from '../scripts/lab/lab.ts';
import { openSession } from '../scripts/lab/sam-client.ts';
import { bareStream } from './lib/bare-stream.ts';
import { type Cleanup, withCleanup } from './lib/cleanup.ts';
import { compileTunnelPrograms, type TunnelPrograms } from './lib/compile.ts';
import { describeMachine, type Machine, machineLine } from './lib/machine.ts';
import { type Program, weigh } from './lib/program.ts';
import { quietProgress } from './lib/quiet-progress.ts';
import { median, percentiles, ratio, spread } from './lib/statistics.ts';
import { table } from './lib/table.ts';
import { DATAGRAM_PORT, IPERF_PORT, tcp } from './tunnel/loads.ts';
import { measureRound, type Round, type RoundPlan } from './tunnel/round.ts';
import { HOSTS, type Host, hostsIn } from './tunnel/site.ts';
import { joinRelays, type Tunnel } from './tunnel/tunnels.ts';

export interface TunnelLabOptions {
  readonly rounds: number;
  /** Of each load. */
  readonly seconds: number;
  readonly note: (text: string) => void;
}

const NAMES = ['relay', 'garligate'] as const;
type Name = (typeof NAMES)[number];

export interface TunnelLabReport {
  readonly machine: Machine;
  readonly rounds: Readonly<Record<Name, readonly Round[]>>;
}

/** Routers hold some hundred milliseconds of what they are sent. */
const PLAN: RoundPlan = {
  sizes: [64, 1400],
  search: { first: 500, step: 1.5, halvings: 1, settleMs: 1_000 },
  idleSeconds: 2,
};
const ALLOW = [`tcp/${IPERF_PORT}`, `udp/${DATAGRAM_PORT}`];
const MEGABYTE = 1e6;
const MEBIBYTE = 2 ** 20;

export function benchTunnelLab({ rounds, seconds, note }: TunnelLabOptions): Promise<TunnelLabReport> {
  return withCleanup(async (cleanup) => {
    const programs = await compileTunnelPrograms();
    const { interrupted: signal } = cleanup;
    const lab = await startLab({ signal, progress: quietProgress(note), keys: 'reserved', allow: ALLOW });
    cleanup.add(() => lab.stop());
    const keep = (program: Program) => cleanup.add(() => program.stop());
    const hosts = hostsIn({ a: lab.a.namespace, b: lab.b.namespace }, keep);
    const lines = await waitAtSockets(lab, cleanup);
    const tunnels: Record<Name, Tunnel> = {
      relay: await joinRelays(hosts, programs, lines),
      garligate: { address: lab.b.addresses.oc, programs: [lab.a, lab.b].map(weighGateway), on: hosts.on },
    };
    for (const name of NAMES) await tcp(tunnels[name], 1, 'both');
    return { machine: describeMachine(), rounds: await loadAll(tunnels, programs, { rounds, seconds, note }) };
  });
}

async function loadAll(
  tunnels: Readonly<Record<Name, Tunnel>>,
  programs: TunnelPrograms,
  { rounds, seconds, note }: TunnelLabOptions,
): Promise<TunnelLabReport['rounds']> {
  const samples: Record<Name, Round[]> = { relay: [], garligate: [] };
  for (let round = 1; round <= rounds; round += 1) {
    for (const name of NAMES) {
      note(`lab round ${round} of ${rounds}: ${name}`);
      samples[name].push(await measureRound(tunnels[name], programs, PLAN, seconds, samples[name].at(-1)));
    }
  }
  return samples;
}

function weighGateway({ name, pid }: Lab['a']) {
  const known = pid();
  if (known === undefined) throw new Error(`gateway ${name} does not run`);
  return weigh(known);
}

/**
 * A stream of SAM between the routers of both gateways, each end of which waits at a unix socket for a program to connect.
 *
 * @returns the paths of these
 */
async function waitAtSockets(
  { network }: Lab,
  { interrupted: signal, add: undo }: Cleanup,
): Promise<Record<Host, string>> {
  const open = async (router: number) => {
    const session = await openSession((stop) => network.openBridge(router, stop), 'TRANSIENT', signal);
    undo(() => session.close());
    return session;
  };
  const [from, to] = await Promise.all([open(1), open(2)]);
  const stream = await bareStream(from, to, signal);
  const ends: Record<Host, Socket> = { a: stream.from, b: stream.to };
  const paths: Record<Host, string> = { a: join(network.directory, 'bare-a'), b: join(network.directory, 'bare-b') };
  for (const host of HOSTS) {
    const end = ends[host];
    undo(() => void end.destroy());
    const server = createServer((socket) => {
      server.close();
      // Both end with the relay.
      for (const one of [socket, end]) one.on('error', () => {});
      end.pipe(socket).pipe(end);
    });
    server.listen(paths[host]);
    undo(() => void server.close());
  }
  return paths;
}

export function printTunnelLabReport({ machine, rounds }: TunnelLabReport): string {
  const figures = (name: Name, figure: (round: Round) => number) => rounds[name].map(figure);
  const row = (what: string, digits: number, figure: (round: Round) => number) => [
    what,
    ...NAMES.flatMap((name) => [
      median(figures(name, figure)).toFixed(digits),
      `${(spread(figures(name, figure)) * 100).toFixed(0)} %`,
    ]),
    ratio(figures('garligate', figure), figures('relay', figure)).toFixed(2),
  ];
  const trips = (what: string, pick: (round: Round) => readonly number[]) => [
    what,
    ...NAMES.flatMap((name) => [percentiles(rounds[name].flatMap(pick), 1), '']),
    ratio(
      figures('garligate', (round) => median(pick(round))),
      figures('relay', (round) => median(pick(round))),
    ).toFixed(2),
  ];
  const rows = [
    row('TCP one way, MB/s', 2, ({ one }) => one.bytesPerSecond / MEGABYTE),
    row('the same, CPU s/GB of both ends', 2, ({ one }) => one.cpuSecondsPerGigabyte),
    row('TCP both ways, MB/s', 2, ({ both }) => both.bytesPerSecond / MEGABYTE),
    row('the same, CPU s/GB of both ends', 2, ({ both }) => both.cpuSecondsPerGigabyte),
    ...PLAN.sizes.map((size) => row(`UDP of ${size} bytes per second`, 0, (round) => round.datagrams[size] ?? 0)),
    trips('ping idle, p50 / p99, ms', ({ idle }) => idle),
    trips('ping under TCP one way, p50 / p99, ms', ({ one }) => one.roundTrips),
    trips('ping under TCP both ways, p50 / p99, ms', ({ both }) => both.roundTrips),
    row('memory, MiB each', 0, ({ memory }) => memory / HOSTS.length / MEBIBYTE),
  ];
  const heading = ['over real routers', ...NAMES.flatMap((name) => [name, 'spread']), '× relay'];
  return `${machineLine(machine)}\n\n${table([heading, ...rows])}\n`;
}

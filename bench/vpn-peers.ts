/**
 * `npm run bench -- vpn`, the part about peers: whether the first packets to one are lost while its stream is being built,
 * and what many peers cost that are idle, or take nothing.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { waitUntil } from '../scripts/lab/command.ts';
import { withCleanup } from './lib/cleanup.ts';
import { compileTunnelPrograms } from './lib/compile.ts';
import { atMost, type Goal, goalsTable } from './lib/goals.ts';
import type { Program } from './lib/program.ts';
import { table } from './lib/table.ts';
import { startGateways, startLoneGateway } from './tunnel/gateways.ts';
import { type Line, openGround, type Site } from './tunnel/site.ts';

export interface VpnPeersOptions {
  /** Fresh starts, each with its first packets. */
  readonly starts: number;
  readonly line: Line;
  readonly note: (text: string) => void;
}

export interface VpnPeersReport {
  readonly firstSent: number;
  readonly firstAnswered: number;
  /** Bytes. */
  readonly idle: number;
  /** While one peer that takes nothing is flooded, and while many are. */
  readonly one: number;
  readonly flooded: number;
  readonly goals: readonly Goal[];
}

const FIRST_PACKETS = 5;
const IDLE_PEERS = 500;
const STALLED_PEERS = 50;
const MEBIBYTE = 2 ** 20;
const KIBIBYTE = 2 ** 10;
/** docs/limits.md, for one flow to each of them and `vpn.queue.bytes` as it is unless told. */
const PER_STALLED_PEER = (1024 + 72 + 32 + 160 + 64) * KIBIBYTE;
const DATAGRAM = 1_400;
const FLOOD_PORT = '5301';
const FLOOD_RATE = 200;
/** Twice what a queue holds. */
const FLOOD_SECONDS = 8;
const UP_MS = 30_000;
const SETTLE_MS = 3_000;

export function benchVpnPeers({ starts, line, note }: VpnPeersOptions): Promise<VpnPeersReport> {
  return withCleanup(async (cleanup) => {
    const programs = await compileTunnelPrograms();
    const ground = await openGround(programs, line, cleanup);
    note('first packets');
    const pair = await ground.add();
    const firstAnswered = await firstPackets(pair, starts);
    note(`${IDLE_PEERS} idle peers`);
    const { idle, one, flooded } = await manyPeers(await ground.add(), programs.datagrams);
    const firstSent = starts * FIRST_PACKETS;
    const goals = [
      atMost(0, 'first packets to a peer that were lost', firstSent - firstAnswered),
      atMost(100, `memory with ${IDLE_PEERS} idle peers, MiB`, idle / MEBIBYTE),
      atMost(
        1,
        `memory for ${STALLED_PEERS} stalled peers, against the formula`,
        Math.max(0, flooded - one) / (STALLED_PEERS * PER_STALLED_PEER),
      ),
    ];
    return { firstSent, firstAnswered, idle, one, flooded, goals };
  });
}

async function firstPackets(site: Site, starts: number): Promise<number> {
  const gateways = await startGateways(site);
  let answered = 0;
  for (let start = 0; start < starts; start += 1) {
    if (start > 0) await gateways.restart();
    // Nothing has been sent to the peer yet: the interface is all that is waited for.
    await untilRouted(site, gateways.address);
    const args = ['-6', '-n', '-c', `${FIRST_PACKETS}`, '-i', '0.2', '-W', '20', gateways.address];
    const said = await site.run('a', 'sh', '-c', '"$@" || [ $? = 1 ]', 'sh', 'ping', ...args);
    answered += Number(/(\d+) received/.exec(said)?.[1] ?? 0);
  }
  return answered;
}

async function untilRouted(site: Site, address: string): Promise<void> {
  const look = async () => {
    const route = await site.run('a', 'ip', '-6', 'route', 'get', address);
    return / dev /.test(route) && !/unreachable|prohibit/.test(route) ? true : undefined;
  };
  await waitUntil('the gateway has its interface', look, { timeoutMs: UP_MS, everyMs: 20 });
}

type Memory = Pick<VpnPeersReport, 'idle' | 'one' | 'flooded'>;

async function manyPeers(site: Site, datagrams: string): Promise<Memory> {
  const { program, addresses } = await startLoneGateway(site, IDLE_PEERS);
  const [first = '', ...others] = addresses;
  await untilRouted(site, first);
  await untilIdle(program);
  const idle = program.memory();
  // As fast as all of them together later: what a flood costs by itself is not what the peers hold.
  const one = await flood(site, datagrams, program, [first], STALLED_PEERS * FLOOD_RATE);
  const flooded = await flood(site, datagrams, program, others.slice(0, STALLED_PEERS), FLOOD_RATE);
  return { idle, one, flooded };
}

/** @returns the most that the gateway held meanwhile */
async function flood(
  site: Site,
  datagrams: string,
  program: Program,
  addresses: readonly string[],
  rate: number,
): Promise<number> {
  let most = 0;
  const look = () => {
    most = Math.max(most, program.memory());
  };
  const watch = setInterval(look, 200);
  const load = [FLOOD_PORT, `${DATAGRAM}`, `${rate}`, `${FLOOD_SECONDS}`];
  try {
    await Promise.all(addresses.map((address) => site.run('a', datagrams, 'send', address, ...load)));
  } finally {
    clearInterval(watch);
  }
  look();
  return most;
}

/** Until it has done what it does once. */
async function untilIdle(program: Program): Promise<void> {
  const look = async () => {
    const before = program.cpuSeconds();
    await pause(SETTLE_MS);
    return program.cpuSeconds() - before < 0.02 * (SETTLE_MS / 1000) ? true : undefined;
  };
  await waitUntil('the gateway has nothing more to do', look, { timeoutMs: 60_000, everyMs: 0 });
}

export function printVpnPeersReport({ firstSent, firstAnswered, idle, one, flooded, goals }: VpnPeersReport): string {
  const rows = [
    ['first packets answered', `${firstAnswered} of ${firstSent}`],
    [`${IDLE_PEERS} idle peers, MiB`, (idle / MEBIBYTE).toFixed(1)],
    ['the same while one that takes nothing is flooded, MiB', (one / MEBIBYTE).toFixed(1)],
    [`the same while ${STALLED_PEERS} more are, as fast together, MiB`, (flooded / MEBIBYTE).toFixed(1)],
  ];
  return `${table([['peers', ''], ...rows])}\n\n${goalsTable(goals)}\n`;
}

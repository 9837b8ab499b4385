/**
 * `npm run bench -- vpn`, the part about peers: whether the first packets to one are lost while its stream is being built,
 * and what many peers cost that are idle, or take nothing.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { waitUntil } from '../scripts/lab/command.ts';
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
  readonly flooded: number;
  readonly goals: readonly Goal[];
}

const FIRST_PACKETS = 5;
const IDLE_PEERS = 500;
const STALLED_PEERS = 50;
const MEBIBYTE = 2 ** 20;
const KIBIBYTE = 2 ** 10;
/** docs/limits.md, for one flow to each of them and `vpn.queue.bytes` as it is unless told. */
const PER_STALLED_PEER = (256 + 64 + 32 + 160 + 64) * KIBIBYTE;
const DATAGRAM = 1_400;
const FLOOD_PORT = '5301';
const FLOOD_RATE = 200;
/** Twice what a queue holds. */
const FLOOD_SECONDS = 2;
const UP_MS = 30_000;
const SETTLE_MS = 3_000;

export async function benchVpnPeers({ starts, line, note }: VpnPeersOptions): Promise<VpnPeersReport> {
  const programs = await compileTunnelPrograms();
  const ground = await openGround(programs, line);
  try {
    note('first packets');
    const pair = await ground.add();
    const firstAnswered = await firstPackets(pair, starts);
    note(`${IDLE_PEERS} idle peers`);
    const { idle, flooded } = await manyPeers(await ground.add(), programs.datagrams);
    const firstSent = starts * FIRST_PACKETS;
    const goals = [
      atMost(0, 'first packets to a peer that were lost', firstSent - firstAnswered),
      atMost(100, `memory with ${IDLE_PEERS} idle peers, MiB`, idle / MEBIBYTE),
      atMost(
        1,
        `memory for ${STALLED_PEERS} stalled peers, against the formula`,
        Math.max(0, flooded - idle) / (STALLED_PEERS * PER_STALLED_PEER),
      ),
    ];
    return { firstSent, firstAnswered, idle, flooded, goals };
  } finally {
    await ground.end();
  }
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

async function manyPeers(site: Site, datagrams: string): Promise<{ idle: number; flooded: number }> {
  const { program, addresses } = await startLoneGateway(site, IDLE_PEERS);
  const [first = ''] = addresses;
  await untilRouted(site, first);
  await untilIdle(program);
  const idle = program.memory();
  const floods = addresses.slice(0, STALLED_PEERS).map((address) => {
    const load = [`${DATAGRAM}`, `${FLOOD_RATE}`, `${FLOOD_SECONDS}`];
    return site.run('a', datagrams, 'send', address, FLOOD_PORT, ...load);
  });
  let flooded = 0;
  const watch = setInterval(() => {
    flooded = Math.max(flooded, program.memory());
  }, 200);
  try {
    await Promise.all(floods);
  } finally {
    clearInterval(watch);
  }
  return { idle, flooded: Math.max(flooded, program.memory()) };
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

export function printVpnPeersReport({ firstSent, firstAnswered, idle, flooded, goals }: VpnPeersReport): string {
  const rows = [
    ['first packets answered', `${firstAnswered} of ${firstSent}`],
    [`${IDLE_PEERS} idle peers, MiB`, (idle / MEBIBYTE).toFixed(1)],
    [`the same while ${STALLED_PEERS} are flooded and take nothing, MiB`, (flooded / MEBIBYTE).toFixed(1)],
  ];
  return `${table([['peers', ''], ...rows])}\n\n${goalsTable(goals)}\n`;
}

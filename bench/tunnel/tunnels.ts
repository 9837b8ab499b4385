/**
 * Tunnels under measurement: two hosts each, in namespaces of their own, and a way for IPv6 packets from one to the other.
 * Brings them up and takes them down; loads nothing.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { waitUntil } from '../../scripts/lab/command.ts';
import type { Cleanup } from '../lib/cleanup.ts';
import type { TunnelPrograms } from '../lib/compile.ts';
import { type Program, untilSaid, type Weighed } from '../lib/program.ts';
import { startGateways } from './gateways.ts';
import { HOSTS, type Host, type Hosts, type Line, MTU, openGround, type Site, startLine } from './site.ts';

export const TUNNELS = ['veth', 'relay', 'wireguard-go', 'garligate', 'garligate, big'] as const;
export type TunnelName = (typeof TUNNELS)[number];

export interface Tunnel {
  /** Of host b, through the tunnel. */
  readonly address: string;
  /** Of both ends; none for a cable. */
  readonly programs: readonly Weighed[];
  /** The command line of a program on one of the hosts. */
  on(host: Host, command: string, args: readonly string[]): [string, string[]];
}

const PLAIN_PORT = '7700';
const WIREGUARD_PORT = '51820';
const UP_MS = 30_000;
/** Of the hosts inside a tunnel that has no addresses of its own. */
const INSIDE = { a: 'fd00::a', b: 'fd00::b' } as const;

/** @throws Error when one of them does not come up */
export async function startTunnels(
  names: readonly TunnelName[],
  programs: TunnelPrograms,
  line: Line,
  cleanup: Cleanup,
): Promise<ReadonlyMap<TunnelName, Tunnel>> {
  const ground = await openGround(programs, line, cleanup);
  const tunnels = new Map<TunnelName, Tunnel>();
  for (const name of names) {
    const site = await ground.add();
    const tunnel = await START[name](site);
    await untilCarrying(site, tunnel, name);
    tunnels.set(name, tunnel);
  }
  return tunnels;
}

/** @throws Error when no echo comes back in time */
export async function untilCarrying(site: Site, { address }: Tunnel, what: string): Promise<void> {
  const look = () => site.run('a', 'ping', '-6', '-c', '1', '-W', '1', address);
  await waitUntil(`${what} carries packets`, look, { timeoutMs: UP_MS });
}

const START: Readonly<Record<TunnelName, (site: Site) => Promise<Tunnel>>> = {
  veth: startCable,
  relay: startRelays,
  'wireguard-go': startWireguard,
  garligate: (site) => startPair(site, false),
  'garligate, big': (site) => startPair(site, true),
};

async function startPair(site: Site, bigPackets: boolean): Promise<Tunnel> {
  const { address, programs } = await startGateways(site, { bigPackets });
  return { address, programs, on: site.on };
}

async function giveAddresses(site: Hosts, interfaces: Readonly<Record<Host, string>>): Promise<void> {
  for (const host of HOSTS) {
    await site.run(host, 'ip', 'address', 'add', `${INSIDE[host]}/64`, 'dev', interfaces[host], 'nodad');
    await site.run(host, 'ip', 'link', 'set', interfaces[host], 'mtu', String(MTU), 'up');
  }
}

async function startCable(site: Site): Promise<Tunnel> {
  await giveAddresses(site, { a: 'eth0', b: 'eth0' });
  return { address: INSIDE.b, programs: [], on: site.on };
}

async function startRelays(site: Site): Promise<Tunnel> {
  await startLine(site);
  return joinRelays(site, site.programs, { a: PLAIN_PORT, b: PLAIN_PORT });
}

/** @param lines what each relay is to connect to: a port of its host's loopback, or the path of a unix socket */
export async function joinRelays(
  site: Hosts,
  { relay }: TunnelPrograms,
  lines: Readonly<Record<Host, string>>,
): Promise<Tunnel> {
  for (const host of HOSTS) await site.run(host, 'ip', 'tuntap', 'add', 'relay0', 'mode', 'tun');
  await giveAddresses(site, { a: 'relay0', b: 'relay0' });
  const programs: Program[] = [];
  for (const host of HOSTS) {
    const program = site.start(host, relay, 'relay0', lines[host]);
    await untilSaid(program, /ready/, 5_000);
    programs.push(program);
  }
  return { address: INSIDE.b, programs, on: site.on };
}

async function startWireguard(site: Site): Promise<Tunnel> {
  // Its control sockets stand in one folder for all namespaces.
  const names = { a: `wga${process.pid}`, b: `wgb${process.pid}` };
  const publicKeys: Partial<Record<Host, string>> = {};
  const programs: Program[] = [];
  for (const host of HOSTS) {
    const keyFile = join(site.folder, names[host]);
    const key = await site.run(host, 'wg', 'genkey');
    await writeFile(keyFile, key, { mode: 0o600 });
    publicKeys[host] = (await site.run(host, 'sh', '-c', `wg pubkey < ${keyFile}`)).trim();
    programs.push(site.start(host, 'wireguard-go', '--foreground', names[host]));
    const there = () => site.run(host, 'wg', 'show', names[host]);
    await waitUntil(`wireguard-go has made ${names[host]}`, there, { timeoutMs: UP_MS });
  }
  for (const host of HOSTS) {
    const other = host === 'a' ? 'b' : 'a';
    const own = ['private-key', join(site.folder, names[host]), 'listen-port', WIREGUARD_PORT];
    const endpoint = ['endpoint', `${site.outside[other]}:${WIREGUARD_PORT}`];
    const peer = ['peer', publicKeys[other] ?? '', 'allowed-ips', '::/0', ...endpoint];
    await site.run(host, 'wg', 'set', names[host], ...own, ...peer);
  }
  await giveAddresses(site, names);
  return { address: INSIDE.b, programs, on: site.on };
}

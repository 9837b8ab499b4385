/**
 * Tunnels under measurement: two hosts each, in namespaces of their own, and a way for IPv6 packets from one to the other.
 * Brings them up and takes them down; loads nothing.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { waitUntil } from '../../scripts/lab/command.ts';
import { generateKeys } from '../../scripts/lab/destination-keys.ts';
import { createSegment, inNamespace, runInside, type Segment } from '../../scripts/lab/namespaces.ts';
import { ROOT } from '../../scripts/lib/command.mjs';
import { addressesOf, formatAddress } from '../../src/wire/i2p/address.ts';
import type { TunnelPrograms } from '../lib/compile.ts';
import { type Program, startProgram, untilSaid } from '../lib/program.ts';

export const TUNNELS = ['veth', 'relay', 'wireguard-go', 'garligate'] as const;
export type TunnelName = (typeof TUNNELS)[number];

export type Host = 'a' | 'b';
const HOSTS: readonly Host[] = ['a', 'b'];

export interface Tunnel {
  /** Of host b, through the tunnel. */
  readonly address: string;
  /** Of both ends; none for a cable. */
  readonly programs: readonly Program[];
  /** The command line of a program on one of the hosts. */
  on(host: Host, command: string, args: readonly string[]): [string, string[]];
}

/** How the line between two gateways is. */
export interface Line {
  /** Bytes per second and direction of each stream; 0 for as fast as it goes. */
  readonly rate: number;
  /** Milliseconds one way. */
  readonly delayMs: number;
}

export interface Tunnels {
  readonly of: ReadonlyMap<TunnelName, Tunnel>;
  end(): Promise<void>;
}

const MTU = 1500;
const SAM_PORT = '7656';
const PLAIN_PORT = '7700';
const WIREGUARD_PORT = '51820';
const UP_MS = 30_000;
/** Of the hosts inside a tunnel that has no addresses of its own. */
const INSIDE = { a: 'fd00::a', b: 'fd00::b' } as const;

/** @throws Error when one of them does not come up; nothing stays behind then */
export async function startTunnels(
  names: readonly TunnelName[],
  programs: TunnelPrograms,
  line: Line,
): Promise<Tunnels> {
  const undo: (() => Promise<void>)[] = [];
  const end = async () => {
    for (const step of undo.splice(0).reverse()) await step();
  };
  try {
    const folder = await mkdtemp(join(tmpdir(), 'garligate-bench-'));
    undo.push(() => rm(folder, { recursive: true, force: true }));
    const segment = await createSegment(`garbench${process.pid}`);
    undo.push(() => segment.remove());
    const of = new Map<TunnelName, Tunnel>();
    for (const [index, name] of names.entries()) {
      const keep = (program: Program) => undo.push(() => program.stop());
      const site = await prepareSite({ segment, folder, programs, line, index, keep });
      const tunnel = await START[name](site);
      await waitUntil(
        `${name} carries packets`,
        () => site.run('a', 'ping', '-6', '-c', '1', '-W', '1', tunnel.address),
        {
          timeoutMs: UP_MS,
        },
      );
      of.set(name, tunnel);
    }
    return { of, end };
  } catch (error) {
    await end();
    throw error;
  }
}

interface Plan {
  readonly segment: Segment;
  readonly folder: string;
  readonly programs: TunnelPrograms;
  readonly line: Line;
  readonly index: number;
  keep(program: Program): void;
}

/** Two hosts with a cable between them. */
interface Site extends Plan {
  readonly outside: Readonly<Record<Host, string>>;
  on(host: Host, command: string, args: readonly string[]): [string, string[]];
  run(host: Host, command: string, ...args: string[]): Promise<string>;
  start(host: Host, command: string, ...args: string[]): Program;
}

async function prepareSite(plan: Plan): Promise<Site> {
  const { segment, index } = plan;
  const outside = { a: `198.18.${200 + index}.1`, b: `198.18.${200 + index}.2` };
  const namespaces = { a: `${segment.name}-${index}a`, b: `${segment.name}-${index}b` };
  for (const host of HOSTS) await segment.add(`${index}${host}`, outside[host]);
  const on = (host: Host, command: string, args: readonly string[]) => inNamespace(namespaces[host], command, args);
  return {
    ...plan,
    outside,
    on,
    run: (host, command, ...args) => runInside(namespaces[host], command, args),
    start: (host, command, ...args) => {
      const program = startProgram(...on(host, command, args));
      plan.keep(program);
      return program;
    },
  };
}

const START: Readonly<Record<TunnelName, (site: Site) => Promise<Tunnel>>> = {
  veth: startCable,
  relay: startRelays,
  'wireguard-go': startWireguard,
  garligate: startGateways,
};

async function giveAddresses(site: Site, interfaces: Readonly<Record<Host, string>>): Promise<void> {
  for (const host of HOSTS) {
    await site.run(host, 'ip', 'address', 'add', `${INSIDE[host]}/64`, 'dev', interfaces[host], 'nodad');
    await site.run(host, 'ip', 'link', 'set', interfaces[host], 'mtu', String(MTU), 'up');
  }
}

async function startCable(site: Site): Promise<Tunnel> {
  await giveAddresses(site, { a: 'eth0', b: 'eth0' });
  return { address: INSIDE.b, programs: [], on: site.on };
}

async function startLine({ segment, index, programs, line, keep }: Site): Promise<void> {
  const namespaces = HOSTS.map((host) => `/run/netns/${segment.name}-${index}${host}`);
  const program = startProgram(programs.line, [String(line.rate), String(line.delayMs), ...namespaces]);
  keep(program);
  await untilSaid(program, /ready/, 5_000);
}

async function startRelays(site: Site): Promise<Tunnel> {
  await startLine(site);
  for (const host of HOSTS) await site.run(host, 'ip', 'tuntap', 'add', 'relay0', 'mode', 'tun');
  await giveAddresses(site, { a: 'relay0', b: 'relay0' });
  const programs: Program[] = [];
  for (const host of HOSTS) {
    const program = site.start(host, site.programs.relay, 'relay0', PLAIN_PORT);
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

async function startGateways(site: Site): Promise<Tunnel> {
  await startLine(site);
  const keys = { a: generateKeys(), b: generateKeys() };
  const programs: Program[] = [];
  for (const host of HOSTS) {
    const files = join(site.folder, `gateway-${host}`);
    const peer = keys[host === 'a' ? 'b' : 'a'].destination.b32;
    await writeFile(`${files}.key`, `${keys[host].base64}\n`, { mode: 0o600 });
    await writeFile(`${files}.toml`, gatewayConfig(files, peer));
    programs.push(site.start(host, process.execPath, join(ROOT, 'bin/garligate'), 'run', '--config', `${files}.toml`));
  }
  return { address: formatAddress(addressesOf(keys.b.destination.b32).oc), programs, on: site.on };
}

function gatewayConfig(files: string, peer: string): string {
  return `socks = []

[router]
sam = "127.0.0.1:${SAM_PORT}"

[identity]
key_file = "${files}.key"

[vpn]
mtu = ${MTU}

[control]
socket = "${files}.sock"

[[peer]]
name = "other"
destination = "${peer}.b32.i2p"
allow = ["all"]
`;
}

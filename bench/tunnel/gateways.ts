/** garligate under measurement: its config files, two gateways that are each other's peer, and one with many peers. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { generateKeys } from '../../scripts/lab/destination-keys.ts';
import { ROOT } from '../../scripts/lib/command.mjs';
import { addressesOf, formatAddress } from '../../src/wire/i2p/address.ts';
import type { Program } from '../lib/program.ts';
import { HOSTS, type Host, MTU, type Site, startLine } from './site.ts';

const SAM_PORT = '7656';

export interface Gateways {
  /** Of host b, through the tunnel. */
  readonly address: string;
  readonly programs: readonly Program[];
  /** Ends the one on host a and starts it again; returns at once. */
  restart(): Promise<void>;
}

export interface GatewaysOptions {
  readonly bigPackets?: boolean;
  /** Peers besides each other, which nobody speaks to: each with a network behind it and rules of its own. */
  readonly others?: number;
}

export async function startGateways(
  site: Site,
  { bigPackets = true, others = 0 }: GatewaysOptions = {},
): Promise<Gateways> {
  await startLine(site);
  const keys = { a: generateKeys(), b: generateKeys() };
  const strangers = Array.from({ length: others }, (_, index) => withNetwork(index));
  const start = async (host: Host) => {
    const peer = { b32: keys[host === 'a' ? 'b' : 'a'].destination.b32, more: ALLOW_ALL };
    // In the middle, so that a search from either end would be seen.
    const peers = strangers.toSpliced(others / 2, 0, peer);
    return startGateway(site, host, keys[host].base64, peers, bigPackets);
  };
  const programs = { a: await start('a'), b: await start('b') };
  return {
    address: formatAddress(addressesOf(keys.b.destination.b32).oc),
    get programs() {
      return HOSTS.map((host) => programs[host]);
    },
    restart: async () => {
      await programs.a.stop();
      programs.a = await start('a');
    },
  };
}

export interface LoneGateway {
  readonly program: Program;
  /** Of its peers. */
  readonly addresses: readonly string[];
}

/** A gateway whose peers are all silent: the router takes its streams and reads nothing from them. */
export async function startLoneGateway(site: Site, peers: number): Promise<LoneGateway> {
  await startLine(site);
  const all = Array.from({ length: peers }, () => ({ b32: generateKeys().destination.b32, more: ALLOW_ALL }));
  const program = await startGateway(site, 'a', generateKeys().base64, all);
  return { program, addresses: all.map(({ b32 }) => formatAddress(addressesOf(b32).oc)) };
}

interface ConfiguredPeer {
  readonly b32: ReturnType<typeof generateKeys>['destination']['b32'];
  /** Lines of its table in the config file. */
  readonly more: string;
}

const ALLOW_ALL = 'allow = ["all"]';

function withNetwork(index: number): ConfiguredPeer {
  const network = `fd12:${index.toString(16)}::/32`;
  const allow = `["icmp", "tcp/${1000 + index}", "udp/${1000 + index}-${2000 + index}"]`;
  const more = `connect = "demand"\nroutes = ["${network}"]\nallow = ${allow}`;
  return { b32: generateKeys().destination.b32, more };
}

async function startGateway(
  site: Site,
  host: Host,
  key: string,
  peers: readonly ConfiguredPeer[],
  bigPackets = true,
): Promise<Program> {
  const files = join(site.folder, `gateway-${site.index}${host}`);
  await writeFile(`${files}.key`, `${key}\n`, { mode: 0o600 });
  await writeFile(`${files}.toml`, gatewayConfig(files, peers, bigPackets));
  return site.start(host, process.execPath, join(ROOT, 'bin/garligate'), 'run', '--config', `${files}.toml`);
}

function gatewayConfig(files: string, peers: readonly ConfiguredPeer[], bigPackets: boolean): string {
  const each = peers.map(
    ({ b32, more }, index) => `[[peer]]\nname = "peer${index}"\ndestination = "${b32}.b32.i2p"\n${more}\n`,
  );
  return `socks = []

[router]
sam = "127.0.0.1:${SAM_PORT}"

[identity]
key_file = "${files}.key"

[vpn]
mtu = ${MTU}
big_packets = ${bigPackets}

[control]
socket = "${files}.sock"

${each.join('\n')}`;
}

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

export async function startGateways(site: Site, bigPackets = true): Promise<Gateways> {
  await startLine(site);
  const keys = { a: generateKeys(), b: generateKeys() };
  const start = async (host: Host) => {
    const peer = keys[host === 'a' ? 'b' : 'a'].destination.b32;
    return startGateway(site, host, keys[host].base64, [peer], bigPackets);
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
  const names = Array.from({ length: peers }, () => generateKeys().destination.b32);
  const program = await startGateway(site, 'a', generateKeys().base64, names);
  return { program, addresses: names.map((name) => formatAddress(addressesOf(name).oc)) };
}

type B32 = ReturnType<typeof generateKeys>['destination']['b32'];

async function startGateway(
  site: Site,
  host: Host,
  key: string,
  peers: readonly B32[],
  bigPackets = true,
): Promise<Program> {
  const files = join(site.folder, `gateway-${site.index}${host}`);
  await writeFile(`${files}.key`, `${key}\n`, { mode: 0o600 });
  await writeFile(`${files}.toml`, gatewayConfig(files, peers, bigPackets));
  return site.start(host, process.execPath, join(ROOT, 'bin/garligate'), 'run', '--config', `${files}.toml`);
}

function gatewayConfig(files: string, peers: readonly B32[], bigPackets: boolean): string {
  const each = peers.map(
    (peer, index) => `[[peer]]\nname = "peer${index}"\ndestination = "${peer}.b32.i2p"\nallow = ["all"]\n`,
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

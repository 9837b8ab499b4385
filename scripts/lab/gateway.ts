/**
 * One garligate in a namespace of its own, using the SAM bridge of one of the network's routers. Runs the command of the
 * checkout as a person would, with a generated config and key.
 */
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { addressesOf, formatAddress } from '../../src/wire/i2p/address.ts';
import type { Destination } from '../../src/wire/i2p/destination.ts';
import { type BackgroundProgram, startInBackground } from './background.ts';
import { messageOf, runCommand, waitUntil } from './command.ts';
import type { I2pNetwork } from './i2p-network.ts';
import { type NamespaceHelper, startHelper } from './namespace-helper.ts';
import { runInside } from './namespaces.ts';
import { untilNameFound } from './ready.ts';
import type { WallClock } from './wall-clock.ts';

export type GatewayPlan = {
  /** A letter or a short word; also the last part of its namespace's name, and its name as a peer. */
  readonly name: string;
  /** Its own interface's address on the network's segment. */
  readonly address: string;
  /** Number of the router whose SAM bridge it uses. */
  readonly router: number;
  /** Number of a router that must find it before it counts as started. */
  readonly seenFrom: number;
  /** Private key blob and the public part of it. */
  readonly keys: { readonly base64: string; readonly destination: Destination };
  readonly peers: readonly PeerPlan[];
  /** What lies behind it, for its peers to reach; nothing unless told. */
  readonly networks?: readonly string[];
  /** More lines for the config file, for tests of special settings. */
  readonly moreConfig?: string;
  /** What it goes by; the machine's unless told. */
  readonly clock?: WallClock | undefined;
};

export type PeerPlan = {
  readonly name: string;
  readonly destination: Destination;
  /** What it may reach, in the words of the config file. */
  readonly allow: readonly string[];
  /** What lies behind it. */
  readonly routes?: readonly string[];
};

export interface GatewayAddresses {
  readonly oc: string;
  readonly ocat4: string;
}

export interface Gateway {
  readonly name: string;
  readonly namespace: string;
  readonly directory: string;
  readonly configFile: string;
  readonly controlSocket: string;
  readonly logFile: string;
  readonly interfaceName: string;
  /** `host:port` of its SOCKS listener, inside its namespace. */
  readonly socks: string;
  /** Its two VPN addresses as text. */
  readonly addresses: GatewayAddresses;
  /** For work inside the gateway's namespace. */
  readonly helper: NamespaceHelper;
  /** Returns when the interface has its addresses and another router finds the destination. */
  start(signal: AbortSignal): Promise<void>;
  /** Takes another identity from its next start on. */
  becomes(keys: GatewayPlan['keys']): Promise<void>;
  /** While it runs: it has to know its peers by this from now on. @throws Error when it does not take that over */
  changePeers(change: (peer: PeerPlan) => PeerPlan): Promise<void>;
  /** SIGTERM. @throws Error when it does not end by itself, or with an exit code other than 0 */
  stop(): Promise<void>;
  /** kill -9 */
  kill(): Promise<void>;
  signal(name: NodeJS.Signals): void;
  alive(): boolean;
  /** Of its process; undefined before the first start. */
  pid(): number | undefined;
  said(lines?: number): string;
  /** What `garligate peers` shows of it, or why that shows nothing. */
  peersShown(): Promise<string>;
  /** kill -9 for it and everything in its namespace that the lab started. */
  remove(): Promise<void>;
}

export const GATEWAY_COMMAND = fileURLToPath(new URL('../../bin/garligate', import.meta.url));
const INTERFACE = 'garli0';
const SOCKS = '127.0.0.1:9160';
const INTERFACE_MS = 30_000;
/** i2pd 2.45.1 answers SESSION CREATE at 20, 40 or 60 s; then the lease set must reach the floodfills. */
const FOUND_MS = 120_000;
/** What the gateway promises for SIGTERM. */
const STOP_MS = 5_000;

export async function createGateway(network: I2pNetwork, plan: GatewayPlan): Promise<Gateway> {
  if (!existsSync(GATEWAY_COMMAND)) throw new Error(`${GATEWAY_COMMAND} is missing: is the checkout complete?`);
  const directory = join(network.directory, `gateway-${plan.name}`);
  // The gateway has become another user when it reads its config again.
  await mkdir(directory, { mode: 0o755 });
  const keyFile = join(directory, 'identity.key');
  await writeFile(keyFile, `${plan.keys.base64}\n`, { mode: 0o600 });
  const configFile = join(directory, 'garligate.toml');
  const controlSocket = join(directory, 'control.sock');
  let { keys, peers } = plan;
  const writeConfig = () =>
    writeFile(configFile, gatewayConfig(network, { ...plan, peers }, { keyFile, controlSocket }), { mode: 0o644 });
  await writeConfig();

  const namespace = await network.segment.add(plan.name, plan.address);
  const helper = await startHelper(namespace);
  const logFile = join(directory, 'garligate.log');
  const command = (name: string) =>
    runInside(namespace, process.execPath, [GATEWAY_COMMAND, name, '--config', configFile]);
  let program: BackgroundProgram | undefined;
  const said = (lines?: number) => program?.said(lines) ?? '';
  const inVain = () => {
    const ending = program?.ending();
    return ending === undefined ? undefined : `gateway ${plan.name} has ended (${ending}): ${said()}`;
  };

  return {
    name: plan.name,
    namespace,
    directory,
    configFile,
    controlSocket,
    logFile,
    interfaceName: INTERFACE,
    socks: SOCKS,
    get addresses() {
      return addressesAsText(keys.destination);
    },
    helper,
    alive: () => program?.alive() ?? false,
    pid: () => program?.pid,
    said,
    peersShown: () => command('peers').catch(messageOf),
    start: async (signal) => {
      if (program?.alive()) throw new Error(`gateway ${plan.name} runs already`);
      const args = [GATEWAY_COMMAND, 'run', '--config', configFile];
      program = await startInBackground({ namespace, command: process.execPath, args, logFile, clock: plan.clock });
      const addresses = Object.values(addressesAsText(keys.destination));
      const up = async () => ((await hasAddresses(namespace, addresses)) ? true : undefined);
      const what = `${INTERFACE} of gateway ${plan.name} has its addresses`;
      const found = `${keys.destination.b32}.b32.i2p`;
      const open = (stop: AbortSignal) => network.openBridge(plan.seenFrom, stop);
      try {
        await waitUntil(what, up, { timeoutMs: INTERFACE_MS, signal, inVain });
        await untilNameFound(open, found, FOUND_MS, signal, inVain);
      } catch (error) {
        signal.throwIfAborted();
        throw new Error(`gateway ${plan.name} did not come up; it said:\n${said()}`, { cause: error });
      }
    },
    becomes: async (others) => {
      keys = others;
      await writeFile(keyFile, `${keys.base64}\n`);
    },
    changePeers: async (change) => {
      peers = peers.map(change);
      await writeConfig();
      await command('reload');
    },
    stop: async () => {
      const willingly = (await program?.stop(STOP_MS)) ?? true;
      if (!willingly) throw new Error(`gateway ${plan.name} did not end within ${STOP_MS / 1000} s: ${said()}`);
      const ending = program?.ending() ?? 'exit code 0';
      if (ending !== 'exit code 0') throw new Error(`gateway ${plan.name} ended with ${ending}: ${said()}`);
    },
    kill: async () => program?.kill(),
    signal: (name) => program?.signal(name),
    remove: async () => {
      await Promise.all([program?.kill(), helper.stop()]);
    },
  };
}

function addressesAsText({ b32 }: Destination): GatewayAddresses {
  const { oc, ocat4 } = addressesOf(b32);
  return { oc: formatAddress(oc), ocat4: formatAddress(ocat4) };
}

type GatewayFiles = { readonly keyFile: string; readonly controlSocket: string };

/** Tunnels by which i2pd 2.45.1 publishes for certain: see tunnelsConfig in router-config.ts. */
function gatewayConfig(network: I2pNetwork, plan: GatewayPlan, { keyFile, controlSocket }: GatewayFiles): string {
  const { host, port } = network.router(plan.router).sam;
  const peers = plan.peers.map(
    ({ name, destination, allow, routes = [] }) =>
      `[[peer]]\nname = "${name}"\ndestination = "${destination.b32}.b32.i2p"\n` +
      `allow = ${JSON.stringify(allow)}\nroutes = ${JSON.stringify(routes)}\n`,
  );
  return `[router]
sam = "${host}:${port}"
allow_remote = true

[identity]
key_file = "${keyFile}"

[tunnels]
inbound = { length = 1, quantity = 3 }
outbound = { length = 0, quantity = 3 }

[vpn]
enabled = true
interface = "${INTERFACE}"
networks = ${JSON.stringify(plan.networks ?? [])}

${peers.join('\n')}
[[socks]]
listen = "${SOCKS}"

[control]
socket = "${controlSocket}"

[log]
level = "debug"
${plan.moreConfig ?? ''}`;
}

async function hasAddresses(namespace: string, addresses: readonly string[]): Promise<boolean> {
  const shown = await runCommand('ip', ['-n', namespace, '-6', '-o', 'address', 'show', 'dev', INTERFACE]);
  return addresses.every((address) => shown.includes(` ${address}/128 `));
}

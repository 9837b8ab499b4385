/**
 * Whole gateways in one process: the composition of production on a fake bridge and a fake TUN, with real SOCKS ports
 * on loopback. TCP services "on a VPN address" are loopback servers that the connector is told about.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { createGateway, type Gateway } from '../../src/app/gateway.ts';
import { configuredPeers } from '../../src/app/peers.ts';
import { decodeConfig } from '../../src/config/decode.ts';
import type { DatagramPortChoice } from '../../src/config/values.ts';
import type { ConnectorPort, ListenerPort } from '../../src/core/ports.ts';
import { createTcpBridge } from '../../src/io/bridge-tcp.ts';
import { withDatagrams } from '../../src/io/bridge-udp.ts';
import { systemClock } from '../../src/io/clock.ts';
import { generateKeys } from '../../src/io/key-generate.ts';
import { listen } from '../../src/io/listener.ts';
import { createPinoLogger } from '../../src/io/log-pino.ts';
import { openConnection } from '../../src/io/open-connection.ts';
import { SYSTEM_PATHS } from '../../src/io/paths.ts';
import type { Remote } from '../../src/io/sockets.ts';
import { systemSockets } from '../../src/io/system-sockets.ts';
import { kernelUdp } from '../../src/io/udp.ts';
import type { Clock } from '../../src/kit/clock.ts';
import { GateError } from '../../src/kit/errors.ts';
import { type Address, type Addresses, addressesOf, addressKey } from '../../src/wire/i2p/address.ts';
import type { B32, PrivateKeys } from '../../src/wire/i2p/destination.ts';
import type { FakeBridge } from '../helpers/fake-bridge/bridge.ts';
import { FakeTun } from '../helpers/fake-tun.ts';
import { FakeUdp } from '../helpers/fake-udp.ts';

export { generateKeys };

export interface GatewayPlan {
  readonly bridge: FakeBridge;
  readonly keys?: PrivateKeys;
  readonly identities?: ReadonlyMap<string, PrivateKeys>;
  readonly peers?: readonly B32[];
  readonly clock?: Clock;
  readonly vpn?: boolean;
  readonly log?: string[];
  /** How datagrams reach the bridge; over its UDP port by default. */
  readonly datagrams?: DatagramPortChoice;
  /** Further TOML. */
  readonly config?: string;
}

export interface RunningGateway {
  readonly gateway: Gateway;
  readonly keys: PrivateKeys;
  readonly b32: B32;
  readonly addresses: Addresses;
  readonly tun: FakeTun;
  readonly socksPort: number;
  /** Makes a loopback server reachable as a TCP port of a VPN address, for this gateway's connector. */
  serve(address: Address, port: number, server: Server): void;
  stop(): Promise<void>;
}

export async function startGateway(plan: GatewayPlan): Promise<RunningGateway> {
  const keys = plan.keys ?? generateKeys();
  const { b32 } = keys.destination;
  const decoded = decodeConfig(toml(plan), SYSTEM_PATHS);
  if (decoded.kind !== 'config') throw new Error(JSON.stringify(decoded));
  const { config } = decoded;
  const log = createPinoLogger(plan.log === undefined ? 'error' : 'trace', {
    write: (line) => {
      plan.log?.push(line);
    },
  });
  const clock = plan.clock ?? systemClock;
  const listeners: ListenerPort[] = [];
  for (const { listen: endpoint, mode } of config.socks)
    listeners.push(await listen({ endpoint, mode }, { clock, log }));
  const services = new Map<string, Server>();
  const tun = new FakeTun();
  const vpnUdp = new FakeUdp();
  const { host, port } = plan.bridge.address;
  const endpoint = { kind: 'tcp', host, port } as const;
  const gateway = createGateway(config, {
    bridge: withDatagrams(
      createTcpBridge(endpoint, clock),
      endpoint,
      plan.datagrams ?? { kind: 'port', port: plan.bridge.udpPort },
    ),
    credentials: undefined,
    keys,
    peers: configuredPeers(config, addressesOf(b32)),
    identities: plan.identities ?? new Map(),
    tun: config.vpn.enabled ? tun : undefined,
    connector: loopbackConnector(services),
    // This machine does not have the addresses of the VPN.
    udp: { bind: (address, port) => (address.startsWith('fd60:') ? vpnUdp : kernelUdp).bind(address, port) },
    listeners,
    clock,
    log,
    random: Math.random,
    onFatal: (error) => {
      throw error;
    },
  });
  await gateway.start(new AbortController().signal);
  return {
    gateway,
    keys,
    b32,
    addresses: addressesOf(b32),
    tun,
    socksPort: Number(listeners[0]?.where.split(':').at(-1)),
    serve: (address, port, server) => {
      services.set(serviceKey(address, port), server);
    },
    stop: async () => {
      await gateway.stop();
      for (const listener of listeners) await listener.close();
      await tun.close();
    },
  };
}

function toml({ peers = [], vpn = true, config = '' }: GatewayPlan): string {
  return [
    `[vpn]\nenabled = ${vpn}`,
    ...peers.map((b32, index) => `[[peer]]\nname = "peer${index}"\ndestination = "${b32}.b32.i2p"`),
    // What peers may reach is tried in test/net, with the real rules.
    '[firewall]\ndefault = "allow"',
    '[[socks]]\nlisten = "127.0.0.1:0"',
    config,
  ].join('\n');
}

function loopbackConnector(services: ReadonlyMap<string, Server>): ConnectorPort {
  return {
    connect: async (address, port, signal) => {
      const server = services.get(serviceKey(address, port));
      const at = server?.address();
      if (at === null || at === undefined || typeof at === 'string') {
        throw new GateError('peer-refused', 'peer.port-closed', 'nothing listens at this port');
      }
      const remote: Remote = { kind: 'tcp', address: Buffer.from([127, 0, 0, 1]), port: at.port };
      const explain = ({ message }: Error) => new GateError('local-io', 'test', message);
      return openConnection(systemSockets(), remote, { signal, doing: 'connecting', explain });
    },
  };
}

function serviceKey(address: Address, port: number): string {
  return `${addressKey(address)}:${port}`;
}

/** A loopback TCP server that hands each connection to `serve`. */
export async function loopbackServer(serve: (client: Socket) => void): Promise<Server> {
  const server = createServer({ allowHalfOpen: true }, (client) => {
    client.on('error', () => client.destroy());
    serve(client);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

export function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}

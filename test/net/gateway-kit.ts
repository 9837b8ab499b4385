/** Whole gateways in a namespace: the composition of production on a real TUN interface, over a fake bridge. */
import { createGateway, type Gateway } from '../../src/app/gateway.ts';
import { bringUpInterface } from '../../src/app/interface.ts';
import { configuredPeers } from '../../src/app/peers.ts';
import { Reloader } from '../../src/app/reload.ts';
import type { UndoStep } from '../../src/app/undo.ts';
import { decodeConfig } from '../../src/config/decode.ts';
import type { BridgePort, TunPort } from '../../src/core/ports.ts';
import { systemClock } from '../../src/io/clock.ts';
import { kernelConnector } from '../../src/io/connector.ts';
import { createPinoLogger } from '../../src/io/log-pino.ts';
import { SYSTEM_PATHS } from '../../src/io/paths.ts';
import { kernelUdp } from '../../src/io/udp.ts';
import { type Addresses, addressesOf } from '../../src/wire/i2p/address.ts';
import type { PrivateKeys } from '../../src/wire/i2p/destination.ts';

export interface NetGateway {
  readonly gateway: Gateway;
  readonly addresses: Addresses;
  readonly tun: TunPort;
  stop(): Promise<void>;
}

export interface NetGatewayPlan {
  readonly bridge: BridgePort;
  readonly keys: PrivateKeys;
  /** TOML; there is no SOCKS. */
  readonly config: string;
  readonly mtu?: number;
  /** With its firewall; without it what stands here has to hold by itself. */
  readonly firewall?: boolean;
}

export async function startNetGateway(plan: NetGatewayPlan): Promise<NetGateway> {
  const { bridge, keys, config: toml, mtu = 1500, firewall: guarded = false } = plan;
  const decoded = decodeConfig(`socks = []\n${toml}`, SYSTEM_PATHS);
  if (decoded.kind !== 'config') throw new Error(JSON.stringify(decoded));
  const { config } = decoded;
  const addresses = addressesOf(keys.destination.b32);
  const peers = configuredPeers(config, addresses);
  const log = createPinoLogger('error');
  const undo: UndoStep[] = [];
  const { tun, firewall } = await bringUpInterface(
    { ...config, vpn: { ...config.vpn, mtu }, firewall: { ...config.firewall, enabled: guarded } },
    { own: addresses, peers: peers.list(), clock: systemClock, log, undo: (step) => undo.push(step) },
  );
  const gateway = createGateway(config, {
    bridge: { open: (signal) => bridge.open(signal), openDatagrams: async () => undefined },
    credentials: undefined,
    keys,
    identities: new Map(),
    peers,
    tun,
    connector: kernelConnector,
    udp: kernelUdp,
    listeners: [],
    clock: systemClock,
    log,
    random: Math.random,
    onFatal: (error) => {
      throw error;
    },
    onNamePorts: () => void reloader.followNamePorts(),
  });
  const reloader = new Reloader({
    config,
    paths: SYSTEM_PATHS,
    privileges: { kind: 'stay-root' },
    read: async () => config,
    gateway,
    tun,
    firewall,
    log,
  });
  await gateway.start(new AbortController().signal);
  return {
    gateway,
    addresses,
    tun,
    stop: async () => {
      await reloader.stop();
      await gateway.stop();
      for (const step of undo.reverse()) await step();
    },
  };
}

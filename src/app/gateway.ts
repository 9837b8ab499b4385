/**
 * The composition: the only file that knows every part, but for those of SOCKS (socks-servers.ts). One session manager, one
 * dialer and one relay core, handed to all fronts. It takes the outside world as ports, so that a whole gateway also stands
 * in a test.
 */
import type { Config } from '../config/schema.ts';
import type { PeerDestination } from '../config/values.ts';
import { createDatagramSessions } from '../core/datagram/sessions.ts';
import { createDialer } from '../core/dial/dialer.ts';
import { mayReach } from '../core/firewall/policy.ts';
import { createAwaitedStreams } from '../core/inbound/awaited.ts';
import { createBinder } from '../core/inbound/binder.ts';
import { createInboundSwitch } from '../core/inbound/switch.ts';
import { createAddressNames } from '../core/naming/addresses.ts';
import { createResolver } from '../core/naming/resolver.ts';
import { PeerStreams } from '../core/peers/streams.ts';
import type { Peer, PeerPlan, PeerTable } from '../core/peers/table.ts';
import type { ConnectorPort, DatagramBridgePort, ListenerPort, TunPort, UdpPort } from '../core/ports.ts';
import { createRelayCore } from '../core/relay/relay.ts';
import { createAcceptor, type InboundStream } from '../core/session/acceptor.ts';
import { GATEWAY } from '../core/session/key.ts';
import { SessionLabel } from '../core/session/label.ts';
import { createSessionManager } from '../core/session/manager.ts';
import { ReceivedBytes } from '../core/session/received.ts';
import type { Session } from '../core/session/session.ts';
import { createNameServer } from '../front/dns/server.ts';
import { createFlowServer, type FlowServer } from '../front/flow/server.ts';
import { createVpnGateway, type VpnGateway } from '../front/vpn/gateway.ts';
import type { SharedSession } from '../front/vpn/session-watch.ts';
import type { Clock } from '../kit/clock.ts';
import type { GateError } from '../kit/errors.ts';
import type { Logger } from '../kit/log.ts';
import { type Service, startInOrder } from '../kit/service.ts';
import { addressesOf } from '../wire/i2p/address.ts';
import type { NamedDestination, PrivateKeys } from '../wire/i2p/destination.ts';
import type { SamCredentials } from '../wire/sam/command.ts';
import { sessionSettings } from './identities.ts';
import { createSocksServers } from './socks-servers.ts';

export interface GatewayEnvironment {
  readonly bridge: DatagramBridgePort;
  readonly credentials: SamCredentials | undefined;
  readonly keys: PrivateKeys;
  readonly peers: PeerTable;
  /** Of the named identities that have a key file. */
  readonly identities: ReadonlyMap<string, PrivateKeys>;
  /** Until when, by the clock, the router may hold these keys for an earlier gateway; never unless told. */
  readonly keysHeldUntil?: number | undefined;
  /** Undefined where the VPN is switched off. */
  readonly tun: TunPort | undefined;
  readonly connector: ConnectorPort;
  /** For SOCKS clients of this machine, and on our own addresses inside the /48. */
  readonly udp: UdpPort;
  /** One for each `[[socks]]`, in the order of the config. */
  readonly listeners: readonly ListenerPort[];
  readonly clock: Clock;
  readonly log: Logger;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Something is lost without which the gateway cannot go on. */
  readonly onFatal: (error: GateError) => void;
  /** OnionCats are answered on other ports than before: `namePorts`. */
  readonly onNamePorts?: () => void;
}

/** How long a session for datagrams outlives its last association, so that the next one finds its tunnels. */
const DATAGRAM_IDLE_MS = 5 * 60_000;
/** How long a quiet service may still answer a client that has ended its own side. */
const HELD_END_MS = 60_000;
const FLOWS_PER_PEER = 256;
/** STREAM ACCEPTs on the session of clients that await streams, of which there are few at a time. */
const ACCEPTS_OF_CLIENTS = 2;

export type Gateway = ReturnType<typeof createGateway>;

export function createGateway(config: Config, environment: GatewayEnvironment) {
  const { tun, peers, clock, log } = environment;
  const core = createCore(config, environment);
  const { own, sessions, datagrams, resolver, dialer, relay, peerStreams } = core;
  const vpn = tun === undefined ? undefined : createVpn(config, environment, core, tun);
  const flows = createFlows(config, environment, core);
  const { inbound, accepting, binder } = createInbound(config, environment, core, vpn, flows);
  const socks = createSocksServers(config, {
    listeners: environment.listeners,
    peers,
    own: own.addresses,
    dialer,
    resolver,
    addressNames: createAddressNames({ resolver, peers, own: own.b32, clock }),
    binder,
    relay,
    datagrams,
    udp: environment.udp,
    hasTun: tun !== undefined,
    clock,
    log,
  });
  const dns =
    tun === undefined || config.vpn.dns === 'off'
      ? undefined
      : createNameServer({
          own,
          peers,
          tellsPeers: config.vpn.dns === 'peers',
          udp: environment.udp,
          clock,
          log,
          portsChanged: () => environment.onNamePorts?.(),
        });

  const service = serviceOf([
    sessions,
    resolver,
    flows,
    ...(vpn === undefined ? [] : [vpn]),
    ...(dns === undefined ? [] : [dns]),
    { start: async () => {}, stop: async () => inbound.stop() },
    accepting,
    datagrams,
    binder,
    ...socks,
  ]);
  /**
   * Has other peers and rules from now on; when this resolves, those who were removed neither send nor hear anything any more,
   * and no flow stands that the rules do not allow.
   */
  const changePeers = async (plan: PeerPlan) => {
    plan.commit();
    for (const peer of plan.removed) peerStreams.end(peer);
    flows.rulesChanged();
    await Promise.all([vpn?.change(plan), dns?.peersChanged()]);
  };
  return {
    ...service,
    changePeers,
    own,
    sessions,
    datagrams,
    accepting,
    inbound,
    relay,
    dials: () => dialer.dials(),
    lookups: () => resolver.lookups(),
    vpn,
    dns,
    namePorts: () => dns?.ports() ?? [],
    flows,
    socks,
    peers,
    restartsOf: (peer: Peer) => peerStreams.restarts(peer),
  };
}

type Core = ReturnType<typeof createCore>;

/** What all fronts have in common: the sessions, the ways to names and outward, and what is known of the streams of peers. */
function createCore(config: Config, environment: GatewayEnvironment) {
  const { bridge, credentials, clock, log, random, tun, peers } = environment;
  const { b32 } = environment.keys.destination;
  const own = { b32, addresses: addressesOf(b32) };
  const identities = sessionSettings(config, environment.identities);
  const sessions = createSessionManager(
    { gatewayKeys: environment.keys, keysHeldUntil: environment.keysHeldUntil, ...identities, credentials },
    { bridge, clock, log, random },
  );
  const { session } = sessions.lease(GATEWAY);
  const datagrams = createDatagramSessions(
    {
      ...identities,
      credentials,
      most: config.limits.datagram_sessions,
      atLimit: config.limits.isolated_at_limit,
      idleMs: DATAGRAM_IDLE_MS,
    },
    { bridge, clock, log, random },
  );
  const resolver = createResolver({
    bridge,
    clock,
    credentials,
    aliases: new Map(Object.entries(config.names).map(([name, destination]) => [name, namedDestination(destination)])),
    knownMs: config.lookup.known,
    unknownMs: config.lookup.unknown,
  });
  // A new session is the sign of a router that has started again.
  onReady(session, () => resolver.forgetUnknown());
  const sessionLabel = new SessionLabel(random);
  const label = () => sessionLabel.of(sharedSession(session).readySince());
  /** On streams of the gateway's session that belong to no link. */
  const receivedElsewhere = new ReceivedBytes();
  const peerStreams = new PeerStreams(peers, clock);
  const dialer = createDialer({
    sessions,
    resolver,
    peers,
    clock,
    own: own.addresses,
    connector: tun === undefined ? undefined : environment.connector,
    maxDials: config.limits.dials,
    openedOverGateway: (stream, peer) => {
      receivedElsewhere.add(stream);
      if (peer !== undefined) peerStreams.add(peer, stream, 'unanswered');
    },
    openedThroughTun: (stream, peer) => peerStreams.add(peer, stream),
    label,
    flowAnswered: (peer, stream, said) => peerStreams.answered(peer, stream, said),
  });
  const relay = createRelayCore({ clock, maxPairs: config.limits.streams, heldEndMs: HELD_END_MS });
  return { own, sessions, session, datagrams, resolver, label, receivedElsewhere, peerStreams, dialer, relay };
}

function createVpn({ vpn: settings }: Config, environment: GatewayEnvironment, core: Core, tun: TunPort): VpnGateway {
  const { peers, clock, log, random } = environment;
  const { own, session, relay, dialer, label, receivedElsewhere, peerStreams } = core;
  const { packets, bytes, age } = settings.queue;
  return createVpnGateway({
    tun,
    own,
    peers,
    relay,
    clock,
    log,
    random,
    takesFlows: settings.flows,
    bigPackets: settings.big_packets,
    networks: settings.networks,
    queue: { packets, bytes, ageMs: age },
    dial: dialer.openPacketStream,
    dialOurselves: (signal) => dialer.openOwnEcho(own.b32, signal),
    session: { ...sharedSession(session), receivedElsewhere: () => receivedElsewhere.total() },
    label,
    labelHeard: (peer, said, openedAt) => peerStreams.labelHeard(peer, said, openedAt),
    onTunLost: environment.onFatal,
  });
}

function createFlows(config: Config, { tun, connector, clock, log }: GatewayEnvironment, core: Core): FlowServer {
  const { own, relay, label, peerStreams } = core;
  return createFlowServer({
    relay,
    clock,
    log,
    local: tun === undefined ? undefined : { address: own.addresses.oc, connector },
    mayReach: (peer, port) => config.vpn.flows && mayReach(peer, { protocol: 'tcp', port }),
    maxPerPeer: FLOWS_PER_PEER,
    label,
    labelHeard: (peer, stream, said) => peerStreams.labelHeardOn(peer, stream, said),
  });
}

/** Streams that others open to us: who accepts them, and whom they are given to. */
function createInbound(
  { limits }: Config,
  { bridge, credentials, peers, clock, log, random }: GatewayEnvironment,
  { own, sessions, session, receivedElsewhere, peerStreams }: Core,
  vpn: VpnGateway | undefined,
  flows: FlowServer,
) {
  const awaited = createAwaitedStreams();
  const inbound = createInboundSwitch(
    peers,
    {
      flow: (peer, stream) => {
        receivedElsewhere.add(stream, 'the start');
        peerStreams.add(peer, stream);
        flows.take(peer, stream);
      },
      packets: (peer, stream, origin) => {
        if (vpn === undefined) stream.destroy();
        else vpn.take(peer, stream, origin);
      },
      ...(vpn === undefined ? {} : { own: { b32: () => sessions.ownEcho(), take: vpn.takeOwn } }),
    },
    awaited,
    clock,
    log,
  );
  const acceptOn = (on: Session, slots: number, take: (stream: InboundStream) => void) =>
    createAcceptor({ session: on, bridge, clock, log, random, credentials, slots, take });
  const accepting = acceptOn(session, limits.accepts, (stream) => inbound.take(stream));
  const binder = createBinder({
    sessions,
    peers,
    own: own.b32,
    gateway: { acceptor: accepting, awaited },
    acceptor: (on, take) => acceptOn(on, ACCEPTS_OF_CLIENTS, take),
    refuse: (stream) => inbound.refuse(stream),
  });
  return { inbound, accepting, binder };
}

/** All of them as one. */
function serviceOf(services: readonly Service[]): Service {
  let stopAll = async () => {};
  return {
    start: async (signal) => {
      stopAll = await startInOrder(services, signal);
    },
    stop: () => stopAll(),
  };
}

function sharedSession(session: Session): Omit<SharedSession, 'receivedElsewhere'> {
  return {
    readySince: () => (session.state.kind === 'ready' ? session.state.since : undefined),
    onReady: (tell) => onReady(session, tell),
    rebuild: (why) => {
      if (session.state.kind === 'ready') session.state.session.gone(why);
    },
  };
}

function onReady(session: Session, tell: () => void): () => void {
  return session.onState(({ kind }) => {
    if (kind === 'ready') tell();
  });
}

function namedDestination(destination: PeerDestination): NamedDestination {
  return destination.kind === 'b32' ? { b32: destination.b32, base64: undefined } : destination.destination;
}

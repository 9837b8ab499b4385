/**
 * The composition: the only file that knows every part. One session manager, one dialer and one relay core, handed to
 * all fronts. It takes the outside world as ports, so that a whole gateway also stands in a test.
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
import { acceptor, type InboundStream } from '../core/session/acceptor.ts';
import { GATEWAY } from '../core/session/key.ts';
import { SessionLabel } from '../core/session/label.ts';
import { sessionManager } from '../core/session/manager.ts';
import { ReceivedBytes } from '../core/session/received.ts';
import type { Session } from '../core/session/session.ts';
import { createNameServer } from '../front/dns/server.ts';
import { createFlowServer } from '../front/flow/server.ts';
import { createAccess } from '../front/socks/access.ts';
import { CHECKS_AT_ONCE, createAuthenticator } from '../front/socks/authentication.ts';
import { createSocksServer } from '../front/socks/server.ts';
import type { AssociationWorld } from '../front/socks/udp/association.ts';
import { UDP_COUNTERS } from '../front/socks/udp/counters.ts';
import type { UdpService } from '../front/socks/udp/service.ts';
import { createVpnGateway } from '../front/vpn/gateway.ts';
import type { SharedSession } from '../front/vpn/session-watch.ts';
import type { Clock } from '../kit/clock.ts';
import { GateError } from '../kit/errors.ts';
import type { Logger } from '../kit/log.ts';
import { Places } from '../kit/places.ts';
import { type Service, startInOrder } from '../kit/service.ts';
import { tally } from '../kit/tally.ts';
import { turnstile } from '../kit/turnstile.ts';
import { addressesOf } from '../wire/i2p/address.ts';
import type { NamedDestination, PrivateKeys } from '../wire/i2p/destination.ts';
import type { SamCredentials } from '../wire/sam/command.ts';
import { isolationRules, sessionSettings } from './identities.ts';

export interface World {
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
}

/** How long a session for datagrams outlives its last association, so that the next one finds its tunnels. */
const DATAGRAM_IDLE_MS = 5 * 60_000;
/** How long a quiet service may still answer a client that has ended its own side. */
const HELD_END_MS = 60_000;
const FLOWS_PER_PEER = 256;
/** STREAM ACCEPTs on the session of clients that await streams, of which there are few at a time. */
const ACCEPTS_OF_CLIENTS = 2;

export type Gateway = ReturnType<typeof createGateway>;

export function createGateway(config: Config, world: World) {
  const { bridge, credentials, clock, log, random, tun, peers } = world;
  const me = world.keys.destination;
  const addresses = addressesOf(me.b32);
  const own = { b32: me.b32, addresses };

  const identities = sessionSettings(config, world.identities);
  const sessions = sessionManager(
    { gatewayKeys: world.keys, keysHeldUntil: world.keysHeldUntil, ...identities, credentials },
    { bridge, clock, log, random },
  );
  const relay = createRelayCore({ clock, maxPairs: config.limits.streams, heldEndMs: HELD_END_MS });
  const names = createResolver({
    bridge,
    clock,
    credentials,
    aliases: new Map(Object.entries(config.names).map(([name, destination]) => [name, namedDestination(destination)])),
    knownMs: config.lookup.known,
    unknownMs: config.lookup.unknown,
  });
  // A new session is the sign of a router that has started again.
  sessions.lease(GATEWAY).session.onState(({ kind }) => {
    if (kind === 'ready') names.forgetUnknown();
  });
  const inPlaceOfNames = createAddressNames({ resolver: names, peers, own: me.b32, clock });
  /** On streams of the gateway's session that belong to no link. */
  const elsewhere = new ReceivedBytes();
  const flowStreams = new PeerStreams(peers, clock);
  const { session } = sessions.lease(GATEWAY);
  const ofSession = new SessionLabel(random);
  const label = () => ofSession.of(sharedSession(session).readySince());
  const outward = createDialer({
    sessions,
    resolver: names,
    peers,
    clock,
    own: addresses,
    connector: tun === undefined ? undefined : world.connector,
    maxDials: config.limits.dials,
    openedOverGateway: (stream, peer) => {
      elsewhere.add(stream);
      if (peer !== undefined) flowStreams.add(peer, stream, 'unanswered');
    },
    label,
    flowAnswered: (peer, stream, said) => flowStreams.answered(peer, stream, said),
  });

  const vpn =
    tun === undefined
      ? undefined
      : createVpnGateway({
          tun,
          own,
          peers,
          relay,
          clock,
          log,
          random,
          takesFlows: config.vpn.flows,
          bigPackets: config.vpn.big_packets,
          networks: config.vpn.networks,
          queue: { packets: config.vpn.queue.packets, bytes: config.vpn.queue.bytes, ageMs: config.vpn.queue.age },
          dial: outward.openPacketStream,
          dialOurselves: (signal) => outward.openOwnEcho(own.b32, signal),
          session: { ...sharedSession(session), receivedElsewhere: () => elsewhere.total() },
          label,
          labelHeard: (peer, said, openedAt) => flowStreams.labelHeard(peer, said, openedAt),
          onTunLost: world.onFatal,
        });
  const flows = createFlowServer({
    relay,
    clock,
    log,
    local: tun === undefined ? undefined : { address: addresses.oc, connector: world.connector },
    mayReach: (peer, port) => config.vpn.flows && mayReach(peer, { protocol: 'tcp', port }),
    maxPerPeer: FLOWS_PER_PEER,
    label,
    labelHeard: (peer, stream, said) => flowStreams.labelHeardOn(peer, stream, said),
  });
  const awaited = createAwaitedStreams();
  const inbound = createInboundSwitch(
    peers,
    {
      flow: (peer, stream) => {
        elsewhere.add(stream);
        flowStreams.add(peer, stream);
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
  const acceptorOn = (session: Session, slots: number, take: (stream: InboundStream) => void) =>
    acceptor({ session, bridge, clock, log, random, credentials, slots, take });
  const accepting = acceptorOn(session, config.limits.accepts, (stream) => inbound.take(stream));
  const binding = createBinder({
    sessions,
    peers,
    own: me.b32,
    gateway: { acceptor: accepting, awaited },
    acceptor: (session, take) => acceptorOn(session, ACCEPTS_OF_CLIENTS, take),
    refuse: (stream) => inbound.refuse(stream),
  });
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
  const associations: AssociationWorld = {
    sessions: datagrams,
    resolver: names,
    peers,
    own: addresses,
    vpn: tun === undefined ? undefined : world.udp,
    clock,
    log,
  };
  const associationPlaces = new Places(config.limits.associations);
  const udpService = (settings: Config['socks'][number]): UdpService => ({
    world: associations,
    settings: { rate: settings.udp_rate, queueBytes: settings.udp_queue, source: settings.udp_source },
    sockets: world.udp,
    places: new Places(settings.udp_associations, associationPlaces),
    counts: tally(UDP_COUNTERS),
  });
  const checks = turnstile(CHECKS_AT_ONCE);
  const socks = config.socks.map((settings, index) => {
    const listener = world.listeners[index];
    if (listener === undefined) throw new GateError('bug', 'bug', 'a SOCKS listener is missing');
    const authenticate = settings.users.length === 0 ? undefined : createAuthenticator(settings.users, clock, checks);
    return createSocksServer(
      {
        listener,
        access: createAccess(settings, peers),
        dialer: outward,
        names: inPlaceOfNames,
        binder: binding,
        relay,
        udp: settings.udp ? udpService(settings) : undefined,
        authenticate,
        clock,
        log,
      },
      {
        maxClients: settings.max_clients,
        maxClientsPerAddress: settings.max_clients_per_address,
        handshakeMs: settings.handshake_timeout,
        connectMs: settings.connect_timeout,
        idleMs: settings.idle_timeout,
        errors: settings.extended_errors ? 'extended' : 'standard',
        httpConnect: settings.http_connect,
        resolve: settings.resolve,
        bind: settings.bind,
        bindMs: settings.bind_timeout,
        isolation: isolationRules(settings, index),
        preferNoAuth: settings.prefer_no_auth,
      },
    );
  });
  const dns =
    tun === undefined || config.vpn.dns === 'off'
      ? undefined
      : createNameServer({ own, peers, tellsPeers: config.vpn.dns === 'peers', udp: world.udp, clock, log });
  const inboundService: Service = { name: 'inbound', start: async () => {}, stop: async () => inbound.stop() };
  const services: readonly Service[] = [
    sessions,
    names,
    flows,
    ...(vpn === undefined ? [] : [vpn]),
    ...(dns === undefined ? [] : [dns]),
    inboundService,
    accepting,
    datagrams,
    binding,
    ...socks,
  ];

  let stopAll = async () => {};
  const service: Service = {
    name: 'gateway',
    start: async (signal) => {
      stopAll = await startInOrder(services, signal);
    },
    stop: () => stopAll(),
  };
  /**
   * Has other peers and rules from now on; when this resolves, those who were removed neither send nor hear anything any more,
   * and no flow stands that the rules do not allow.
   */
  const changePeers = async (plan: PeerPlan) => {
    plan.commit();
    for (const peer of plan.removed) flowStreams.end(peer);
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
    dials: () => outward.dials(),
    lookups: () => names.lookups(),
    vpn,
    dns,
    flows,
    socks,
    peers,
    restartsOf: (peer: Peer) => flowStreams.restarts(peer),
  };
}

function sharedSession(session: Session): Pick<SharedSession, 'readySince' | 'rebuild'> {
  return {
    readySince: () => (session.state.kind === 'ready' ? session.state.since : undefined),
    rebuild: (why) => {
      if (session.state.kind === 'ready') session.state.session.gone(why);
    },
  };
}

function namedDestination(destination: PeerDestination): NamedDestination {
  return destination.kind === 'b32' ? { b32: destination.b32, base64: undefined } : destination.destination;
}

/** The SOCKS servers of a gateway, one for each `[[socks]]` of the config, and what they have together. */
import type { Config, SocksConfig } from '../config/schema.ts';
import type { DatagramSessions } from '../core/datagram/sessions.ts';
import type { Dialer } from '../core/dial/target.ts';
import type { Binder } from '../core/inbound/binder.ts';
import type { AddressNames } from '../core/naming/addresses.ts';
import type { Resolver } from '../core/naming/resolver.ts';
import type { PeerTable } from '../core/peers/table.ts';
import type { ListenerPort, UdpPort } from '../core/ports.ts';
import type { Relay } from '../core/relay/report.ts';
import { createAccess } from '../front/socks/access.ts';
import { CHECKS_AT_ONCE, createAuthenticator } from '../front/socks/authentication.ts';
import { createSocksServer, type SocksServer, type SocksServerOptions } from '../front/socks/server.ts';
import type { AssociationEnvironment } from '../front/socks/udp/association.ts';
import { UDP_COUNTERS } from '../front/socks/udp/counters.ts';
import type { UdpService } from '../front/socks/udp/service.ts';
import type { Clock } from '../kit/clock.ts';
import { GateError } from '../kit/errors.ts';
import type { Logger } from '../kit/log.ts';
import { Slots } from '../kit/slots.ts';
import { createTally } from '../kit/tally.ts';
import { createTurnstile } from '../kit/turnstile.ts';
import type { Addresses } from '../wire/i2p/address.ts';
import { isolationRules } from './identities.ts';

export interface SocksParts {
  /** One for each `[[socks]]`, in the order of the config. */
  readonly listeners: readonly ListenerPort[];
  readonly peers: PeerTable;
  readonly own: Addresses;
  readonly dialer: Dialer;
  readonly resolver: Resolver;
  readonly addressNames: AddressNames;
  readonly binder: Binder;
  readonly relay: Relay;
  readonly datagrams: DatagramSessions;
  /** For datagrams of clients. */
  readonly udp: UdpPort;
  /** Whether datagrams reach peers. */
  readonly hasTun: boolean;
  readonly clock: Clock;
  readonly log: Logger;
}

export function createSocksServers(config: Config, parts: SocksParts): readonly SocksServer[] {
  const { peers, dialer, addressNames, binder, relay, clock, log } = parts;
  const udpServiceOf = createUdpServices(config, parts);
  const passwordChecks = createTurnstile(CHECKS_AT_ONCE);
  return config.socks.map((settings, index) => {
    const listener = parts.listeners[index];
    if (listener === undefined) throw new GateError('bug', 'bug', 'a SOCKS listener is missing');
    const { users } = settings;
    return createSocksServer(
      {
        listener,
        access: createAccess(settings, peers),
        dialer,
        names: addressNames,
        binder,
        relay,
        udp: settings.udp ? udpServiceOf(settings) : undefined,
        authenticate: users.length === 0 ? undefined : createAuthenticator(users, clock, passwordChecks),
        clock,
        log,
      },
      serverOptions(settings, index),
    );
  });
}

/** @returns makes the service of one listener; all of them share the sessions, and the slots for associations */
function createUdpServices({ limits }: Config, parts: SocksParts): (settings: SocksConfig) => UdpService {
  const { datagrams: sessions, resolver, peers, own, udp, hasTun, clock, log } = parts;
  const environment: AssociationEnvironment = {
    sessions,
    resolver,
    peers,
    own,
    vpn: hasTun ? udp : undefined,
    clock,
    log,
  };
  const slots = new Slots(limits.associations);
  return ({ udp_rate, udp_queue, udp_source, udp_associations }) => ({
    environment,
    settings: { rate: udp_rate, queueBytes: udp_queue, source: udp_source },
    sockets: udp,
    slots: new Slots(udp_associations, slots),
    counts: createTally(UDP_COUNTERS),
  });
}

/** @param index of the listener in the config */
function serverOptions(settings: SocksConfig, index: number): SocksServerOptions {
  return {
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
  };
}

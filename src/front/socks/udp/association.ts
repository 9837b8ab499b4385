/**
 * What becomes of the datagrams of one SOCKS client: judged, and sent over the right session by the right route; and of
 * those that come for it, which it gets with their source in front. Knows nothing of the client's socket.
 */

import { datagramRoute } from '../../../core/datagram/route.ts';
import type { Attachment } from '../../../core/datagram/session.ts';
import { type DialTarget, targetOf } from '../../../core/dial/target.ts';
import type { Resolver } from '../../../core/naming/resolver.ts';
import { ownAddressFor, type PeerTable } from '../../../core/peers/table.ts';
import type { UdpPort, UdpSocket } from '../../../core/ports.ts';
import { mayReachPeers, type SessionKey } from '../../../core/session/key.ts';
import { createSharedController } from '../../../kit/abort.ts';
import { ExpiringCache } from '../../../kit/cache.ts';
import { type Clock, within } from '../../../kit/clock.ts';
import { GateError } from '../../../kit/errors.ts';
import { type Logger, logDefect } from '../../../kit/log.ts';
import type { Tally } from '../../../kit/tally.ts';
import { TokenBucket } from '../../../kit/token-bucket.ts';
import { type Address, type Addresses, addressKey, formatAddress } from '../../../wire/i2p/address.ts';
import type { Destination } from '../../../wire/i2p/destination.ts';
import { hostNameOf } from '../../../wire/i2p/hostname.ts';
import type { UdpAddress } from '../../../wire/sam/command.ts';
import type { SamDatagram } from '../../../wire/sam/datagram.ts';
import { encodeUdpReply, parseUdpRequest, type UdpSource } from '../../../wire/socks/datagram.ts';
import { DatagramAdmission, type DatagramAdmissionParts } from './admission.ts';
import { AttachedSessions, type DatagramLeases } from './attached-sessions.ts';
import { Correspondents } from './correspondents.ts';
import type { UdpCounter } from './counters.ts';
import { type Found, PendingDatagrams } from './pending.ts';
import { openTunSocket } from './tun-socket.ts';

export interface AssociationSettings {
  /** Datagrams in a second that a client may send, and as many at once. */
  readonly rate: number;
  /** Bytes that wait for one name or session. */
  readonly queueBytes: number;
  /** How clients are told where a datagram came from. */
  readonly source: 'address' | 'name';
}

/** What all associations share. */
export interface AssociationEnvironment {
  readonly sessions: DatagramLeases;
  readonly resolver: Pick<Resolver, 'resolve'>;
  readonly peers: PeerTable;
  readonly own: Addresses;
  /** Sockets on our VPN address; undefined where there is no TUN. */
  readonly vpn: UdpPort | undefined;
  readonly clock: Clock;
  readonly log: Logger;
}

/** What is known of the client and its listener. */
export interface AssociationParts extends Omit<DatagramAdmissionParts, 'correspondents'> {
  readonly environment: AssociationEnvironment;
  readonly settings: AssociationSettings;
  /** `dnsLeak` counts besides `policyRefused`. */
  readonly counts: Pick<Tally<UdpCounter | 'dnsLeak'>, 'add'>;
  /** Whose lookups are this client's too. */
  readonly asker: SessionKey;
  /** @param target undefined for an association as such, whatever it will be used for */
  readonly sessionFor: (target: DialTarget | undefined, port: number) => SessionKey;
  /** Whether `sessionFor` gives every target the same session, so that it can be had before the first datagram. */
  readonly oneSession: boolean;
  /** The I2P port to have where it is free; 0 for any. */
  readonly wantedPort: number;
  readonly toClient: (bytes: Buffer) => 'received' | 'clientUnknown' | 'busy';
}

/** A route that datagrams can be sent by now. */
type OpenRoute =
  | { readonly kind: 'i2p'; readonly destination: Destination; readonly port: number; readonly via: Attachment }
  | {
      readonly kind: 'tun';
      readonly socket: UdpSocket;
      readonly ours: Address;
      readonly address: Address;
      readonly to: UdpAddress;
    };

type LossCause = Extract<UdpCounter, 'policyRefused' | 'needsTun' | 'unknownAddress' | 'nameFailed' | 'noSession'>;

/** Whose addresses the client may answer to. */
const CORRESPONDENTS = 1024;
/** Targets whose route is remembered, and for how long: a name may come to mean another destination. */
const ROUTES = 1024;
const ROUTE_MS = 10 * 60_000;
/** A session takes 20 s to 40 s on i2pd 2.45.1, and the first datagrams shall still find it. */
const LONGEST_WAIT_MS = 60_000;
const WAITING_FOR_ONE = 32;
const WAITED_FOR = 16;

export class Association {
  readonly #parts: AssociationParts;
  readonly #bucket: TokenBucket;
  readonly #correspondents: Correspondents;
  readonly #admission: DatagramAdmission;
  readonly #sessions: AttachedSessions;
  readonly #routes = new ExpiringCache<OpenRoute>(ROUTES);
  readonly #pending: PendingDatagrams<OpenRoute, LossCause>;
  readonly #closing = createSharedController();
  /** By the address of ours that they are on. */
  readonly #tun = new Map<Address, Promise<UdpSocket>>();

  /** @throws GateError `limit` when there is no session for it */
  constructor(parts: AssociationParts) {
    const { counts, settings, environment } = parts;
    const { clock, own, peers, sessions } = environment;
    this.#parts = parts;
    this.#bucket = new TokenBucket(settings.rate, settings.rate, clock.now());
    const ours = [addressKey(own.oc), addressKey(own.ocat4)];
    const isOfVpn = (address: string) => ours.includes(address) || peers.byAddress(address) !== undefined;
    this.#correspondents = new Correspondents(CORRESPONDENTS, isOfVpn);
    this.#admission = new DatagramAdmission({ ...parts, correspondents: this.#correspondents });
    this.#sessions = new AttachedSessions(sessions, parts.wantedPort, (datagram, via) => this.#arrived(datagram, via));
    this.#pending = new PendingDatagrams({
      clock,
      queue: { items: WAITING_FOR_ONE, bytes: settings.queueBytes, ageMs: LONGEST_WAIT_MS },
      targets: WAITED_FOR,
      send: (route, payload) => {
        if (!this.#send(route, payload)) counts.add('noSession');
      },
      lost: (count, why) => counts.add(why ?? 'queueFull', count),
    });
    // Its tunnels are built before the first datagram wants them, and strangers can write to it.
    if (parts.oneSession) this.#sessions.at(parts.sessionFor(undefined, 0));
  }

  /** @param bytes one datagram of the client, header and all; borrowed */
  fromClient(bytes: Buffer): void {
    const dropped = this.#take(bytes);
    if (dropped !== undefined) this.#parts.counts.add(dropped);
  }

  close(): void {
    this.#closing.abort();
    this.#sessions.leaveAll();
    // Where one could not be opened, whoever wanted it was told.
    for (const opening of this.#tun.values()) void opening.then((socket) => socket.close()).catch(() => {});
  }

  /** @returns why it is dropped at once; undefined where it is sent, or waits for that */
  #take(bytes: Buffer): UdpCounter | undefined {
    const { counts, environment } = this.#parts;
    const request = parseUdpRequest(bytes);
    if (request.kind !== 'datagram') return request.kind;
    if (!this.#bucket.take(environment.clock.now())) return 'rate';
    if (request.payload.length === 0) return 'empty';
    const verdict = this.#admission.judge(request);
    if (verdict.kind === 'refused') {
      if (verdict.dnsLeak) counts.add('dnsLeak');
      return 'policyRefused';
    }
    const { port, payload } = request;
    const { target } = verdict;
    const text = `${targetText(target)} ${port}`;
    const known = this.#routes.get(text, environment.clock.now());
    if (known !== undefined && this.#send(known, payload)) return undefined;
    // A copy of the payload alone: a view would keep the whole buffer that it came in.
    this.#pending.push(text, Buffer.from(payload), async () => {
      const found = await this.#find(target, port, this.#parts.sessionFor(target, port));
      if (found.kind === 'found') this.#routes.set(text, found.route, environment.clock.now() + ROUTE_MS);
      return found;
    });
    return undefined;
  }

  /**
   * @param session of the target as it was asked for: what a name stands for makes no difference
   * @param alias the name that was asked for, where it stands for a hash, which has to be looked up in its turn
   */
  async #find(
    target: DialTarget,
    port: number,
    session: SessionKey,
    alias?: string,
  ): Promise<Found<OpenRoute, LossCause>> {
    // What is taken from here on would be given back by nobody.
    if (this.#closing.signal.aborted) return { kind: 'none', why: 'noSession' };
    const { log, own, peers, resolver } = this.#parts.environment;
    const route = datagramRoute(target, peers, own);
    switch (route.kind) {
      case 'vpn':
        if (!mayReachPeers(session)) return { kind: 'none', why: 'policyRefused' };
        return this.#findTun(route.address, port);
      case 'unknown-address': {
        const one = this.#correspondents.byAddress(route.address);
        if (one === undefined) return { kind: 'none', why: 'unknownAddress' };
        return this.#findI2p(one.destination, port, () => (one.via.attached ? one.via : this.#sessions.at(session)));
      }
      case 'destination':
        return this.#findI2p(route.destination, port, () => this.#sessions.at(session));
      case 'lookup':
        try {
          const destination = await resolver.resolve(route.host, this.#parts.asker, this.#closing.signal);
          const host = alias ?? route.host;
          if (!this.#admission.mayBe(host, destination.b32)) return { kind: 'none', why: 'policyRefused' };
          return await this.#find(targetOf(destination), port, session, host);
        } catch (error) {
          logDefect(log, error, 'looking a name up for a datagram');
          return { kind: 'none', why: 'nameFailed' };
        }
      case 'unknown-peer':
        return { kind: 'none', why: 'nameFailed' };
      default:
        return route satisfies never;
    }
  }

  async #findI2p(
    destination: Destination,
    port: number,
    attach: () => Attachment,
  ): Promise<Found<OpenRoute, LossCause>> {
    try {
      const via = attach();
      await within(this.#parts.environment.clock, LONGEST_WAIT_MS, tooLate, this.#closing.signal, (limit) =>
        via.ready(limit),
      );
      return { kind: 'found', route: { kind: 'i2p', destination, port, via } };
    } catch (error) {
      logDefect(this.#parts.environment.log, error, 'taking a session for datagrams');
      return { kind: 'none', why: 'noSession' };
    }
  }

  async #findTun(address: Address, port: number): Promise<Found<OpenRoute, LossCause>> {
    // I2P knows a port 0, UDP does not.
    if (port === 0) return { kind: 'none', why: 'unknownAddress' };
    const ours = this.#ownAddressTowards(address);
    try {
      const socket = await this.#openTun(ours);
      const to = { address: formatAddress(address), port };
      return { kind: 'found', route: { kind: 'tun', socket, ours, address, to } };
    } catch (error) {
      logDefect(this.#parts.environment.log, error, 'opening a socket on the VPN');
      return { kind: 'none', why: 'needsTun' };
    }
  }

  #ownAddressTowards(address: Address): Address {
    const { own, peers } = this.#parts.environment;
    const peer = peers.byAddress(addressKey(address));
    return peer === undefined ? own.oc : ownAddressFor(peer, own);
  }

  /** @param ours of our two addresses */
  #openTun(ours: Address): Promise<UdpSocket> {
    const { counts, toClient, environment } = this.#parts;
    const known = this.#tun.get(ours);
    if (known !== undefined) return known;
    const opening = openTunSocket(environment.vpn, ours, {
      arrived: (from, bytes) => counts.add(this.#admission.mayHearVpn(from) ? toClient(bytes) : 'policyRefused'),
      refused: () => counts.add('kernelRefused'),
    }).catch((error: unknown) => {
      // The next datagram tries again: the interface may be up by then.
      this.#tun.delete(ours);
      throw error;
    });
    this.#tun.set(ours, opening);
    return opening;
  }

  /** @returns false where the route is there no more and another one has to be found; otherwise it is counted what became of it */
  #send(route: OpenRoute, payload: Buffer): boolean {
    const { counts } = this.#parts;
    if (route.kind === 'tun') {
      // The config was read again, and it knows us by the other one now.
      if (route.ours !== this.#ownAddressTowards(route.address)) return false;
      this.#correspondents.recordSentToVpn(route.address);
      counts.add(route.socket.send(payload, route.to) ? 'sent' : 'busy');
      return true;
    }
    const { destination, port, via } = route;
    if (!this.#correspondents.recordSent(destination, port, via)) {
      counts.add('lookalike');
      return true;
    }
    const outcome = via.send(destination, port, payload);
    switch (outcome) {
      case 'sent':
      case 'busy':
        counts.add(outcome);
        return true;
      case 'too-large':
        counts.add('oversize');
        return true;
      case 'not-ready':
        return false;
      default:
        return outcome satisfies never;
    }
  }

  #arrived(datagram: SamDatagram, via: Attachment): void {
    this.#parts.counts.add(this.#passOn(datagram, via));
  }

  #passOn({ sender, ports, payload }: SamDatagram, via: Attachment): UdpCounter {
    const { settings, toClient } = this.#parts;
    if (!this.#admission.mayHear(sender.b32)) return 'policyRefused';
    const from = this.#correspondents.recordReceived(sender, via);
    if (from === undefined) return 'lookalike';
    const source: UdpSource =
      settings.source === 'name'
        ? { kind: 'name', name: hostNameOf(sender.b32) }
        : { kind: 'ipv6', bytes: from.address };
    // A router that carries no ports leaves the one that the client wrote to as the best guess.
    const port = ports.from === 0 ? from.port : ports.from;
    return toClient(encodeUdpReply(source, port, payload));
  }
}

function tooLate(): GateError {
  return new GateError('session-lost', 'socks.udp-late', 'there was no session for datagrams in time');
}

/** Equal for equal targets. */
function targetText(target: DialTarget): string {
  switch (target.kind) {
    case 'b32':
      return target.b32;
    case 'destination':
      return target.destination.b32;
    case 'host':
    case 'b33':
      return target.host;
    case 'peer':
      return `peer ${target.name}`;
    case 'address':
      return formatAddress(target.address);
    default:
      return target satisfies never;
  }
}

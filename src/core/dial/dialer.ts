/**
 * The single door outward: turns what somebody wants to reach into a stream, over the right session and by the right
 * way. Decides only the way; whether the target may be reached at all was decided before.
 */
import type { Duplex } from 'node:stream';
import { type Clock, within } from '../../kit/clock.ts';
import { GateError } from '../../kit/errors.ts';
import { Shares } from '../../kit/shares.ts';
import { createTurnstile } from '../../kit/turnstile.ts';
import { type Address, type Addresses, addressKey } from '../../wire/i2p/address.ts';
import type { NamedDestination } from '../../wire/i2p/destination.ts';
import { hostNameOf } from '../../wire/i2p/hostname.ts';
import { dialFlow } from '../flow/dial-flow.ts';
import type { Resolver } from '../naming/resolver.ts';
import { type Peer, type PeerTable, shownAddress } from '../peers/table.ts';
import type { ConnectorPort } from '../ports.ts';
import { GATEWAY, keyText, mayReachPeers, OWN_ECHO, type SessionKey, type StreamKey } from '../session/key.ts';
import type { Lease, SessionManager } from '../session/manager.ts';
import type { Session } from '../session/session.ts';
import type { Dialer, DialOptions, DialTarget, PacketDialer, RelayEnd } from './target.ts';

export interface DialerParts {
  readonly sessions: SessionManager;
  readonly resolver: Pick<Resolver, 'resolve'>;
  readonly peers: PeerTable;
  readonly clock: Clock;
  readonly own: Addresses;
  /** Local TCP into the VPN; undefined where there is no TUN. */
  readonly connector: ConnectorPort | undefined;
  /** Connections for clients that are being made at one time. */
  readonly maxDials: number;
  /** Told of every stream that is opened over the gateway's session for a client, and of the peer that it leads to. */
  readonly openedOverGateway?: (stream: Duplex, peer: Peer | undefined) => void;
  /** Told of every connection to a peer that is made through the TUN. */
  readonly openedThroughTun?: (stream: Duplex, peer: Peer) => void;
  /** Of the gateway's session (session/label.ts). */
  readonly label: () => number;
  /** Told when a peer has answered on a stream that `openedOverGateway` was told of, with its label where it says one. */
  readonly flowAnswered: (peer: Peer, stream: Duplex, label: number | undefined) => void;
}

/** Links of many peers come back at the same moment; the router shall not get all of their dials in it. */
const LINK_DIALS_AT_ONCE = 16;
const LINK_DIAL_MS = 120_000;

export function createDialer(parts: DialerParts): Dialer & PacketDialer {
  /** Streams hold their session: an isolated one must not end under them. */
  const overSession = async (key: StreamKey, open: (lease: Lease) => Promise<RelayEnd>): Promise<RelayEnd> => {
    const lease = parts.sessions.lease(key);
    try {
      const end = await open(lease);
      // A function of its own here would keep the whole dial, its signals included, for as long as the stream lives.
      end.stream.on('close', lease.release);
      if (end.stream.destroyed) lease.release();
      return end;
    } catch (error) {
      lease.release();
      throw error;
    }
  };

  /** The session, as clients get streams from it. */
  const forClients = (key: SessionKey, { session }: Lease, peer?: Peer): Pick<Session, 'connect'> => ({
    connect: async (...how) => {
      // Removed while its gateway was being asked again.
      if (peer !== undefined && !parts.peers.has(peer)) throw removed();
      const stream = await session.connect(...how);
      if (key.kind === 'gateway') parts.openedOverGateway?.(stream, peer);
      return stream;
    },
  });

  const toDestination = (
    destination: string,
    { session, port, signal }: Pick<DialOptions, 'session' | 'port' | 'signal'>,
  ) =>
    overSession(session, async (lease) => ({
      stream: await forClients(session, lease).connect(destination, port, signal),
      halfClose: false,
    }));

  /** Under the gateway's own destination, whatever the session: it is the only one that peers know. */
  const toPeer = async (peer: Peer, { session, port, signal }: DialOptions) => {
    if (!mayReachPeers(session)) throw keptApart();
    if (peer.knowsFlows === false) {
      const end = await throughTun(shownAddress(peer), port, signal);
      parts.openedThroughTun?.(end.stream, peer);
      return end;
    }
    return overSession(GATEWAY, (lease) => {
      const labels = {
        own: parts.label,
        answered: (stream: Duplex, label: number | undefined) => parts.flowAnswered(peer, stream, label),
      };
      return dialFlow({
        session: forClients(GATEWAY, lease, peer),
        destination: destinationOf(peer),
        port,
        labels,
        clock: parts.clock,
        signal,
      });
    });
  };

  const toKnown = ({ b32, base64 }: NamedDestination, options: DialOptions) => {
    const peer = parts.peers.byB32(b32);
    return peer === undefined ? toDestination(base64 ?? hostNameOf(b32), options) : toPeer(peer, options);
  };

  const throughTun = async (address: Address, port: number, signal: AbortSignal): Promise<RelayEnd> => {
    if (parts.connector === undefined) {
      throw new GateError(
        'peer-unreachable',
        'dial.needs-tun',
        'this address can only be reached through the TUN interface, and this gateway runs without one',
      );
    }
    return { stream: await parts.connector.connect(address, port, signal), halfClose: true };
  };

  const byKind = async (target: DialTarget, options: DialOptions): Promise<RelayEnd> => {
    switch (target.kind) {
      case 'address': {
        const key = addressKey(target.address);
        const peer = parts.peers.byAddress(key);
        if (peer !== undefined) return toPeer(peer, options);
        if (key === addressKey(parts.own.oc) || key === addressKey(parts.own.ocat4)) {
          if (!mayReachPeers(options.session)) throw keptApart();
          return throughTun(target.address, options.port, options.signal);
        }
        throw new GateError(
          'peer-unreachable',
          'dial.unknown-peer',
          'no configured peer has this address; add it as a [[peer]]',
        );
      }
      case 'b32':
        return toKnown({ b32: target.b32, base64: undefined }, options);
      case 'destination':
        return toKnown(target.destination, options);
      case 'host': {
        const found = await parts.resolver.resolve(target.host, options.asker, options.signal);
        options.permit(target.host, found.b32);
        return toKnown(found, options);
      }
      case 'b33':
        return toDestination(target.host, options);
      case 'peer': {
        const peer = parts.peers.byName(target.name);
        if (peer !== undefined) return toPeer(peer, options);
        throw new GateError('name-unknown', 'dial.unknown-peer', 'no configured peer has this name; see [[peer]]');
      }
      default:
        return target satisfies never;
    }
  };

  /** The time that a peer has begins when the router is asked: a turn and a session are not for the peer to give. */
  const toGateway = (to: Pick<Peer, 'b32' | 'destination'>, signal: AbortSignal) =>
    overSession(GATEWAY, async ({ session }) => {
      await session.ready(signal);
      const stream = await within(parts.clock, LINK_DIAL_MS, linkDialLate, signal, (limit) =>
        session.connect(destinationOf(to), 0, limit),
      );
      return { stream, halfClose: false };
    });

  const linkDials = createTurnstile(LINK_DIALS_AT_ONCE);
  const dials = new Shares(parts.maxDials);
  return {
    dials: () => dials.snapshot(),
    openPacketStream: (to, signal, isUrgent) => linkDials(() => toGateway(to, signal), signal, isUrgent),
    openOwnEcho: (own, signal) =>
      overSession(OWN_ECHO, async ({ session }) => ({
        stream: await session.connect(hostNameOf(own), 0, signal),
        halfClose: false,
      })),
    dial: async (target, options) => {
      const giveBack = dials.take(keyText(options.asker));
      if (giveBack === undefined) {
        throw new GateError(
          'limit',
          'dial.limit',
          'as many connections are being made as may be, in all or for this one client; see limits.dials',
        );
      }
      try {
        return await byKind(target, options);
      } finally {
        giveBack();
      }
    },
  };
}

function linkDialLate(): GateError {
  return new GateError('peer-timeout', 'link.dial-late', 'the router opened no stream to the peer in time');
}

function removed(): GateError {
  return new GateError('peer-unreachable', 'dial.removed-peer', 'this peer has just been removed from the config');
}

function keptApart(): GateError {
  return new GateError(
    'policy',
    'dial.kept-apart',
    "peers and the VPN are reached under the gateway's own destination only, which this identity is kept apart from",
  );
}

function destinationOf(peer: Pick<Peer, 'b32' | 'destination'>): string {
  return peer.destination?.base64 ?? hostNameOf(peer.b32);
}

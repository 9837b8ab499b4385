/**
 * The name front: tells an OnionCat whose an address of the VPN is, over DNS on our own VPN addresses. Speaks about this
 * gateway and, where the operator wants it, about its configured peers; answers nobody but peers that run OnionCat, and
 * each of them so often. Knows neither packets nor SOCKS.
 */
import type { Peer, PeerTable } from '../../core/peers/table.ts';
import type { UdpPort, UdpSocket } from '../../core/ports.ts';
import type { Clock, Timer } from '../../kit/clock.ts';
import { asGateError, GateError } from '../../kit/errors.ts';
import { type Logger, logFailure } from '../../kit/log.ts';
import { isSame } from '../../kit/same.ts';
import type { Service } from '../../kit/service.ts';
import { createTally } from '../../kit/tally.ts';
import { TokenBucket } from '../../kit/token-bucket.ts';
import { answerQuery } from '../../wire/dns/ptr.ts';
import {
  type Address,
  type Addresses,
  addressKey,
  formatAddress,
  inPrefix,
  parseIpv6,
} from '../../wire/i2p/address.ts';
import type { B32 } from '../../wire/i2p/destination.ts';
import type { UdpAddress } from '../../wire/sam/command.ts';

export interface NameServerOptions {
  readonly own: { readonly b32: B32; readonly addresses: Addresses };
  readonly peers: PeerTable;
  /** Whether configured peers are spoken about as well. */
  readonly tellsPeers: boolean;
  readonly udp: UdpPort;
  readonly clock: Clock;
  readonly log: Logger;
  /** Told whenever `ports` says something else than before. */
  readonly portsChanged: () => void;
}

/** Each question is one of these; `notSent` counts answers besides that the kernel did not take. */
const NAME_COUNTERS = ['answered', 'unknown', 'malformed', 'ignored', 'notAPeer', 'tooOften', 'notSent'] as const;
export type NameCounter = (typeof NAME_COUNTERS)[number];

export interface NameServer extends Service {
  /** Listens while there is somebody who may ask. */
  peersChanged(): Promise<void>;
  /** Where it answers, on both of our addresses. Elsewhere another program of this host may, which is not for peers. */
  ports(): readonly number[];
  counters(): Readonly<Record<NameCounter, number>>;
  /** Why it does not listen everywhere it should; undefined when it does. */
  problem(): GateError | undefined;
}

/** OnionCat 4 asks on the first, older ones on the second. */
const NAME_PORTS = [53, 8060] as const;

/** An OnionCat asks at most 5 times, 5 s apart, for each address that it does not know. */
const QUERIES_BURST = 20;
const QUERIES_PER_SECOND = 5;
/** Between attempts to bind what could not be bound: another server may have gone. */
const RETRY_MS = 60_000;

export function createNameServer(options: NameServerOptions): NameServer {
  const { own, peers, clock, log, udp } = options;
  const counts = createTally(NAME_COUNTERS);
  const buckets = new WeakMap<Peer, TokenBucket>();
  const bucketOf = (peer: Peer): TokenBucket => {
    const bucket = buckets.get(peer) ?? new TokenBucket(QUERIES_BURST, QUERIES_PER_SECOND, clock.now());
    buckets.set(peer, bucket);
    return bucket;
  };
  /** Nobody but an OnionCat asks. */
  const isAsked = () => peers.list().some(({ onionCat }) => onionCat !== undefined);
  const wanted = NAME_PORTS.flatMap((port) =>
    [own.addresses.oc, own.addresses.ocat4].map((address) => ({ address, port })),
  );
  const bound = new Map<(typeof wanted)[number], UdpSocket>();
  let toldPorts: readonly number[] = [];
  let problem: GateError | undefined;
  let retry: Timer | undefined;
  let settled = Promise.resolve();
  let stopped = false;

  const nameOf = (address: Buffer): B32 | undefined => {
    if (own.addresses.oc.equals(address) || own.addresses.ocat4.equals(address)) return own.b32;
    return options.tellsPeers && inPrefix(address, 0) ? peers.byAddress(addressKey(address))?.b32 : undefined;
  };

  const answer = (socket: UdpSocket, query: Buffer, from: UdpAddress) => {
    const address = parseIpv6(from.address);
    const peer = address !== undefined && inPrefix(address, 0) ? peers.byAddress(addressKey(address)) : undefined;
    if (peer?.onionCat === undefined) return counts.add('notAPeer');
    if (!bucketOf(peer).take(clock.now())) return counts.add('tooOften');
    const outcome = answerQuery(query, nameOf);
    counts.add(outcome.kind === 'unsupported' ? 'malformed' : outcome.kind);
    if (outcome.kind !== 'ignored' && !socket.send(outcome.reply, from)) counts.add('notSent');
  };

  const bindOne = async (address: Address, port: number): Promise<UdpSocket> => {
    const socket = await udp.bind(formatAddress(address), port);
    socket.onDatagram((bytes, from) => answer(socket, bytes, from));
    socket.onError(() => counts.add('notSent'));
    return socket;
  };

  const listens = () => !stopped && isAsked();

  const ports = () => NAME_PORTS.filter((port) => wanted.every((place) => place.port !== port || bound.has(place)));

  const tellPorts = () => {
    const now = ports();
    if (isSame(now, toldPorts)) return;
    toldPorts = now;
    options.portsChanged();
  };

  const bindAll = async () => {
    retry?.cancel();
    problem = undefined;
    for (const place of wanted) {
      if (bound.has(place) || !listens()) continue;
      try {
        bound.set(place, await bindOne(place.address, place.port));
      } catch (error) {
        problem ??= explain(asGateError(error, 'binding the name server'), place.port);
      }
    }
    if (!listens()) closeAll();
    else if (problem !== undefined) {
      logFailure(log, problem, 'binding the name server');
      retry = clock.after(RETRY_MS, () => void settle());
    }
    tellPorts();
  };

  /** One at a time, or two would want the same port. */
  const settle = () => {
    settled = settled.then(bindAll);
    return settled;
  };

  const closeAll = () => {
    retry?.cancel();
    problem = undefined;
    for (const socket of bound.values()) socket.close();
    bound.clear();
    tellPorts();
  };

  return {
    start: () => settle(),
    peersChanged: () => settle(),
    stop: async () => {
      stopped = true;
      closeAll();
    },
    ports,
    counters: () => counts.snapshot(),
    problem: () => problem,
  };
}

/** What the operator can do about it. */
function explain(error: GateError, port: number): GateError {
  const told = (message: string) =>
    new GateError(error.kind, error.code, message, { facts: error.facts, cause: error });
  switch (error.code) {
    case 'udp.permission':
      return told(
        `UDP port ${port} of the VPN address may not be used by this user; run as root, give the process ` +
          'CAP_NET_BIND_SERVICE, or set vpn.dns = "off"',
      );
    case 'udp.port-taken':
      return told(
        `another program answers on UDP port ${port} of the VPN address already, and peers are kept from it; keep it to ` +
          'its own addresses, or set vpn.dns = "off"',
      );
    default:
      return error;
  }
}

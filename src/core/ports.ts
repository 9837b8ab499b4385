/**
 * The outside world as the core and the fronts want it: interfaces, which io/ implements, and fakes in the tests; and how
 * to tell streams apart by what they can do. Every Duplex handed out here is paused, has half-open allowed, and already has
 * an `error` listener, so that a stream that dies between two owners never takes the process down.
 */
import type { Duplex } from 'node:stream';
import type { GateError } from '../kit/errors.ts';
import type { Address } from '../wire/i2p/address.ts';
import type { Prefix } from '../wire/packet/prefix.ts';
import type { UdpAddress } from '../wire/sam/command.ts';

/**
 * What became of borrowed bytes: `done` with them; `until-resumed`, in use for as long as the stream that lent them is
 * paused, and for good if it closes before; or `kept` by somebody who may have them for good.
 */
export type Loan = 'done' | 'until-resumed' | 'kept';

/** A stream that can lend out what it reads from a buffer that it uses again, instead of making a new one every time. */
export interface LendingStream extends Duplex {
  /**
   * From now on `take` gets what is read, and `data` is emitted only for what was read before; all else stays as it is,
   * `pause` and `resume` too. The bytes are borrowed: overwritten soon after `take` returns, unless it says otherwise.
   * `lender` is the stream that this was asked of.
   */
  lend(take: (bytes: Uint8Array, lender: Duplex) => Loan): void;
}

/** A stream that is done with what it is given as soon as its `writableLength` is 0 again, as a socket is. */
export interface WriteThroughStream extends Duplex {
  readonly writesThrough: true;
}

/** A stream that knows how much has come on it, as a socket does. */
export interface CountingStream extends Duplex {
  /** Bytes so far, also those that nobody has taken yet. */
  readonly bytesRead: number;
}

/** A stream whose kernel buffer can be kept small, so that what waits does so where it can still be reordered or dropped. */
export interface UnsentLimitedStream extends Duplex {
  /**
   * From now on the kernel takes about `bytes` ahead of what it has sent, and not what it finds right. Where that cannot
   * be had, nothing happens.
   */
  limitUnsent(bytes: number): void;
}

export function canLimitUnsent(stream: Duplex): stream is UnsentLimitedStream {
  return 'limitUnsent' in stream;
}

export function isLending(stream: Duplex): stream is LendingStream {
  return 'lend' in stream;
}

export function isCounting(stream: Duplex): stream is CountingStream {
  return 'bytesRead' in stream;
}

export function writesThrough(stream: Duplex): stream is WriteThroughStream {
  return 'writesThrough' in stream;
}

/** Connections to the SAM bridge of a router. */
export interface BridgePort {
  /** One TCP connection. @throws GateError `router-down` when nobody answers */
  open(signal: AbortSignal): Promise<Duplex>;
}

/** The same router's way for datagrams. */
export interface DatagramBridgePort extends BridgePort {
  /**
   * A socket that hears and reaches nobody but the UDP port of the bridge; undefined where datagrams are to travel on the
   * control connection of their session.
   *
   * @throws GateError `router-down` while there is no router, `local-io` or `limit` when no socket can be had
   */
  openDatagrams(signal: AbortSignal): Promise<UdpSocket | undefined>;
}

/** UDP on one address of this machine. What it is handed and what it hands out is whole datagrams. */
export interface UdpSocket {
  readonly local: UdpAddress;
  /** Called for every datagram; `bytes` are the taker's. */
  onDatagram(take: (bytes: Buffer, from: UdpAddress) => void): void;
  /** Called when the kernel reports an error, such as that nobody listens at the other side of a connected socket. */
  onError(failed: (error: GateError) => void): void;
  /**
   * Never waits, and holds little where the kernel takes no more: what does not fit is lost, as on any network.
   *
   * @param to a literal address; left out on a connected socket
   * @returns whether it was taken, which nothing to port 0 is; what the kernel says of it afterwards comes to `onError`
   */
  send(bytes: Buffer, to?: UdpAddress): boolean;
  /** Idempotent. */
  close(): void;
}

/** Sockets for UDP datagrams. */
export interface UdpPort {
  /**
   * @param address a literal address of this machine
   * @param port 0 for any free one
   * @throws GateError `udp.permission`, `udp.port-taken` and others
   */
  bind(address: string, port: number): Promise<UdpSocket>;
}

/**
 * Whole, well-formed IPv6 packets back to back, as they stand on the wire: each begins where the one before it ends, as
 * its own header says.
 */
export type PacketRun = Buffer;

/**
 * How a run came from the interface, in rows: the bytes and the packets of the first row, of the second, and so on. The
 * packets of a row are alike in all that they are judged, routed and sorted by, and none is longer than the first.
 */
export type PacketRows = Uint32Array;

/** Run and rows are borrowed: they are overwritten when it returns. */
export type TakePackets = (run: PacketRun, rows?: PacketRows) => void;

/**
 * What the kernel says of an interface. `incomplete`: it is up, but an address of ours, a route into it or an unreachable one
 * behind that is missing, as after somebody has set it down and up again. `diverted`: somebody's route leads a part of the /48 elsewhere.
 */
export type TunState = 'up' | 'down' | 'incomplete' | 'diverted';

/** What passed between the kernel and us so far. With offload one call passes many packets. */
export interface TunTraffic {
  /** From the kernel, to be sent to peers. */
  readonly readPackets: number;
  readonly readBytes: number;
  readonly reads: number;
  readonly writtenPackets: number;
  readonly writtenBytes: number;
  readonly writes: number;
}

/** What goes into the interface besides the /48, and from where. */
export interface PeerRoutes {
  /** Behind peers. */
  readonly networks: readonly Prefix[];
  /** Peers that know us by our second address only: packets to them leave from it. */
  readonly hosts: readonly Address[];
}

/** A TUN interface that was brought up, with our addresses on it. */
export interface TunPort {
  readonly name: string;
  /** Bytes. */
  readonly mtu: number;
  /** Whether packets of TCP that are longer than the MTU can be exchanged with the kernel, as it makes them itself. */
  readonly takesBig: boolean;
  /** Called for every batch that the kernel hands over. */
  onPackets(take: TakePackets): void;
  /** Called once when the interface is gone, for instance because somebody deleted it. */
  onLost(lost: (error: GateError) => void): void;
  /**
   * Hands packets to the kernel; what it does not take is dropped and counted, as on any interface.
   *
   * @param segment packets of TCP that are longer than this, in bytes, stand for a row of packets that are this long
   */
  write(run: PacketRun, segment?: number): void;
  /**
   * Rows of TCP packets to this address, each `segment` bytes long, may come as one long packet from now on. Only a wish: it
   * may be forgotten.
   */
  keepWhole(destination: Buffer, segment: number): void;
  /** No such wish holds any more. Batches that were read before may still hold long packets. */
  cutAll(): void;
  traffic(): TunTraffic;
  /** Packets dropped on this border so far, by cause. */
  drops(): Readonly<Record<string, number>>;
  /** Asks the kernel now. An interface that is gone or closed is `down`. Never throws. */
  state(): TunState;
  /** @returns whether anything has happened to the interface or to routes around it since the last poll. Costs next to nothing. */
  pollChanges(): boolean;
  /**
   * Puts back what of `incomplete` is missing. An interface that somebody has set down stays down: that may be meant.
   *
   * @throws GateError when it cannot be put back
   */
  restore(): void;
  /**
   * From now on these routes lead into the interface, and no others; they begin and end without a moment in between.
   *
   * @throws GateError when a new one cannot be had, and then all is as it was
   */
  route(routes: PeerRoutes): void;
  /** Idempotent; leaves no address and no route but the unreachable one. */
  close(): Promise<void>;
}

/**
 * `on`: our rules stand, as far as we know. `broken`: they were taken away, and could not be put back.
 */
export type FirewallState =
  | { readonly kind: 'on' }
  | { readonly kind: 'broken'; readonly why: GateError; readonly sinceMs: number };

/** The rules in the kernel that keep peers from what they may not reach. */
export interface FirewallPort {
  state(): FirewallState;
  /**
   * Has these rules from now on, in one step: no packet meets neither the old nor the new ones.
   *
   * @param rules the whole table, as text for nft
   * @throws GateError when they cannot be loaded, and then the old ones stay
   */
  replace(rules: string): Promise<void>;
  /** How often somebody else changed or removed our rules and they were put back, and when that was last. */
  readonly restored: { readonly count: number; readonly lastMs: number | undefined };
  /** Packets dropped by the rules as they were last loaded, by cause. Asks the kernel. @throws GateError */
  drops(): Promise<Readonly<Record<string, number>>>;
}

/** Who connected to a listener; `undefined` addresses for a unix socket. */
export interface ClientOrigin {
  readonly address: string | undefined;
  /** Of this machine, where the client came in. */
  readonly localAddress?: string | undefined;
}

/** A bound listening socket. */
export interface ListenerPort {
  /** Where it listens, for people: `127.0.0.1:9160` or a path. */
  readonly where: string;
  /** Starts accepting. */
  accept(take: (client: Duplex, origin: ClientOrigin) => void): void;
  close(): Promise<void>;
}

/** TCP connections of this host to an address inside the /48: its own, or a peer's through the TUN. */
export interface ConnectorPort {
  /** @throws GateError `peer-refused`, `peer-unreachable` or `peer-timeout` as the kernel reports */
  connect(address: Address, port: number, signal: AbortSignal): Promise<Duplex>;
}

/**
 * The VPN front: packets from the TUN to the link of the peer whose address they carry, streams of peers to their link,
 * and answers to local senders whose packets can go nowhere. Knows nothing of SOCKS and of flows.
 */
import type { Duplex } from 'node:stream';
import type { PacketDialer, RelayEnd } from '../../core/dial/target.ts';
import type { Origin } from '../../core/inbound/switch.ts';
import { longestFor, type Peer, type PeerPlan, type PeerTable, shownAddress } from '../../core/peers/table.ts';
import type { PacketRows, PacketRun, TunPort } from '../../core/ports.ts';
import type { Relay } from '../../core/relay/report.ts';
import { Blocks } from '../../kit/blocks.ts';
import type { Clock } from '../../kit/clock.ts';
import { GateError } from '../../kit/errors.ts';
import type { Logger } from '../../kit/log.ts';
import type { Service } from '../../kit/service.ts';
import { tally } from '../../kit/tally.ts';
import { TokenBucket } from '../../kit/token-bucket.ts';
import { type Addresses, addressKey, inPrefix, LOCAL_ECHO, ROUTED_ECHO } from '../../wire/i2p/address.ts';
import type { B32 } from '../../wire/i2p/destination.ts';
import { echoReply, isEchoRequest } from '../../wire/packet/echo.ts';
import {
  isLinkMessage,
  mayAnswer,
  packetTooBig,
  UNREACHABLE,
  type UnreachableCode,
  unreachable,
} from '../../wire/packet/icmpv6.ts';
import {
  DESTINATION_OFFSET,
  HEADER_LENGTH,
  NEXT_HEADER_OFFSET,
  NEXT_HEADER_TCP,
  packetLength,
  SOURCE_OFFSET,
} from '../../wire/packet/ipv6.ts';
import type { Prefix } from '../../wire/packet/prefix.ts';
import { eachRow } from '../../wire/packet/rows.ts';
import { Admission } from './admission.ts';
import { EchoProbe } from './echo-probe.ts';
import type { QueueLimits } from './fair-queue.ts';
import type { LinkReport } from './link-report.ts';
import type { LinkWorld } from './link-world.ts';
import { RUN_BLOCK } from './outbound-packets.ts';
import { OwnEcho, type OwnEchoReport } from './own-echo.ts';
import { PeerLink } from './peer-link.ts';
import { type PingResult, pingLink } from './ping.ts';
import { SessionWatch, type SharedSession } from './session-watch.ts';

export interface VpnOptions {
  readonly tun: TunPort;
  readonly own: { readonly b32: B32; readonly addresses: Addresses };
  readonly peers: PeerTable;
  readonly relay: Relay;
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: () => number;
  readonly queue: QueueLimits;
  /** Behind us, for peers to reach and to be reached from. */
  readonly networks: readonly Prefix[];
  /** Announced to peers: whether this gateway takes TCP connections as flows. */
  readonly takesFlows: boolean;
  /** Rows of TCP packets go to peers that take them as one long packet, and are taken so. */
  readonly bigPackets: boolean;
  readonly dial: PacketDialer['openPacketStream'];
  /** Opens a stream to our own destination, from another one. */
  readonly dialOurselves: (signal: AbortSignal) => Promise<RelayEnd>;
  readonly session: SharedSession;
  /** See LinkWorld. */
  readonly label: LinkWorld['label'];
  readonly labelHeard: LinkWorld['labelHeard'];
  /** The interface is gone and will not come back by itself. */
  readonly onTunLost: (error: GateError) => void;
}

/** Why a packet from the TUN went nowhere. */
const EGRESS_DROPS = [
  'multicastOrLinkLocal',
  'outsidePrefix',
  'foreignSource',
  'unknownPeer',
  'tooBig',
  'ownEchoOverflow',
] as const;
export type EgressDrop = (typeof EGRESS_DROPS)[number];

export interface VpnGateway extends Service {
  /**
   * The table of peers has changed. Links of those who were removed end, and when this resolves no packet of theirs comes
   * any more.
   */
  change(plan: Pick<PeerPlan, 'removed' | 'added'>): Promise<void>;
  take(peer: Peer, stream: Duplex, origin: Origin): void;
  /** A stream that came from the destination that `dialOurselves` dials from. */
  takeOwn(stream: Duplex): void;
  ownEcho(): OwnEchoReport;
  links(): readonly LinkReport[];
  /** @throws GateError `peer-unreachable` for a peer without a link */
  ping(peer: Peer, timeoutMs: number, signal: AbortSignal): Promise<readonly PingResult[]>;
  /** Times that the session was built anew for the sake of a peer. */
  rebuilds(): number;
  drops(): Readonly<Record<EgressDrop, number>>;
}

/** Linux's own default for ICMPv6 errors is one per second and destination; local senders may have a few more. */
const ANSWERS_BURST = 50;
const ANSWERS_PER_SECOND = 100;

/** As much as is on its way at once on the fastest line: 2 MiB. */
const SPARE_BLOCKS = 32;

export function createVpnGateway(options: VpnOptions): VpnGateway {
  const { tun, own, peers, clock } = options;
  const drops = tally(EGRESS_DROPS);
  const answerLimit = () => new TokenBucket(ANSWERS_BURST, ANSWERS_PER_SECOND, clock.now());
  const unreachables = answerLimit();
  // Their own: whoever is not told what size passes goes on for ever with what does not.
  const tooBigs = answerLimit();
  const links = new Map<Peer, PeerLink>();
  const blocks = new Blocks(RUN_BLOCK, SPARE_BLOCKS);
  const admission = new Admission(own.addresses, peers.list(), options.networks);

  const answerWithin = (limit: TokenBucket, packet: Buffer, make: () => Buffer) => {
    if (mayAnswer(packet) && limit.take(clock.now())) tun.write(make());
  };
  const answerTooBig = (packet: Buffer, longest: number) =>
    answerWithin(tooBigs, packet, () => packetTooBig(own.addresses.oc, longest, packet));
  const answer = (packet: Buffer, code: UnreachableCode) =>
    answerWithin(unreachables, packet, () => unreachable(own.addresses.oc, code, packet));

  const echo = new EchoProbe(own.addresses.oc, Math.floor(options.random() * 0x10000));
  const addLink = (peer: Peer): PeerLink => {
    const link = new PeerLink(peer, {
      own,
      clock,
      log: options.log,
      random: options.random,
      relay: options.relay,
      queue: options.queue,
      blocks,
      takesFlows: options.takesFlows,
      big: { takesBig: options.bigPackets && tun.takesBig, mtu: tun.mtu },
      admission,
      dial: options.dial,
      label: options.label,
      labelHeard: options.labelHeard,
      deliver: (run, segment) => {
        echo.see(run);
        tun.write(run, segment);
      },
      cut: () => tun.cutAll(),
      undeliverable: (packet) => answer(packet, UNREACHABLE.address),
      tooBig: (packet) => answerTooBig(packet, longestFor(peer)),
    });
    links.set(peer, link);
    return link;
  };
  for (const peer of peers.list()) addLink(peer);

  const watch = new SessionWatch({
    clock,
    log: options.log,
    session: options.session,
    links: () => [...links.values()].map((link) => link.reach()),
  });

  const ownEcho = new OwnEcho({
    own,
    responder: ROUTED_ECHO,
    clock,
    log: options.log,
    random: options.random,
    dial: options.dialOurselves,
    deliver: (run) => tun.write(run),
    undeliverable: (packet) => answer(packet, UNREACHABLE.address),
    overflowed: () => drops.add('ownEchoOverflow'),
  });

  /** Answers an echo request to ourselves, or sends it to ourselves through I2P. @returns whether it was one */
  const handleEcho = (packet: Buffer): boolean => {
    if (!isEchoRequest(packet)) return false;
    const to = packet.subarray(DESTINATION_OFFSET, HEADER_LENGTH);
    if (LOCAL_ECHO.equals(to)) tun.write(echoReply(packet));
    else if (ROUTED_ECHO.equals(to)) ownEcho.send(packet);
    else return false;
    return true;
  };

  /** Where the packet at `at` goes; undefined after it was dropped, and answered where that is due. */
  const route = (run: PacketRun, at: number, end: number): PeerLink | undefined => {
    const to = at + DESTINATION_OFFSET;
    const inVpn = inPrefix(run, to);
    const peer = inVpn ? peers.byAddress(addressKey(run, to)) : admission.peerBehind(run, to);
    if (peer === undefined && !inVpn) {
      if (staysLocal(run, to)) drops.add('multicastOrLinkLocal');
      else {
        drops.add('outsidePrefix');
        answer(run.subarray(at, end), UNREACHABLE.noRoute);
      }
      return undefined;
    }
    // A real address of this host as source would tell the peer who we are.
    if (!admission.isOurs(run, at + SOURCE_OFFSET)) {
      drops.add('foreignSource');
      answer(run.subarray(at, end), UNREACHABLE.sourcePolicy);
      return undefined;
    }
    if (isLinkMessage(run, at, end)) {
      drops.add('multicastOrLinkLocal');
      return undefined;
    }
    const link = peer === undefined ? undefined : links.get(peer);
    if (link === undefined && !handleEcho(run.subarray(at, end))) {
      drops.add('unknownPeer');
      answer(run.subarray(at, end), UNREACHABLE.address);
    }
    return link;
  };

  /** @returns the link that has got packets of the row, if any */
  const takeRow = (
    run: PacketRun,
    start: number,
    firstEnd: number,
    end: number,
    packets: number,
  ): PeerLink | undefined => {
    const link = route(run, start, firstEnd);
    if (link?.takes(firstEnd - start)) {
      const { segment } = link;
      // It stands for a super-packet that was cut: the next ones need not be.
      if (segment === firstEnd - start && packets > 1 && run[start + NEXT_HEADER_OFFSET] === NEXT_HEADER_TCP)
        tun.keepWhole(run.subarray(start + DESTINATION_OFFSET, start + HEADER_LENGTH), segment);
      link.enqueue(run.subarray(start, end), packets);
      return link;
    }
    if (link !== undefined) {
      drops.add('tooBig');
      answerTooBig(run.subarray(start, firstEnd), longestFor(link.peer));
    }
    // Each packet that goes nowhere is counted and answered by itself; a last one that is shorter may go.
    let taken: PeerLink | undefined;
    for (let at = firstEnd; at < end; ) {
      const next = at + packetLength(run, at);
      taken = takeRow(run, at, next, next, 1) ?? taken;
      at = next;
    }
    return taken;
  };

  const onPackets = (run: PacketRun, rows?: PacketRows) => {
    let sending: PeerLink | undefined;
    eachRow(run, rows, RUN_BLOCK, (start, firstEnd, end, packets) => {
      const link = takeRow(run, start, firstEnd, end, packets);
      if (link === undefined || link === sending) return;
      sending?.flush();
      sending = link;
    });
    sending?.flush();
  };

  let isRunning = false;
  return {
    name: 'vpn',
    start: async () => {
      isRunning = true;
      tun.onPackets(onPackets);
      tun.onLost(options.onTunLost);
      for (const link of links.values()) link.start();
      watch.start();
    },
    stop: async () => {
      isRunning = false;
      watch.stop();
      await Promise.all([ownEcho.stop(), ...[...links.values()].map((link) => link.stop())]);
    },
    change: async ({ removed, added }) => {
      admission.setPeers(peers.list());
      const gone = removed.flatMap((peer) => links.get(peer) ?? []);
      for (const peer of removed) links.delete(peer);
      for (const peer of added) {
        const link = addLink(peer);
        // Before the start it starts with the others; behind the end it would go on for ever.
        if (isRunning) link.start();
      }
      await Promise.all(gone.map((link) => link.stop()));
    },
    take: (peer, stream, origin) => {
      const link = links.get(peer);
      if (link === undefined) stream.destroy();
      else link.accept(stream, origin);
    },
    takeOwn: (stream) => ownEcho.accept(stream),
    ownEcho: () => ownEcho.report(),
    links: () => [...links.values()].map((link) => link.report()),
    rebuilds: () => watch.rebuilds,
    ping: async (peer, timeoutMs, signal) => {
      const link = links.get(peer);
      if (link === undefined) throw new GateError('peer-unreachable', 'ping.no-link', 'this peer has no link');
      return pingLink({ link, echo, address: shownAddress(peer), clock }, timeoutMs, signal);
    },
    drops: () => drops.snapshot(),
  };
}

/** Multicast (ff00::/8) and link-local (fe80::/10) have no meaning beyond this link. */
function staysLocal(bytes: Buffer, offset: number): boolean {
  return bytes[offset] === 0xff || (bytes[offset] === 0xfe && ((bytes[offset + 1] ?? 0) & 0xc0) === 0x80);
}

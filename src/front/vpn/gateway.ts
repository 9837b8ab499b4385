/**
 * The VPN front: has a link to each peer, brings packets from the TUN (egress.ts) and streams of peers to them, and keeps them
 * as the table of peers changes. Knows nothing of SOCKS and of flows.
 */
import type { Duplex } from 'node:stream';
import type { PacketDialer, RelayEnd } from '../../core/dial/target.ts';
import type { Origin } from '../../core/inbound/switch.ts';
import {
  longestFor,
  ownAddressFor,
  type Peer,
  type PeerPlan,
  type PeerTable,
  shownAddress,
} from '../../core/peers/table.ts';
import type { TunPort } from '../../core/ports.ts';
import type { Relay } from '../../core/relay/report.ts';
import { Blocks } from '../../kit/blocks.ts';
import type { Clock } from '../../kit/clock.ts';
import { GateError } from '../../kit/errors.ts';
import type { Logger } from '../../kit/log.ts';
import type { Service } from '../../kit/service.ts';
import { type Addresses, ROUTED_ECHO } from '../../wire/i2p/address.ts';
import type { B32 } from '../../wire/i2p/destination.ts';
import { codeForAbsence, type Waiting } from '../../wire/packet/icmpv6.ts';
import type { Prefix } from '../../wire/packet/prefix.ts';
import { PacketAdmission } from './admission.ts';
import { EchoProbe } from './echo-probe.ts';
import { Egress, type EgressDrop } from './egress.ts';
import type { FairQueueLimits } from './fair-queue.ts';
import { IcmpErrors } from './icmp-errors.ts';
import type { LinkEnvironment } from './link-environment.ts';
import type { LinkReport } from './link-report.ts';
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
  readonly queue: FairQueueLimits;
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
  /** See LinkEnvironment. */
  readonly label: LinkEnvironment['label'];
  readonly labelHeard: LinkEnvironment['labelHeard'];
  /** The interface is gone and will not come back by itself. */
  readonly onTunLost: (error: GateError) => void;
}

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

/** As much as is on its way at once on the fastest line: 2 MiB. */
const SPARE_BLOCKS = 32;

export function createVpnGateway(options: VpnOptions): VpnGateway {
  const { tun, own, peers, clock, log, random } = options;
  const links = new Map<Peer, PeerLink>();
  const blocks = new Blocks(RUN_BLOCK, SPARE_BLOCKS);
  const admission = new PacketAdmission(own.addresses, peers.list(), options.networks);
  const errors = new IcmpErrors(own.addresses.oc, clock, (error) => tun.write(error));
  const away = (packet: Buffer, waiting: Waiting) => {
    const code = codeForAbsence(packet, waiting);
    if (code !== undefined) errors.answerUnreachable(packet, code);
  };
  const echo = new EchoProbe(Math.floor(random() * 0x10000));
  const ownEcho = new OwnEcho({
    own,
    responder: ROUTED_ECHO,
    clock,
    log,
    random,
    dial: options.dialOurselves,
    deliver: (run) => tun.write(run),
    undeliverable: (packet) => away(packet, 'expired-last'),
    overflowed: () => egress.drops.add('ownEchoOverflow'),
  });
  const egress = new Egress({ tun, peers, links, admission, errors, ownEcho });

  const addLink = (peer: Peer): PeerLink => {
    const link = new PeerLink(peer, {
      own,
      clock,
      log,
      random,
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
      away,
      tooBig: (packet) => errors.answerTooBig(packet, longestFor(peer)),
    });
    links.set(peer, link);
    return link;
  };
  for (const peer of peers.list()) addLink(peer);

  const watch = new SessionWatch({
    clock,
    log,
    session: options.session,
    links: () => [...links.values()].map((link) => link.reach()),
  });

  let isRunning = false;
  let unwatchSession = () => {};
  return {
    start: async () => {
      isRunning = true;
      tun.onPackets((run, rows) => egress.send(run, rows));
      tun.onLost(options.onTunLost);
      for (const link of links.values()) link.start();
      watch.start();
      unwatchSession = options.session.onReady(() => {
        for (const link of links.values()) link.sessionStands();
      });
    },
    stop: async () => {
      isRunning = false;
      watch.stop();
      unwatchSession();
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
      const way = { from: ownAddressFor(peer, own.addresses), to: shownAddress(peer) };
      return pingLink({ link, echo, ...way, clock }, timeoutMs, signal);
    },
    drops: () => egress.drops.snapshot(),
  };
}

/**
 * Packets from the TUN: each row of alike ones goes to the link of the peer whose address it carries, or nowhere, which is
 * counted and, where that is due, answered. Knows no stream.
 */
import { longestFor, type Peer, type PeerTable } from '../../core/peers/table.ts';
import type { PacketRows, PacketRun, TunPort } from '../../core/ports.ts';
import { createTally } from '../../kit/tally.ts';
import { addressKey, inPrefix, LOCAL_ECHO, ROUTED_ECHO } from '../../wire/i2p/address.ts';
import { echoReply, isEchoRequest } from '../../wire/packet/echo.ts';
import { isLinkMessage, UNREACHABLE } from '../../wire/packet/icmpv6.ts';
import {
  DESTINATION_OFFSET,
  HEADER_LENGTH,
  hasAddressAt,
  NEXT_HEADER_OFFSET,
  NEXT_HEADER_TCP,
  packetLength,
  SOURCE_OFFSET,
} from '../../wire/packet/ipv6.ts';
import { eachRow } from '../../wire/packet/rows.ts';
import type { PacketAdmission } from './admission.ts';
import type { IcmpErrors } from './icmp-errors.ts';
import { RUN_BLOCK } from './outbound-packets.ts';
import type { OwnEcho } from './own-echo.ts';
import type { PeerLink } from './peer-link.ts';

export interface EgressParts {
  readonly tun: Pick<TunPort, 'keepWhole' | 'write'>;
  readonly peers: Pick<PeerTable, 'byAddress'>;
  readonly links: ReadonlyMap<Peer, PeerLink>;
  readonly admission: PacketAdmission;
  readonly errors: IcmpErrors;
  readonly ownEcho: OwnEcho;
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

export class Egress {
  readonly drops = createTally(EGRESS_DROPS);
  readonly #parts: EgressParts;

  constructor(parts: EgressParts) {
    this.#parts = parts;
  }

  /** @param rows see TunPort.onPackets */
  send(run: PacketRun, rows?: PacketRows): void {
    let sending: PeerLink | undefined;
    eachRow(run, rows, RUN_BLOCK, (start, firstEnd, end, packets) => {
      const link = this.#sendRow(run, start, firstEnd, end, packets);
      if (link === undefined || link === sending) return;
      sending?.flush();
      sending = link;
    });
    sending?.flush();
  }

  /** @returns the link that has got packets of the row, if any */
  #sendRow(run: PacketRun, start: number, firstEnd: number, end: number, packets: number): PeerLink | undefined {
    const { tun, errors } = this.#parts;
    const link = this.#route(run, start, firstEnd);
    if (link?.takes(firstEnd - start)) {
      const { segment } = link;
      // It stands for a super-packet that was cut: the next ones need not be.
      if (segment === firstEnd - start && packets > 1 && run[start + NEXT_HEADER_OFFSET] === NEXT_HEADER_TCP)
        tun.keepWhole(run.subarray(start + DESTINATION_OFFSET, start + HEADER_LENGTH), segment);
      link.enqueue(run.subarray(start, end), packets);
      return link;
    }
    if (link !== undefined) {
      this.drops.add('tooBig');
      errors.answerTooBig(run.subarray(start, firstEnd), longestFor(link.peer));
    }
    // Each packet that goes nowhere is counted and answered by itself; a last one that is shorter may go.
    let taken: PeerLink | undefined;
    for (let at = firstEnd; at < end; ) {
      const next = at + packetLength(run, at);
      taken = this.#sendRow(run, at, next, next, 1) ?? taken;
      at = next;
    }
    return taken;
  }

  /** Where the packet at `bytes[at, end)` goes; undefined after it was dropped, and answered where that is due. */
  #route(run: PacketRun, at: number, end: number): PeerLink | undefined {
    const { peers, links, admission, errors } = this.#parts;
    const to = at + DESTINATION_OFFSET;
    const inVpn = inPrefix(run, to);
    const peer = inVpn ? peers.byAddress(addressKey(run, to)) : admission.peerBehind(run, to);
    if (peer === undefined && !inVpn) {
      if (staysLocal(run, to)) this.drops.add('multicastOrLinkLocal');
      else {
        this.drops.add('outsidePrefix');
        errors.answerUnreachable(run.subarray(at, end), UNREACHABLE.noRoute);
      }
      return undefined;
    }
    // A real address of this host as source would tell the peer who we are.
    if (!admission.isOurs(run, at + SOURCE_OFFSET)) {
      this.drops.add('foreignSource');
      errors.answerUnreachable(run.subarray(at, end), UNREACHABLE.sourcePolicy);
      return undefined;
    }
    if (isLinkMessage(run, at, end)) {
      this.drops.add('multicastOrLinkLocal');
      return undefined;
    }
    const link = peer === undefined ? undefined : links.get(peer);
    if (link === undefined && !this.#handleEcho(run.subarray(at, end))) {
      this.drops.add('unknownPeer');
      errors.answerUnreachable(run.subarray(at, end), UNREACHABLE.address);
    }
    return link;
  }

  /** Answers an echo request to ourselves, or sends it to ourselves through I2P. @returns whether it was one */
  #handleEcho(packet: Buffer): boolean {
    const { tun, ownEcho } = this.#parts;
    if (!isEchoRequest(packet)) return false;
    if (hasAddressAt(packet, DESTINATION_OFFSET, LOCAL_ECHO)) tun.write(echoReply(packet));
    else if (hasAddressAt(packet, DESTINATION_OFFSET, ROUTED_ECHO)) ownEcho.send(packet);
    else return false;
    return true;
  }
}

/** Multicast (ff00::/8) and link-local (fe80::/10) have no meaning beyond this link. */
function staysLocal(bytes: Buffer, offset: number): boolean {
  return bytes[offset] === 0xff || (bytes[offset] === 0xfe && ((bytes[offset + 1] ?? 0) & 0xc0) === 0x80);
}

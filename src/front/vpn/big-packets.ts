/**
 * Big packets between two gateways of our kind: what the kernel hands over as one super-packet of TCP stays one packet on
 * the way to the peer (docs/adr/0026). Says what both sides have agreed on, and whether the line is quick enough for it.
 * Pure: knows no stream and no interface.
 */
import { longestFor, type Peer } from '../../core/peers/table.ts';
import { LONGEST_PACKET } from '../../wire/packet/ipv6.ts';

/** Our own side. */
export interface BigPacketsOffer {
  /** We take and send them: the operator has not switched it off, and the interface can pass them to the kernel. */
  readonly takesBig: boolean;
  /** Of our interface, in bytes. */
  readonly mtu: number;
}

/**
 * A line that carries the longest packet there is within a moment (`momentBytes` of in-flight.ts, 2 ms) is quick enough:
 * nobody feels to have waited for one. It stops to be when it carries half of that.
 */
const QUICK = LONGEST_PACKET;
const SLOW = LONGEST_PACKET / 2;

/**
 * The size of the packets that a big one between us and this peer stands for, all but the last: what both interfaces carry.
 * Nobody has to say it in the packet. Bytes; undefined while one of both sides takes no big packets.
 */
export function agreedSegment(offer: BigPacketsOffer, peer: Peer): number | undefined {
  return offer.takesBig && peer.takesBig ? Math.min(offer.mtu, longestFor(peer)) : undefined;
}

/** May a packet of this length go to the peer? */
export function fits(offer: BigPacketsOffer, peer: Peer, length: number): boolean {
  if (length <= longestFor(peer)) return true;
  // The kernel hands over nothing longer than the interface carries but super-packets.
  return length > offer.mtu && agreedSegment(offer, peer) !== undefined;
}

/** How super-packets leave for one peer. */
export class BigPackets {
  readonly #offer: BigPacketsOffer;
  readonly #peer: Peer;
  #isQuick = false;

  constructor(offer: BigPacketsOffer, peer: Peer) {
    this.#offer = offer;
    this.#peer = peer;
  }

  /** @param momentBytes what the stream in use carries in a moment; 0 when there is none */
  noteMomentBytes(momentBytes: number): void {
    this.#isQuick = momentBytes >= (this.#isQuick ? SLOW : QUICK);
  }

  /** See agreedSegment; undefined as well while the line is too slow to send them. */
  get segment(): number | undefined {
    return this.#isQuick ? agreedSegment(this.#offer, this.#peer) : undefined;
  }

  get state(): BigPacketsState {
    if (agreedSegment(this.#offer, this.#peer) === undefined) return 'off';
    return this.#isQuick ? 'sending' : 'agreed';
  }
}

/** `agreed`: both sides take them, and the line is too slow to send any. */
export type BigPacketsState = 'off' | 'agreed' | 'sending';

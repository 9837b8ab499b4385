/**
 * Which packets may pass, both ways. The only authenticated fact about a stream is the destination it comes from, so what
 * comes in must have a source that belongs to that destination, its addresses and the networks behind it, and what goes
 * out a source that belongs to us. Asked for every packet, and the only place that says yes.
 */
import type { Origin } from '../../core/inbound/switch.ts';
import type { Peer } from '../../core/peers/table.ts';
import { type AddressOwnership, createAddressOwnership } from '../../core/routing/ownership.ts';
import { type Addresses, inPrefix } from '../../wire/i2p/address.ts';
import { isLinkMessage, quotedDestination } from '../../wire/packet/icmpv6.ts';
import { DESTINATION_OFFSET, hasAddressAt, SOURCE_OFFSET } from '../../wire/packet/ipv6.ts';
import type { Prefix } from '../../wire/packet/prefix.ts';

export const REFUSALS = ['foreignSource', 'foreignDestination', 'foreignQuote', 'linkMessage'] as const;
export type Refusal = (typeof REFUSALS)[number];
export type PacketVerdict = 'admit' | Refusal;

export class PacketAdmission {
  readonly #own: Addresses;
  readonly #networks: readonly Prefix[];
  #ownership: AddressOwnership;

  /** @param networks behind us */
  constructor(own: Addresses, peers: readonly Peer[], networks: readonly Prefix[]) {
    this.#own = own;
    this.#networks = networks;
    this.#ownership = createAddressOwnership(peers, networks);
  }

  /** From now on what lies behind these peers is theirs, and nobody else's. */
  setPeers(peers: readonly Peer[]): void {
    this.#ownership = createAddressOwnership(peers, this.#networks);
  }

  /** Of a packet at `bytes[start, end)` on a stream of this peer, or on one that claims to be. */
  judgeInbound(peer: Peer, origin: Origin, bytes: Buffer, start: number, end: number): PacketVerdict {
    if (!this.#isOf(peer, origin, bytes, start + SOURCE_OFFSET)) return 'foreignSource';
    if (!this.isOurs(bytes, start + DESTINATION_OFFSET)) return 'foreignDestination';
    if (isLinkMessage(bytes, start, end)) return 'linkMessage';
    // The kernel would believe it, also about what we have sent to somebody else.
    const quoted = quotedDestination(bytes, start, end);
    if (quoted === 'no error' || (quoted !== 'not here' && this.#isOf(peer, origin, bytes, quoted))) return 'admit';
    return 'foreignQuote';
  }

  /** Is the address at `offset` one of ours, or in a network behind us? */
  isOurs(bytes: Buffer, offset: number): boolean {
    if (inPrefix(bytes, offset)) return isOneOf(this.#own, bytes, offset);
    return this.#ownership.ownerOf(bytes, offset) === 'here';
  }

  /** The peer that the address at `offset`, outside the /48, lies behind. */
  peerBehind(bytes: Buffer, offset: number): Peer | undefined {
    const owner = this.#ownership.ownerOf(bytes, offset);
    return owner === 'here' ? undefined : owner;
  }

  #isOf(peer: Peer, origin: Origin, bytes: Buffer, offset: number): boolean {
    if (inPrefix(bytes, offset)) return isOneOf(peer.addresses, bytes, offset);
    return origin === 'verified' && this.#ownership.ownerOf(bytes, offset) === peer;
  }
}

/** Is one of the two addresses at `offset`? */
function isOneOf(addresses: Addresses, bytes: Buffer, offset: number): boolean {
  return hasAddressAt(bytes, offset, addresses.oc) || hasAddressAt(bytes, offset, addresses.ocat4);
}

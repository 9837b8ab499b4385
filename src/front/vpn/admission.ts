/**
 * Which packets from a peer may reach the TUN. The only authenticated fact about a stream is the destination it comes
 * from, so a packet's source must be one of that destination's addresses, and its destination one of ours.
 */
import { ADDRESS_LENGTH, type Address, type Addresses } from '../../wire/i2p/address.ts';
import { DESTINATION_OFFSET, SOURCE_OFFSET } from '../../wire/packet/ipv6.ts';

export type Verdict = 'admit' | 'foreignSource' | 'foreignDestination';

export function judgeInbound(bytes: Buffer, start: number, peer: Addresses, own: Addresses): Verdict {
  if (!isOneOf(peer, bytes, start + SOURCE_OFFSET)) return 'foreignSource';
  return isOneOf(own, bytes, start + DESTINATION_OFFSET) ? 'admit' : 'foreignDestination';
}

/** Is one of the two addresses at `offset`? */
export function isOneOf(addresses: Addresses, bytes: Buffer, offset: number): boolean {
  return stands(addresses.oc, bytes, offset) || stands(addresses.ocat4, bytes, offset);
}

function stands(address: Address, bytes: Buffer, offset: number): boolean {
  return bytes.compare(address, 0, ADDRESS_LENGTH, offset, offset + ADDRESS_LENGTH) === 0;
}

/**
 * Whose an address outside the /48 is: a peer's, when it lies behind that peer, or ours, when it lies behind this
 * gateway. The one table that packets are routed by, and that says which sources a peer may use.
 */
import type { Prefix } from '../../wire/packet/prefix.ts';
import type { Peer } from '../peers/table.ts';
import { PrefixTable } from './prefix-table.ts';

/** `here`: in a network behind this gateway. */
export type Owner = Peer | 'here';

export interface AddressOwnership {
  /** Of the 16 bytes at `offset`, by the longest prefix. Undefined: nobody's that we know. */
  ownerOf(bytes: Uint8Array, offset: number): Owner | undefined;
}

export function createAddressOwnership(peers: readonly Peer[], networks: readonly Prefix[]): AddressOwnership {
  const behindPeers = peers.flatMap((peer) => peer.routes.map((prefix) => [prefix, peer] as const));
  const behindUs = networks.map((prefix) => [prefix, 'here'] as const);
  const table = new PrefixTable<Owner>([...behindPeers, ...behindUs]);
  return { ownerOf: (bytes, offset) => table.find(bytes, offset) };
}

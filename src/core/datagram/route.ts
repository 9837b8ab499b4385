/** The route by which a datagram reaches what somebody wants to reach. Decides only that; whether it may be was decided before. */
import { type Address, type Addresses, addressKey } from '../../wire/i2p/address.ts';
import type { Destination } from '../../wire/i2p/destination.ts';
import { hostNameOf } from '../../wire/i2p/hostname.ts';
import type { DialTarget } from '../dial/target.ts';
import { type Peer, type PeerTable, shownAddress } from '../peers/table.ts';

export type DatagramRoute =
  | { readonly kind: 'destination'; readonly destination: Destination }
  /** The destination has to be looked up, under this name. */
  | { readonly kind: 'lookup'; readonly host: string }
  /**
   * An address of the VPN: the destination for datagrams of a peer's gateway is not known to anybody, so the TUN is the
   * only route to a peer, and to ourselves.
   */
  | { readonly kind: 'vpn'; readonly address: Address }
  /** An address of nobody that the config knows. */
  | { readonly kind: 'unknown-address'; readonly address: Address }
  /** Looks like the name of a peer, and no peer has it. */
  | { readonly kind: 'unknown-peer' };

export function datagramRoute(target: DialTarget, peers: PeerTable, own: Addresses): DatagramRoute {
  switch (target.kind) {
    case 'address': {
      const key = addressKey(target.address);
      const isOwn = key === addressKey(own.oc) || key === addressKey(own.ocat4);
      return isOwn || peers.byAddress(key) !== undefined
        ? { kind: 'vpn', address: target.address }
        : { kind: 'unknown-address', address: target.address };
    }
    case 'peer': {
      const peer = peers.byName(target.name);
      return peer === undefined ? { kind: 'unknown-peer' } : toPeer(peer);
    }
    case 'b32': {
      const peer = peers.byB32(target.b32);
      return peer === undefined ? { kind: 'lookup', host: hostNameOf(target.b32) } : toPeer(peer);
    }
    case 'destination': {
      const { destination } = target;
      const peer = peers.byB32(destination.b32);
      return peer === undefined ? { kind: 'destination', destination } : toPeer(peer);
    }
    case 'host':
    case 'b33':
      return { kind: 'lookup', host: target.host };
    default:
      return target satisfies never;
  }
}

function toPeer(peer: Peer): DatagramRoute {
  return { kind: 'vpn', address: shownAddress(peer) };
}

/**
 * The peers that the operator configured, by every name they have. Holds who they are and what they announced that they
 * can do; nothing is ever learnt from a stranger.
 */
import { GateError } from '../../kit/errors.ts';
import { type Address, type Addresses, addressesOf, addressKey } from '../../wire/i2p/address.ts';
import type { B32, Destination } from '../../wire/i2p/destination.ts';

export interface PeerSettings {
  readonly name: string;
  readonly b32: B32;
  /** The whole destination where the operator gave it; otherwise the router looks it up by its hash. */
  readonly destination: Destination | undefined;
  /** Hold the link up all the time, or only while there are packets. */
  readonly connect: 'always' | 'demand';
}

export interface Peer extends PeerSettings {
  readonly addresses: Addresses;
  /** Whether the peer's gateway takes TCP connections as flows; undefined until it has announced itself. */
  knowsFlows: boolean | undefined;
}

export interface PeerTable {
  byAddress(key: string): Peer | undefined;
  byB32(b32: B32): Peer | undefined;
  list(): readonly Peer[];
}

/**
 * @param own our addresses, which no peer may share
 * @throws GateError `config` for a second destination with the same 80 bits
 */
export function peerTable(settings: readonly PeerSettings[], own: Addresses): PeerTable {
  const peers = settings.map((one): Peer => ({ ...one, addresses: addressesOf(one.b32), knowsFlows: undefined }));
  const byB32 = new Map<string, Peer>();
  const byAddress = new Map<string, Peer>();
  const ours = new Set([addressKey(own.oc), addressKey(own.ocat4)]);
  const claim = (address: Address, peer: Peer) => {
    const key = addressKey(address);
    const holder = byAddress.get(key);
    if (ours.has(key) || (holder !== undefined && holder !== peer)) {
      const whose = holder === undefined ? 'this gateway' : `peer ${holder.name}`;
      throw new GateError(
        'config',
        'peer.address-taken',
        `peer ${peer.name} has an address of ${whose}; it cannot be used`,
      );
    }
    byAddress.set(key, peer);
  };
  for (const peer of peers) {
    claim(peer.addresses.oc, peer);
    claim(peer.addresses.ocat4, peer);
    byB32.set(peer.b32, peer);
  }
  return {
    byAddress: (key) => byAddress.get(key),
    byB32: (b32) => byB32.get(b32),
    list: () => peers,
  };
}

/** Which peer a person means by what was typed: its name in the config, or any name or address that it goes by. */
import { addressKey } from '../../wire/i2p/address.ts';
import type { B32 } from '../../wire/i2p/destination.ts';
import { classifyTyped, type HostName } from '../../wire/i2p/hostname.ts';

/** @typeParam One what is known of each */
export interface PeersByName<One> {
  /** @param name in lower case */
  byName(name: string): One | undefined;
  byB32(b32: B32): One | undefined;
  /** @param key of `addressKey` */
  byAddress(key: string): One | undefined;
}

/** @returns undefined for what is nobody's, whether it could be a name at all or not */
export function findPeer<One>(peers: PeersByName<One>, text: string): One | undefined {
  const named = peers.byName(text.toLowerCase());
  if (named !== undefined) return named;
  const host = understood(text);
  switch (host?.kind) {
    case 'b32':
      return peers.byB32(host.b32);
    case 'destination':
      return peers.byB32(host.destination.b32);
    case 'address':
      return peers.byAddress(addressKey(host.address));
    case 'peer':
      return peers.byName(host.name);
    case 'b33':
    case 'address-book':
    case 'foreign':
    case undefined:
      return undefined;
    default:
      return host satisfies never;
  }
}

function understood(text: string): HostName | undefined {
  try {
    return classifyTyped(text);
  } catch {
    return undefined; // It is no host name, which makes it no peer's.
  }
}

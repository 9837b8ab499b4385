/** What each peer can reach, worked out from the services that listen and the rules that hold. Pure. */

import type { Addresses } from '../../wire/i2p/address.ts';
import { formatAllowRule } from '../../wire/packet/allow-rule.ts';
import { covers, formatPrefix, type Prefix } from '../../wire/packet/prefix.ts';
import type { Peer } from '../peers/table.ts';
import { mayReach } from './policy.ts';

export interface ListeningService {
  readonly protocol: 'tcp' | 'udp';
  readonly port: number;
  /** 16 bytes; only zeros for a service on every address. */
  readonly address: Buffer;
}

export interface PeerExposure {
  readonly name: string;
  /** The rules that hold for it, such as `tcp/22`. */
  readonly rules: readonly string[];
  /** Whether it is answered to a ping. */
  readonly icmp: boolean;
  /** Services of this host that it reaches, such as `tcp/22`, and those that listen and are kept from it. */
  readonly open: readonly string[];
  readonly filtered: readonly string[];
}

export interface Exposure {
  /** Behind this host: what listens there nobody here knows, but the rules are the same. */
  readonly networks: readonly string[];
  readonly peers: readonly PeerExposure[];
}

export interface ExposedHost {
  readonly own: Addresses;
  readonly networks: readonly Prefix[];
  readonly peers: readonly Peer[];
}

export function exposureOf({ own, networks, peers }: ExposedHost, listening: readonly ListeningService[]): Exposure {
  const isReached = (address: Buffer) =>
    address.every((byte) => byte === 0) ||
    address.equals(own.oc) ||
    address.equals(own.ocat4) ||
    networks.some((network) => covers(network, { bytes: address, bits: 128 }));
  const services = new Map<string, ListeningService>();
  const inOrder = [...listening].sort((one, other) => one.port - other.port);
  for (const protocol of ['tcp', 'udp']) {
    for (const service of inOrder) {
      if (service.protocol === protocol && isReached(service.address)) services.set(nameOf(service), service);
    }
  }
  const split = (peer: Peer, isOpen: boolean) =>
    [...services].filter(([, service]) => mayReach(peer, service) === isOpen).map(([name]) => name);
  return {
    networks: networks.map(formatPrefix),
    peers: peers.map((peer) => ({
      name: peer.name,
      rules: peer.allow.map(formatAllowRule),
      icmp: mayReach(peer, { protocol: 'icmp' }),
      open: split(peer, true),
      filtered: split(peer, false),
    })),
  };
}

function nameOf({ protocol, port }: ListeningService): string {
  return `${protocol}/${port}`;
}

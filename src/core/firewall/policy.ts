/**
 * What peers may reach: the one data model behind the rules in the kernel (nft-text.ts), the answer to a flow
 * (`mayReach`) and what `garligate exposure` prints. A peer's addresses can be trusted as its identity, because no packet
 * with another source gets as far as the kernel (front/vpn/admission.ts).
 */

import type { Addresses } from '../../wire/i2p/address.ts';
import { type AllowRule, permits, type RequestedService } from '../../wire/packet/allow-rule.ts';
import type { Prefix } from '../../wire/packet/prefix.ts';
import type { Peer } from '../peers/table.ts';

export interface FirewallPolicy {
  readonly interfaceName: string;
  readonly own: Addresses;
  /** Behind this gateway, for peers to reach. */
  readonly networks: readonly Prefix[];
  readonly peers: readonly Peer[];
}

export interface FirewallSettings {
  readonly enabled: boolean;
  /** For a peer that has no rules of its own: everything, or nothing. */
  readonly default: 'deny' | 'allow';
}

const EVERYTHING: readonly AllowRule[] = [{ kind: 'all' }];

/**
 * The rules that hold for a peer.
 *
 * @param own what the operator wrote for this peer; undefined when nothing
 */
export function rulesFor(settings: FirewallSettings, own: readonly AllowRule[] | undefined): readonly AllowRule[] {
  if (!settings.enabled) return EVERYTHING;
  return own ?? (settings.default === 'allow' ? EVERYTHING : []);
}

/** May this peer begin to talk to this service, here or in a network behind us? */
export function mayReach(peer: Peer, service: RequestedService): boolean {
  return permits(peer.allow, service);
}

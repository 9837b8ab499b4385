/** The peers of the config file as the core wants them: who they are, and what the firewall lets them reach. */
import { b32Of } from '../config/rules.ts';
import type { Config, PeerConfig } from '../config/schema.ts';
import { type FirewallSettings, rulesFor } from '../core/firewall/policy.ts';
import { createPeerTable, type OnionCatSettings, type PeerSettings, type PeerTable } from '../core/peers/table.ts';
import type { Addresses } from '../wire/i2p/address.ts';
import type { AllowRule } from '../wire/packet/allow-rule.ts';

/** @throws GateError `config` for a second destination with the same 80 bits */
export function configuredPeers(config: Config, own: Addresses): PeerTable {
  return createPeerTable(peerSettings(config, []), own);
}

/**
 * @param namePorts UDP ports on which this gateway answers an OnionCat, which asks for names before it can send us anything;
 *   whatever else may listen there is not opened to it
 */
export function peerSettings({ peer, firewall }: Config, namePorts: readonly number[]): readonly PeerSettings[] {
  const nameRules = namePorts.map((port): AllowRule => ({ kind: 'udp', first: port, last: port }));
  return peer.map((one) => settingsOf(one, firewall, nameRules));
}

function settingsOf(peer: PeerConfig, firewall: FirewallSettings, forOnionCats: readonly AllowRule[]): PeerSettings {
  const rules = rulesFor(firewall, peer.allow);
  return {
    name: peer.name,
    b32: b32Of(peer.destination),
    destination: peer.destination.kind === 'destination' ? peer.destination.destination : undefined,
    connect: peer.connect,
    onionCat: peer.compat === 'none' ? undefined : { inbound: originsOf(peer.inbound) },
    routes: peer.routes,
    allow: peer.compat === 'none' ? rules : [...rules, ...forOnionCats],
  };
}

function originsOf(inbound: Config['peer'][number]['inbound']): OnionCatSettings['inbound'] {
  return inbound === 'unverified' ? inbound : inbound.map(b32Of);
}

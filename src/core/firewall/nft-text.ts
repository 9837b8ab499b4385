/**
 * The firewall as text for nft(8): one table of our own, replaced as a whole in one transaction. A packet meets the same
 * number of rules however many peers there are: sets say where it may go, maps lead from its source to the rules of its
 * peer, and peers with equal rules share a chain. Pure.
 *
 * Everything about packets from peers is decided before routing, so that a refused packet is answered by nobody, not even
 * because its hop limit was used up.
 */
import { formatAddress, PREFIX_TEXT } from '../../wire/i2p/address.ts';
import { type AllowRule, formatAllowRule, portsOf } from '../../wire/packet/allow-rule.ts';
import { formatPortRange } from '../../wire/packet/port-range.ts';
import { formatPrefix, type Prefix, VPN_PREFIX } from '../../wire/packet/prefix.ts';
import type { Peer } from '../peers/table.ts';
import { disjointRanges } from '../routing/disjoint.ts';
import type { Owner } from '../routing/ownership.ts';
import type { FirewallPolicy } from './policy.ts';

export const TABLE = 'garligate';
export const FAMILY = 'ip6';

/** Why the firewall drops a packet; each is the name of a counter in the table. */
export const FIREWALL_DROPS = [
  /** From a peer, to what no rule allows. */
  'denied',
  /** From a peer, to what is neither ours nor behind us. */
  'beyond',
  /** Messages that only have a meaning on one link: neighbour and router discovery, multicast listeners. */
  'linkMessage',
  /** From or to an address of the VPN, and come in by another interface. */
  'offPath',
  /** From or to an address of the VPN, and about to leave by another interface. */
  'escape',
] as const;

/** MLD, neighbour and router discovery (RFC 2710, RFC 4861, RFC 3810). */
const LINK_MESSAGES = '{ 130-137, 143 }';
/** Unreachable, too big, time exceeded, parameter problem. */
const ERRORS = '{ 1-4 }';

export function nftRemoval(): string {
  // Only what exists can be deleted, and adding what exists is no error.
  return [`table ${FAMILY} ${TABLE}`, `delete table ${FAMILY} ${TABLE}`, ''].join('\n');
}

export function nftText(policy: FirewallPolicy): string {
  const { own, networks, peers, interfaceName } = policy;
  const ownAddresses = [...new Set([formatAddress(own.oc), formatAddress(own.ocat4)])];
  const networkTexts = networks.map(formatPrefix);
  const { chains, chainOf } = ruleChains(peers);
  return [
    `${nftRemoval()}table ${FAMILY} ${TABLE} {`,
    ...FIREWALL_DROPS.map((name) => `\tcounter ${name} {\n\t}`),
    ...set('own', '', ownAddresses),
    ...set('networks', 'interval', networkTexts),
    ...map(
      'peers',
      '',
      peers.flatMap((peer) => addressElements(peer, chainOf(peer))),
    ),
    ...map('routed', 'interval', rangeElements(peers, networks, chainOf)),
    ...chains,
    ...chain('from_peers', [
      // What the gateway itself answers to senders of this host: no peer gets a packet in our name this far.
      `ip6 saddr @own icmpv6 type ${ERRORS} accept`,
      // The same as admission.ts demands, for an interface that others may have handed packets to.
      'ip6 daddr != @own ip6 daddr != @networks counter name beyond drop',
      `icmpv6 type ${LINK_MESSAGES} counter name linkMessage drop`,
      // Only what we began. What a peer began is measured by the rules anew with every packet, so that taking a rule
      // away ends the connections that it had let in.
      'ct state established ct direction reply accept',
      `ct state related icmpv6 type ${ERRORS} accept`,
      'ct state invalid counter name denied drop',
      'ip6 saddr vmap @peers',
      'ip6 saddr vmap @routed',
      'counter name denied drop',
    ]),
    ...chain('to_peers', [
      `icmpv6 type ${LINK_MESSAGES} counter name linkMessage drop`,
      'ip6 daddr { fe80::/10, ff00::/8 } counter name linkMessage drop',
    ]),
    ...chain('before_tracking', [
      'type filter hook prerouting priority raw; policy accept;',
      `iifname { "${interfaceName}", "lo" } accept`,
      `ip6 saddr ${PREFIX_TEXT} counter name offPath drop`,
      'ip6 daddr @own counter name offPath drop',
      `ip6 daddr ${PREFIX_TEXT} ip6 saddr != @networks counter name offPath drop`,
    ]),
    ...chain('before_routing', [
      // After connection tracking, and before anybody's address translation.
      'type filter hook prerouting priority mangle; policy accept;',
      `iifname "${interfaceName}" goto from_peers`,
    ]),
    ...chain('after_routing', [
      'type filter hook postrouting priority filter; policy accept;',
      `oifname "${interfaceName}" goto to_peers`,
      'oifname "lo" accept',
      `ip6 daddr ${PREFIX_TEXT} counter name escape drop`,
      `ip6 saddr ${PREFIX_TEXT} ip6 daddr != @networks counter name escape drop`,
    ]),
    '}',
    '',
  ].join('\n');
}

/** One chain for each different list of rules. */
function ruleChains(peers: readonly Peer[]): { chains: readonly string[]; chainOf: (peer: Peer) => string } {
  const names = new Map<string, string>();
  const chains: string[] = [];
  const chainOf = (peer: Peer) => {
    const key = peer.allow.map(formatAllowRule).toSorted().join();
    const known = names.get(key);
    if (known !== undefined) return known;
    const name = `rules_${names.size + 1}`;
    names.set(key, name);
    chains.push(...chain(name, ruleLines(peer.allow)));
    return name;
  };
  for (const peer of peers) chainOf(peer);
  return { chains, chainOf };
}

function ruleLines(rules: readonly AllowRule[]): readonly string[] {
  if (rules.some(({ kind }) => kind === 'all')) return ['accept'];
  const ports = (protocol: 'tcp' | 'udp') => {
    const ranges = portsOf(rules, protocol);
    return ranges.length === 0 ? [] : [`${protocol} dport { ${ranges.map(formatPortRange).join(', ')} } accept`];
  };
  const echo = rules.some(({ kind }) => kind === 'icmp') ? ['icmpv6 type echo-request accept'] : [];
  return [...echo, ...ports('tcp'), ...ports('udp'), 'counter name denied drop'];
}

function addressElements({ addresses }: Peer, chain: string): readonly string[] {
  const texts = new Set([formatAddress(addresses.oc), formatAddress(addresses.ocat4)]);
  return [...texts].map((text) => `${text} : goto ${chain}`);
}

/** A network of ours inside a peer's is a hole in it, and so is the /48. */
function rangeElements(
  peers: readonly Peer[],
  networks: readonly Prefix[],
  chainOf: (peer: Peer) => string,
): readonly string[] {
  const owned: (readonly [Prefix, Owner])[] = [VPN_PREFIX, ...networks].map((prefix) => [prefix, 'here']);
  for (const peer of peers) for (const prefix of peer.routes) owned.push([prefix, peer]);
  return disjointRanges(owned).flatMap(({ first, last, value }) =>
    value === 'here' ? [] : [`${formatAddress(first)}-${formatAddress(last)} : goto ${chainOf(value)}`],
  );
}

function set(name: string, flags: string, elements: readonly string[]): readonly string[] {
  return collection(`set ${name}`, 'ipv6_addr', flags, elements);
}

function map(name: string, flags: string, elements: readonly string[]): readonly string[] {
  return collection(`map ${name}`, 'ipv6_addr : verdict', flags, elements);
}

function collection(head: string, type: string, flags: string, elements: readonly string[]): readonly string[] {
  return [
    `\t${head} {`,
    `\t\ttype ${type}`,
    ...(flags === '' ? [] : [`\t\tflags ${flags}`]),
    ...(elements.length === 0 ? [] : [`\t\telements = { ${elements.join(',\n\t\t\t     ')} }`]),
    '\t}',
  ];
}

function chain(name: string, lines: readonly string[]): readonly string[] {
  return [`\tchain ${name} {`, ...lines.map((line) => `\t\t${line}`), '\t}'];
}

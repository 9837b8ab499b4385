/**
 * Rules for the networks behind peers and behind this gateway: what can be one, and how they may lie inside each other.
 * Looked at only when every prefix is right by itself.
 */
import { PREFIX_TEXT } from '../wire/i2p/address.ts';
import { covers, formatPrefix, type Prefix, shortened, VPN_PREFIX } from '../wire/packet/prefix.ts';
import type { KeyPath } from './locate.ts';
import type { BrokenRule } from './problem.ts';
import type { Config } from './schema.ts';

/** A prefix and where it stands in the file. */
interface PrefixEntry {
  readonly path: KeyPath;
  readonly prefix: Prefix;
  /** The number of the peer that it lies behind, from 0; `here` for a network of ours. */
  readonly owner: number | 'here';
}

/** Each is a route of the kernel, and takes up to 7 KiB here. */
const MOST_NETWORKS = 1024;
/** RFC 4193. */
const UNIQUE_LOCAL = prefixOf('fc', 7);
/** RFC 4291, section 2.4. */
const GLOBAL = prefixOf('20', 3);
/** Shorter ones would be a way to everywhere in disguise. */
const SHORTEST_GLOBAL = 16;

export function* networkRules({ vpn, peer }: Config): Generator<BrokenRule> {
  const entries: readonly PrefixEntry[] = [
    ...vpn.networks.map((prefix, at): PrefixEntry => ({ path: ['vpn', 'networks', at], prefix, owner: 'here' })),
    ...peer.flatMap(({ routes }, owner) =>
      routes.map((prefix, at): PrefixEntry => ({ path: ['peer', owner, 'routes', at], prefix, owner })),
    ),
  ];
  const known = new Map<string, PrefixEntry>();
  for (const [count, entry] of entries.entries()) {
    const found = formatPrefix(entry.prefix);
    const wanted = wrongPlace(entry) ?? (count >= MOST_NETWORKS ? `${MOST_NETWORKS} networks at most` : undefined);
    const same = known.get(found);
    if (wanted !== undefined) yield { path: entry.path, found: `"${found}"`, wanted };
    else if (same !== undefined) {
      yield { path: entry.path, found: `"${found}" again, ${whose(same)}`, wanted: 'each network once' };
    } else known.set(found, entry);
  }
  for (const [index, { inbound, routes }] of peer.entries()) {
    if (inbound !== 'unverified' || routes.length === 0) continue;
    const found = 'routes of a peer that anybody may imitate';
    yield {
      path: ['peer', index, 'routes'],
      found,
      wanted: 'none, or the destinations that it comes from in `inbound`',
    };
  }
  for (const entry of known.values()) {
    const around = nearestAround(entry.prefix, known);
    if (around === undefined) continue;
    const found = `"${formatPrefix(entry.prefix)}", which lies inside "${formatPrefix(around.prefix)}", ${whose(around)}`;
    if (around.owner === entry.owner) yield { path: entry.path, found, wanted: 'the larger of the two alone' };
    else if (around.owner === 'here') {
      yield { path: entry.path, found, wanted: 'a network elsewhere: a peer must not take a part of ours' };
    }
  }
}

/** @returns what is wanted instead */
function wrongPlace({ prefix, owner }: PrefixEntry): string | undefined {
  if (covers(VPN_PREFIX, prefix) || (owner === 'here' && covers(prefix, VPN_PREFIX))) {
    return `a network outside ${PREFIX_TEXT}, whose addresses follow from destinations`;
  }
  if (covers(UNIQUE_LOCAL, prefix)) return undefined;
  if (covers(GLOBAL, prefix) && prefix.bits >= SHORTEST_GLOBAL) return undefined;
  return `a network inside fc00::/7, or one with at least ${SHORTEST_GLOBAL} bits inside 2000::/3`;
}

function nearestAround(prefix: Prefix, known: ReadonlyMap<string, PrefixEntry>): PrefixEntry | undefined {
  for (let bits = prefix.bits - 1; bits > 0; bits -= 1) {
    const found = known.get(formatPrefix(shortened(prefix, bits)));
    if (found !== undefined) return found;
  }
  return undefined;
}

function whose({ owner }: PrefixEntry): string {
  return owner === 'here' ? 'of vpn.networks' : `of peer[${owner + 1}]`;
}

function prefixOf(hex: string, bits: number): Prefix {
  return { bytes: Buffer.from(hex.padEnd(32, '0'), 'hex'), bits };
}

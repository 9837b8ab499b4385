/**
 * The rules of access lists as people write them, and what fits them: hosts. Text to meaning only; who is asked about what is for
 * others.
 */
import { ADDRESS_LENGTH } from '../i2p/address.ts';
import type { B32 } from '../i2p/destination.ts';
import { classifyHost, type HostName } from '../i2p/hostname.ts';
import { covers, type Prefix, parseNetwork, VPN_PREFIX } from '../packet/prefix.ts';

/** What fits a rule of `deny` is refused, whatever `allow` says; an empty `allow` lets in what is left. */
export interface AccessList<Rule> {
  readonly allow: readonly Rule[];
  readonly deny: readonly Rule[];
}

export type HostRule =
  /** This very name, as the client spells it. */
  | { readonly kind: 'name'; readonly name: string }
  /** `.forum.i2p`: that name and every name that ends in it. */
  | { readonly kind: 'below'; readonly name: string }
  /** A destination, by whatever name it was reached. */
  | { readonly kind: 'b32'; readonly b32: B32 }
  /** A peer, by whatever name it was reached. */
  | { readonly kind: 'peer'; readonly name: string }
  /** Addresses inside the /48, and the peers that have them. */
  | { readonly kind: 'network'; readonly network: Prefix };

export function admits<Rule>({ allow, deny }: AccessList<Rule>, fits: (rule: Rule) => boolean): boolean {
  return !deny.some(fits) && (allow.length === 0 || allow.some(fits));
}

/** `.suffix.i2p`, any name or address that a client could ask for, or a network inside the /48; undefined otherwise. */
export function parseHostRule(text: string): HostRule | undefined {
  if (text.startsWith('.')) {
    const name = text.slice(1).toLowerCase();
    return /^([a-z0-9_-]+\.)*i2p$/.test(name) ? { kind: 'below', name } : undefined;
  }
  const network = text.includes(':') ? parseNetwork(text) : undefined;
  if (network !== undefined) return covers(VPN_PREFIX, network) ? { kind: 'network', network } : undefined;
  return ruleFor(text);
}

function ruleFor(text: string): HostRule | undefined {
  const host = hostOf(text);
  switch (host?.kind) {
    case undefined:
    case 'foreign':
      return undefined;
    case 'b32':
    case 'peer':
      return host;
    case 'destination':
      return { kind: 'b32', b32: host.destination.b32 };
    case 'address':
      return { kind: 'network', network: { bytes: host.address, bits: 8 * ADDRESS_LENGTH } };
    case 'b33':
    case 'address-book':
      return { kind: 'name', name: host.host };
    default:
      return host satisfies undefined;
  }
}

function hostOf(text: string): HostName | undefined {
  try {
    return classifyHost(text);
  } catch {
    // Who asked says what is wanted instead.
    return undefined;
  }
}

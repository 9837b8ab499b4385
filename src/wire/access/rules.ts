/**
 * The rules of access lists as people write them, and what fits them: networks of clients, hosts, ranges of ports. Text to
 * meaning only; who is asked about what is for others.
 */
import { Address4 } from 'ip-address';
import { ADDRESS_LENGTH, inPrefix, PREFIX_BITS, parseIpv6 } from '../i2p/address.ts';
import type { B32 } from '../i2p/destination.ts';
import { classifyHost, type HostName } from '../i2p/hostname.ts';

/** What fits a rule of `deny` is refused, whatever `allow` says; an empty `allow` lets in what is left. */
export interface AccessList<Rule> {
  readonly allow: readonly Rule[];
  readonly deny: readonly Rule[];
}

export interface Network {
  /** 4 bytes or 16. */
  readonly bytes: Uint8Array;
  /** How many of the first bits count. */
  readonly bits: number;
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
  | { readonly kind: 'network'; readonly network: Network };

export interface PortRange {
  readonly first: number;
  readonly last: number;
}

export function admits<Rule>({ allow, deny }: AccessList<Rule>, fits: (rule: Rule) => boolean): boolean {
  return !deny.some(fits) && (allow.length === 0 || allow.some(fits));
}

/** An address, or a network as `ADDRESS/BITS`; undefined for anything else, and where bits behind the network are set. */
export function parseNetwork(text: string): Network | undefined {
  const [, address = '', digits] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const bytes = parseIpv6(address) ?? parseIpv4(address);
  if (bytes === undefined) return undefined;
  const most = 8 * bytes.length;
  const bits = digits === undefined ? most : Number(digits);
  if (bits > most) return undefined;
  const network = { bytes, bits };
  const start = bytes.map((byte, index) => byte & maskOf(bits, index));
  return Buffer.compare(start, bytes) === 0 ? network : undefined;
}

/** Addresses of different lengths never fit. */
export function inNetwork(address: Uint8Array, { bytes, bits }: Network): boolean {
  return (
    address.length === bytes.length &&
    bytes.every((byte, index) => ((byte ^ (address[index] ?? 0)) & maskOf(bits, index)) === 0)
  );
}

/** `.suffix.i2p`, any name or address that a client could ask for, or a network inside the /48; undefined otherwise. */
export function parseHostRule(text: string): HostRule | undefined {
  if (text.startsWith('.')) {
    const name = text.slice(1).toLowerCase();
    return /^([a-z0-9_-]+\.)*i2p$/.test(name) ? { kind: 'below', name } : undefined;
  }
  const network = text.includes(':') ? parseNetwork(text) : undefined;
  if (network !== undefined) {
    const isInside = network.bytes.length === ADDRESS_LENGTH && network.bits >= PREFIX_BITS;
    return isInside && inPrefix(network.bytes, 0) ? { kind: 'network', network } : undefined;
  }
  return ruleFor(text);
}

/** `80` or `8000-8999`; undefined for anything else. */
export function parsePortRange(text: string): PortRange | undefined {
  const [, from, to = from] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text) ?? [];
  const [first, last] = [Number(from), Number(to)];
  return first >= 1 && first <= last && last <= 65_535 ? { first, last } : undefined;
}

export function inRange(port: number, { first, last }: PortRange): boolean {
  return port >= first && port <= last;
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

function parseIpv4(text: string): Buffer | undefined {
  return /^\d+(\.\d+){3}$/.test(text) && Address4.isValid(text) ? Buffer.from(new Address4(text).toArray()) : undefined;
}

/** Of the byte at `index`, the bits that belong to the first `bits` of all. */
function maskOf(bits: number, index: number): number {
  const own = Math.min(8, Math.max(0, bits - 8 * index));
  return (0xff << (8 - own)) & 0xff;
}

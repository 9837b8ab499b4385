/**
 * What a text that names a host stands for, and the names that destinations, addresses and peers have as hosts. Strict and
 * local: nothing is looked up, and everything that is not plainly I2P falls into a class that callers refuse.
 */
import { Address4 } from 'ip-address';
import { GateError } from '../../kit/errors.ts';
import {
  type Address,
  addressOfShortName,
  inPrefix,
  parseIpv6,
  SHORT_NAME_LENGTH,
  shortNameOf,
  toAddress,
} from './address.ts';
import { type B32, type Destination, parseB32, parseDestination } from './destination.ts';

export type HostName =
  /** `<52>.b32.i2p`: a destination hash, no lookup needed. */
  | { readonly kind: 'b32'; readonly b32: B32 }
  /** `<56 or more>.b32.i2p`: an encrypted lease set, which only the router can resolve. */
  | { readonly kind: 'b33'; readonly host: string }
  /** `<16>.oc.b32.i2p`, or an IPv6 literal inside the /48. */
  | { readonly kind: 'address'; readonly address: Address }
  /** `<name>.peer.b32.i2p`: a peer, as our own config calls it. No address book can hold a name under `.b32.i2p`. */
  | { readonly kind: 'peer'; readonly name: string }
  /** Any other name under `.i2p`, for the router's address book. */
  | { readonly kind: 'address-book'; readonly host: string }
  /** A whole destination in base64. */
  | { readonly kind: 'destination'; readonly destination: Destination }
  /** Outside I2P: an IP literal in any spelling, or a name that does not end in `.i2p`. */
  | { readonly kind: 'foreign'; readonly form: 'ipv4' | 'ipv6' | 'name' };

const LONGEST_HOST = 255;

/** @throws GateError `name-invalid` for what no host name can be */
export function classifyHost(text: string): HostName {
  if (/^[A-Za-z0-9~-]{387,}={0,2}$/.test(text)) return { kind: 'destination', destination: parseDestination(text) };
  if (text.length === 0) throw invalid('it is empty');
  if (text.length > LONGEST_HOST) throw invalid(`it is longer than ${LONGEST_HOST} characters`);

  const unbracketed = /^\[(.*)\]$/.exec(text)?.[1] ?? text;
  const ipv6 = parseIpv6(unbracketed);
  if (ipv6 !== undefined) {
    return inPrefix(ipv6, 0) ? { kind: 'address', address: toAddress(ipv6) } : { kind: 'foreign', form: 'ipv6' };
  }
  if (looksLikeIpv4(text)) return { kind: 'foreign', form: 'ipv4' };

  // IDNA reaches I2P only in its xn-- form, so everything else than letters, digits and hyphens is an error. Asked before
  // lowering the case, which makes a plain k of the Kelvin sign.
  if (!/^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?$/.test(text)) throw invalid('it has characters that no host name has');
  const host = text.toLowerCase().replace(/\.$/, '');
  const labels = host.split('.');
  if (labels.at(-1) !== 'i2p' || labels.length < 2) return { kind: 'foreign', form: 'name' };
  if (labels.at(-2) !== 'b32') return { kind: 'address-book', host };

  const label = labels[0] ?? '';
  if (labels.length === 4 && labels[1] === 'oc' && label.length === SHORT_NAME_LENGTH) {
    return { kind: 'address', address: addressOfShortName(label) };
  }
  if (labels.length > 3 && labels.at(-3) === 'peer') return { kind: 'peer', name: labels.slice(0, -3).join('.') };
  if (labels.length !== 3) throw invalid('a b32 name has one label before .b32.i2p');
  if (/^[a-z2-7]{56,}$/.test(label)) return { kind: 'b33', host };
  return { kind: 'b32', b32: parseB32(label) };
}

/**
 * The same of what a person types, who may leave `.b32.i2p` out.
 *
 * @throws GateError `name-invalid` as `classifyHost`
 */
export function classifyTyped(text: string): HostName {
  return classifyHost(/^[a-z2-7]{52}$/i.test(text) ? `${text}.b32.i2p` : text);
}

/** The name that everybody knows a destination by. */
export function hostNameOf(b32: B32): string {
  return `${b32}.b32.i2p`;
}

/** The short name of an address, as OnionCat writes it. */
export function hostNameOfAddress(address: Address): string {
  return `${shortNameOf(address)}.oc.b32.i2p`;
}

/** @param name of a peer in our own config */
export function hostNameOfPeer(name: string): string {
  return `${name}.peer.b32.i2p`;
}

/** Everything that some resolver somewhere takes for IPv4: `1.2.3.4`, `0x7f.1`, `2130706433`. */
function looksLikeIpv4(text: string): boolean {
  return (/^\d/.test(text) && Address4.isValid(text)) || /^(0x[0-9a-f]+|\d+)(\.(0x[0-9a-f]+|\d+)){0,3}\.?$/i.test(text);
}

function invalid(why: string): GateError {
  return new GateError('name-invalid', 'i2p.host', `not a host name: ${why}`);
}

/**
 * SOCKS replies as bytes. A reply carries an address only where the command asks for one, and a name only in the answer
 * to RESOLVE_PTR: clients that read a reply of fixed size (OpenBSD nc, torsocks) break on a name anywhere else.
 */
import { ADDRESS_LENGTH, type Address } from '../i2p/address.ts';
import type { SocksRequest } from './request.ts';

interface Codes {
  readonly socks4: number;
  readonly socks5: number;
  readonly extended: number;
}

const REJECTED = 0x5b;

/**
 * SOCKS4 knows yes and no only; SOCKS5 has the codes of RFC 1928 section 6. Tor's proposal 304 gives some failures that
 * share one of these a code of their own, F0 to F7, for listeners that are set to it.
 */
const CODES = {
  succeeded: { socks4: 0x5a, socks5: 0x00, extended: 0x00 },
  'general-failure': { socks4: REJECTED, socks5: 0x01, extended: 0x01 },
  'not-allowed': { socks4: REJECTED, socks5: 0x02, extended: 0x02 },
  'network-unreachable': { socks4: REJECTED, socks5: 0x03, extended: 0x03 },
  /** Tor: the descriptor of the service cannot be found. */
  'name-unknown': { socks4: REJECTED, socks5: 0x04, extended: 0xf0 },
  /** Tor: the address of the service is invalid. */
  'name-invalid': { socks4: REJECTED, socks5: 0x04, extended: 0xf6 },
  /** Tor: the introduction failed. */
  'host-unreachable': { socks4: REJECTED, socks5: 0x04, extended: 0xf2 },
  /** Tor: the rendezvous failed. */
  'service-unreachable': { socks4: REJECTED, socks5: 0x04, extended: 0xf3 },
  'connection-refused': { socks4: REJECTED, socks5: 0x05, extended: 0x05 },
  /** Tor: the introduction timed out. */
  'ttl-expired': { socks4: REJECTED, socks5: 0x06, extended: 0xf7 },
  'command-unsupported': { socks4: REJECTED, socks5: 0x07, extended: 0x07 },
  'address-type-unsupported': { socks4: REJECTED, socks5: 0x08, extended: 0x08 },
} as const satisfies Record<string, Codes>;

export type SocksOutcome = keyof typeof CODES;
export type SocksFailure = Exclude<SocksOutcome, 'succeeded'>;

/** How a listener words its failures: by RFC 1928, or with Tor's extended codes too. */
export type ErrorCodes = 'standard' | 'extended';

/** The shapes of a reply: 8, 10 and 22 bytes. */
export type ReplyForm = 'socks4' | 'socks5-ipv4' | 'socks5-ipv6';

const IPV4 = 0x01;
const NAME = 0x03;
const IPV6 = 0x04;

/** The shape that a client expects: IPv6 only where it asked for an IPv6 address. */
export function replyForm(request: SocksRequest): ReplyForm {
  if (request.dialect === 'socks4') return 'socks4';
  return request.host.kind === 'ipv6' ? 'socks5-ipv6' : 'socks5-ipv4';
}

/** The address in the reply is zero, the port too. */
export function encodeReply(form: ReplyForm, outcome: SocksOutcome, errors: ErrorCodes = 'standard'): Uint8Array {
  const codes = CODES[outcome];
  const code = errors === 'extended' ? codes.extended : codes.socks5;
  switch (form) {
    case 'socks4':
      return Buffer.from([0, codes.socks4, 0, 0, 0, 0, 0, 0]);
    case 'socks5-ipv4':
      return socks5(code, IPV4, Buffer.alloc(4), 0);
    case 'socks5-ipv6':
      return socks5(code, IPV6, Buffer.alloc(ADDRESS_LENGTH), 0);
    default:
      return form satisfies never;
  }
}

/** Success, for the commands whose answer is an address. @param port 0..65535, 0 where none is known */
export function encodeAddressReply(address: Address, port: number): Uint8Array {
  return socks5(CODES.succeeded.socks5, IPV6, address, port);
}

/** Success, for RESOLVE_PTR. @param name 1..255 bytes of ASCII */
export function encodeNameReply(name: string): Uint8Array {
  const bytes = Buffer.from(name, 'latin1');
  return socks5(CODES.succeeded.socks5, NAME, Buffer.concat([Buffer.of(bytes.length), bytes]), 0);
}

/**
 * Success, for UDP ASSOCIATE.
 *
 * @param address where the client is to send its datagrams: 4 or 16 bytes
 * @param port 1..65535
 */
export function encodeAssociateReply(address: Uint8Array, port: number): Uint8Array {
  return socks5(CODES.succeeded.socks5, address.length === 4 ? IPV4 : IPV6, address, port);
}

function socks5(code: number, addressType: number, address: Uint8Array, port: number): Uint8Array {
  return Buffer.concat([Buffer.of(5, code, 0, addressType), address, Buffer.of(port >> 8, port & 0xff)]);
}

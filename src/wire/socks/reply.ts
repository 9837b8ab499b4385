/**
 * Replies as bytes. A reply carries an address only where the command asks for one, and a name only in the answer
 * to RESOLVE_PTR: clients that read a reply of fixed size (OpenBSD nc, torsocks) break on a name anywhere else.
 */
import { ADDRESS_LENGTH, type Address } from '../i2p/address.ts';
import type { SocksRequest } from './request.ts';

interface Codes {
  readonly socks4: number;
  readonly socks5: number;
  readonly extended: number;
  /** Status and reason: clients show both to people. */
  readonly http: string;
}

const REJECTED = 0x5b;

/**
 * SOCKS4 knows yes and no only; SOCKS5 has the codes of RFC 1928 section 6. Tor's proposal 304 gives some failures that
 * share one of these a code of their own, F0 to F7, for listeners that are set to it.
 */
const CODES = {
  succeeded: { socks4: 0x5a, socks5: 0x00, extended: 0x00, http: '200 Connection established' },
  'general-failure': { socks4: REJECTED, socks5: 0x01, extended: 0x01, http: '500 Gateway Failed' },
  'not-allowed': { socks4: REJECTED, socks5: 0x02, extended: 0x02, http: '403 Outside I2P Or Not Allowed' },
  'network-unreachable': { socks4: REJECTED, socks5: 0x03, extended: 0x03, http: '503 I2P Router Not Ready' },
  /** Tor: the descriptor of the service cannot be found. */
  'name-unknown': { socks4: REJECTED, socks5: 0x04, extended: 0xf0, http: '502 Name Unknown' },
  /** Tor: the address of the service is invalid. */
  'name-invalid': { socks4: REJECTED, socks5: 0x04, extended: 0xf6, http: '400 No Valid Name' },
  /** Tor: the introduction failed. */
  'host-unreachable': { socks4: REJECTED, socks5: 0x04, extended: 0xf2, http: '502 Destination Offline Or Unknown' },
  /** Tor: the rendezvous failed. */
  'service-unreachable': { socks4: REJECTED, socks5: 0x04, extended: 0xf3, http: '502 Peer Without VPN Address' },
  'connection-refused': { socks4: REJECTED, socks5: 0x05, extended: 0x05, http: '502 Connection Refused' },
  /** Tor: the introduction timed out. */
  'ttl-expired': { socks4: REJECTED, socks5: 0x06, extended: 0xf7, http: '504 No Answer In Time' },
  'command-unsupported': { socks4: REJECTED, socks5: 0x07, extended: 0x07, http: '501 Not Supported' },
  /** HTTP only: SOCKS has no such failure, since what cannot be understood there is not answered. */
  'bad-request': { socks4: REJECTED, socks5: 0x01, extended: 0x01, http: '400 Bad Request' },
  'address-type-unsupported': { socks4: REJECTED, socks5: 0x08, extended: 0x08, http: '501 Not Supported' },
} as const satisfies Record<string, Codes>;

export type SocksOutcome = keyof typeof CODES;
export type SocksFailure = Exclude<SocksOutcome, 'succeeded'>;

/** How a listener words its failures: by RFC 1928, or with Tor's extended codes too. */
export type ErrorCodes = 'standard' | 'extended';

/** The shapes of a reply: 8, 10 and 22 bytes, and text. */
export type ReplyForm = 'socks4' | 'socks5-ipv4' | 'socks5-ipv6' | 'http';

const IPV4 = 0x01;
const NAME = 0x03;
const IPV6 = 0x04;

/** The shape that a client expects: IPv6 only where it asked for an IPv6 address. */
export function replyForm(request: SocksRequest): ReplyForm {
  if (request.dialect !== 'socks5') return request.dialect;
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
    case 'http':
      return httpReply(codes.http, outcome === 'succeeded');
    default:
      return form satisfies never;
  }
}

/** RFC 9110 section 15.5.8: whoever has shown no credentials, or wrong ones, may show others. */
export const HTTP_LOGIN_REFUSED: Uint8Array = Buffer.from(
  'HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="garligate"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n',
);

/** Behind a success comes the stream itself; a failure has its reason as text too, for clients that show only that. */
function httpReply(status: string, succeeded: boolean): Uint8Array {
  if (succeeded) return Buffer.from(`HTTP/1.1 ${status}\r\n\r\n`);
  const text = `${status}\n`;
  const head = ['Content-Type: text/plain', `Content-Length: ${text.length}`, 'Connection: close'];
  return Buffer.from([`HTTP/1.1 ${status}`, ...head, '', text].join('\r\n'));
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

/**
 * SOCKS replies as bytes. They never carry a bound address: there is none inside I2P, and clients that read a reply of
 * fixed size (OpenBSD nc, torsocks) break on the one with a name in it.
 */
import type { SocksRequest } from './request.ts';

/** RFC 1928 section 6. */
const SOCKS5_CODES = {
  succeeded: 0x00,
  'general-failure': 0x01,
  'not-allowed': 0x02,
  'network-unreachable': 0x03,
  'host-unreachable': 0x04,
  'connection-refused': 0x05,
  'ttl-expired': 0x06,
  'command-unsupported': 0x07,
  'address-type-unsupported': 0x08,
} as const;

export type SocksOutcome = keyof typeof SOCKS5_CODES;

/** The shapes of a reply: 8, 10 and 22 bytes. */
export type ReplyForm = 'socks4' | 'socks5-ipv4' | 'socks5-ipv6';

const SOCKS4_GRANTED = 0x5a;
const SOCKS4_REJECTED = 0x5b;

/** The shape that a client expects: IPv6 only where it asked for an IPv6 address. */
export function replyForm(request: SocksRequest): ReplyForm {
  if (request.dialect === 'socks4') return 'socks4';
  return request.host.kind === 'ipv6' ? 'socks5-ipv6' : 'socks5-ipv4';
}

/** SOCKS4 knows yes and no only. The address in the reply is always zero, the port too. */
export function encodeReply(form: ReplyForm, outcome: SocksOutcome): Uint8Array {
  switch (form) {
    case 'socks4':
      return Buffer.from([0, outcome === 'succeeded' ? SOCKS4_GRANTED : SOCKS4_REJECTED, 0, 0, 0, 0, 0, 0]);
    case 'socks5-ipv4':
      return Buffer.concat([Buffer.from([5, SOCKS5_CODES[outcome], 0, 1]), Buffer.alloc(4 + 2)]);
    case 'socks5-ipv6':
      return Buffer.concat([Buffer.from([5, SOCKS5_CODES[outcome], 0, 4]), Buffer.alloc(16 + 2)]);
    default:
      return form satisfies never;
  }
}

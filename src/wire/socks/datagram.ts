/**
 * Datagrams between a SOCKS client and its UDP relay (RFC 1928 section 7): a header with the host at the other side, then
 * the payload. Nothing here is judged.
 */
import type { Ipv4Host, Ipv6Host, NamedHost } from './request.ts';

export type UdpRequest =
  | {
      readonly kind: 'datagram';
      readonly host: Ipv4Host | Ipv6Host | NamedHost;
      /** 0..65535 */
      readonly port: number;
      /** May be empty. */
      readonly payload: Buffer;
    }
  /** A part of a larger one (FRAG is not 0). RFC 1928 lets a server that does not put them together drop them. */
  | { readonly kind: 'fragment' }
  /** Too short for what it says, without a name where one is to be, or with an unknown type of address. */
  | { readonly kind: 'malformed' };

/** A name of the other side, or its address. */
export type UdpSource = { readonly kind: 'name'; readonly name: string } | Pick<Ipv6Host, 'kind' | 'bytes'>;

const IPV4 = 0x01;
const DOMAIN = 0x03;
const IPV6 = 0x04;
/** RSV, RSV, FRAG, ATYP. */
const FIXED = 4;
const PORT_LENGTH = 2;
const MALFORMED: UdpRequest = { kind: 'malformed' };

/** Takes any bytes. What it returns are views of them. RSV is not looked at, as RFC 1928 says nothing of other values. */
export function parseUdpRequest(bytes: Buffer): UdpRequest {
  if (bytes.length < FIXED) return MALFORMED;
  if (bytes.readUInt8(2) !== 0) return { kind: 'fragment' };
  const type = bytes.readUInt8(3);
  switch (type) {
    case IPV4:
      return behind(bytes, FIXED, 4, (host) => ({ kind: 'ipv4', bytes: host }));
    case IPV6:
      return behind(bytes, FIXED, 16, (host) => ({ kind: 'ipv6', bytes: host }));
    case DOMAIN: {
      const length = bytes.length > FIXED ? bytes.readUInt8(FIXED) : 0;
      if (length === 0) return MALFORMED;
      return behind(bytes, FIXED + 1, length, (host) => ({ kind: 'name', name: host.toString('latin1') }));
    }
    default:
      return MALFORMED;
  }
}

function behind(
  bytes: Buffer,
  at: number,
  length: number,
  hostOf: (bytes: Buffer) => Ipv4Host | Ipv6Host | NamedHost,
): UdpRequest {
  const end = at + length;
  if (bytes.length < end + PORT_LENGTH) return MALFORMED;
  return {
    kind: 'datagram',
    host: hostOf(bytes.subarray(at, end)),
    port: bytes.readUInt16BE(end),
    payload: bytes.subarray(end + PORT_LENGTH),
  };
}

/** @param port 0..65535 */
export function encodeUdpReply(source: UdpSource, port: number, payload: Uint8Array): Buffer {
  const host =
    source.kind === 'ipv6'
      ? [Buffer.of(0, 0, 0, IPV6), source.bytes]
      : [Buffer.of(0, 0, 0, DOMAIN, source.name.length), Buffer.from(source.name, 'latin1')];
  return Buffer.concat([...host, Buffer.of(port >> 8, port & 0xff), payload]);
}

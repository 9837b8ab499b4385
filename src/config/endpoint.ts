/**
 * Where something listens, as written in the config file: a literal IP address with a port, or the path of a unix
 * socket. Host names do not exist here, because nothing in this program may ask a resolver.
 */
import { Address4 } from 'ip-address';
import ipaddr from 'ipaddr.js';
import { formatAddress, parseIpv6 } from '../wire/i2p/address.ts';

export interface TcpEndpoint {
  readonly kind: 'tcp';
  /** A literal address in its canonical spelling, IPv6 without brackets. */
  readonly host: string;
  /** 0 to 65535; 0 asks the kernel for a free one. */
  readonly port: number;
}

export interface UnixEndpoint {
  readonly kind: 'unix';
  /** Absolute. */
  readonly path: string;
}

export type Endpoint = TcpEndpoint | UnixEndpoint;

/** The kernel's limit for the path of a unix socket, without the closing zero (unix(7)). */
const LONGEST_UNIX_PATH = 107;

/** `127.0.0.1:80`, `[::1]:80` or `localhost:80`; undefined for anything else, host names included. */
export function parseTcpEndpoint(text: string): TcpEndpoint | undefined {
  const [, bracketed, bare, digits = ''] = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text) ?? [];
  const host = bracketed === undefined ? literalIpv4(bare ?? '') : literalIpv6(bracketed);
  const port = Number(digits);
  return host === undefined || port > 65_535 ? undefined : { kind: 'tcp', host, port };
}

/** As `parseTcpEndpoint`, and `unix:/absolute/path`. */
export function parseEndpoint(text: string): Endpoint | undefined {
  if (!text.startsWith('unix:')) return parseTcpEndpoint(text);
  const path = text.slice('unix:'.length);
  return isUnixPath(path) ? { kind: 'unix', path } : undefined;
}

export function isUnixPath(path: string): boolean {
  return path.startsWith('/') && !path.includes('\0') && Buffer.byteLength(path) <= LONGEST_UNIX_PATH;
}

export function formatEndpoint(endpoint: Endpoint): string {
  switch (endpoint.kind) {
    case 'tcp':
      return endpoint.host.includes(':') ? `[${endpoint.host}]:${endpoint.port}` : `${endpoint.host}:${endpoint.port}`;
    case 'unix':
      return `unix:${endpoint.path}`;
    default:
      return endpoint satisfies never;
  }
}

/** Can only this machine reach it? */
export function isLocal(endpoint: Endpoint): boolean {
  // ipaddr.js sees only what the strict parser above let through.
  return endpoint.kind === 'unix' || ipaddr.parse(endpoint.host).range() === 'loopback';
}

/** Would the kernel refuse to listen at one while something listens at the other? IPv6 is listened to without IPv4. */
export function excludeEachOther(one: Endpoint, other: Endpoint): boolean {
  if (one.kind === 'unix' || other.kind === 'unix') return formatEndpoint(one) === formatEndpoint(other);
  if (one.port !== other.port || one.port === 0) return false;
  if (one.host === other.host) return true;
  const [first, second] = [ipaddr.parse(one.host), ipaddr.parse(other.host)];
  return first.kind() === second.kind() && [first, second].some((host) => host.range() === 'unspecified');
}

/** IPv4 in the spelling of IPv6: the kernel would listen to something else than a reader expects. */
export function isMappedIpv4(endpoint: Endpoint): boolean {
  return endpoint.kind === 'tcp' && ipaddr.parse(endpoint.host).range() === 'ipv4Mapped';
}

function literalIpv4(text: string): string | undefined {
  if (text === 'localhost') return '127.0.0.1';
  return /^\d+(\.\d+){3}$/.test(text) && Address4.isValid(text) ? text : undefined;
}

function literalIpv6(text: string): string | undefined {
  const bytes = parseIpv6(text);
  return bytes === undefined ? undefined : formatAddress(bytes);
}

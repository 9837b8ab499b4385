/**
 * What a SOCKS client can ask for, one type for each command. Nothing here is judged; whether the command is served here,
 * and whether the host may be reached, is for others to say.
 */
import type { Sensitive } from '../../kit/sensitive.ts';

/** 4 bytes, as they came. */
export interface Ipv4Host {
  readonly kind: 'ipv4';
  readonly bytes: Buffer;
}

/** 16 bytes, as they came. */
export interface Ipv6Host {
  readonly kind: 'ipv6';
  readonly bytes: Buffer;
}

/** 1 to 255 bytes of whatever the client sent, one character for each byte, so that nothing is lost or normalised. */
export interface NamedHost {
  readonly kind: 'name';
  readonly name: string;
}

/** RFC 1929: any bytes, 0 to 255 of each. Clients use them as a token as well as a secret. */
export interface SocksCredentials {
  readonly user: Buffer;
  readonly password: Buffer;
}

/** SOCKS4 has no IPv6, and a name makes it SOCKS4a. Its user id is read and forgotten (docs/adr/0006). */
interface Socks4 {
  readonly dialect: 'socks4';
  readonly host: Ipv4Host | NamedHost;
}

interface Socks5 {
  readonly dialect: 'socks5';
  readonly host: Ipv4Host | Ipv6Host | NamedHost;
  readonly credentials: Sensitive<SocksCredentials> | undefined;
}

/** HTTP CONNECT, where a listener speaks it: an address comes as text, as any name does. */
interface Http {
  readonly dialect: 'http';
  readonly host: NamedHost;
  readonly credentials: Sensitive<SocksCredentials> | undefined;
}

/** A stream to the host. */
export type ConnectRequest = (Socks4 | Socks5 | Http) & {
  readonly command: 'connect';
  /** 1..65535 */
  readonly port: number;
};

/** RFC 1928: a stream *from* the host. Only SOCKS5 can name the address where it is awaited. */
export interface BindRequest extends Socks5 {
  readonly command: 'bind';
  /** 0..65535, of the connection that the client has to the host already. */
  readonly port: number;
}

/** RFC 1928: datagrams, which the client will send from `host` and `port`; all zeros when it does not know yet. */
export interface AssociateRequest extends Socks5 {
  readonly command: 'associate';
  /** 0..65535 */
  readonly port: number;
}

/** Tor's extension: the address of a name. The port of the request means nothing. */
export interface ResolveRequest extends Socks5 {
  readonly command: 'resolve';
}

/** Tor's extension: the name of an address. The port of the request means nothing. */
export interface ResolvePointerRequest extends Socks5 {
  readonly command: 'resolve-ptr';
}

export type SocksRequest = ConnectRequest | BindRequest | AssociateRequest | ResolveRequest | ResolvePointerRequest;

export type SocksCommand = SocksRequest['command'];

/** What a client says of itself; SOCKS4 has no place for it. */
export function credentialsOf(request: SocksRequest): Sensitive<SocksCredentials> | undefined {
  return request.dialect === 'socks4' ? undefined : request.credentials;
}

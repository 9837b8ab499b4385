/**
 * What a SOCKS client can ask for: CONNECT, in all three dialects. Nothing here is judged; whether the host may be
 * reached is for others to say.
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

export type SocksRequest =
  /** SOCKS4 has no IPv6, and a name makes it SOCKS4a. Its user id is read and forgotten (docs/adr/0006). */
  | {
      readonly kind: 'socks4';
      readonly host: Ipv4Host | NamedHost;
      /** 1..65535 */
      readonly port: number;
    }
  | {
      readonly kind: 'socks5';
      readonly host: Ipv4Host | Ipv6Host | NamedHost;
      /** 1..65535 */
      readonly port: number;
      readonly credentials: Sensitive<SocksCredentials> | undefined;
    };

/**
 * Which I2P identity a SOCKS client gets (docs/adr/0006): facts about what it asks for, against the rules of its listener.
 * Whether credentials are right is no question here.
 */
import { createHash } from 'node:crypto';
import type { DialTarget } from '../../core/dial/target.ts';
import { GATEWAY, type SessionKey } from '../../core/session/key.ts';
import type { Sensitive } from '../../kit/sensitive.ts';
import { addressKey } from '../../wire/i2p/address.ts';
import type { SocksCredentials } from '../../wire/socks/request.ts';

/** By what requests are kept apart, in the sense of Tor's `Isolate...` flags. */
export const ISOLATION_FACTS = ['credentials', 'client', 'destination', 'port', 'listener'] as const;

export type IsolationFact = (typeof ISOLATION_FACTS)[number];

/** What is known of a client, whatever it asks for. */
export interface ClientFacts {
  /**
   * Empty ones count. A SOCKS4 user id is none: most clients send the login name unasked.
   */
  readonly credentials: Sensitive<SocksCredentials> | undefined;
  /** IP address; undefined for a unix socket. */
  readonly clientAddress: string | undefined;
  /** Where the client came in, unlike every other listener. */
  readonly listener: string;
}

/** Where a request leads. */
export interface Aim {
  /** Undefined where there is no single one, as for UDP. */
  readonly target: DialTarget | undefined;
  readonly port: number;
}

export interface IsolationRules {
  /** Whose name a request goes out in that shows none of the facts in `isolate`. */
  readonly identity: Exclude<SessionKey, { kind: 'isolated' }> | { readonly kind: 'isolated' };
  /** Requests that differ in one of these never share a session. */
  readonly isolate: ReadonlySet<IsolationFact>;
  /** The tunnels of isolated sessions, where they are not the gateway's. */
  readonly tunnels?: string | undefined;
}

/** What docs/adr/0006 decides: the gateway's own destination, and a separate one for each pair of credentials. */
export const USUAL_ISOLATION: IsolationRules = { identity: GATEWAY, isolate: new Set(['credentials']) };

/** @param aim undefined where it does not matter where a request leads */
export function sessionFor(
  client: ClientFacts,
  aim: Aim | undefined,
  { identity, isolate, tunnels }: IsolationRules,
): SessionKey {
  const isShown = (fact: IsolationFact) => isolate.has(fact) && valueOfFact(fact, client, aim) !== undefined;
  if (identity.kind !== 'isolated' && !ISOLATION_FACTS.some(isShown)) return identity;
  const hash = createHash('sha256').update('socks-isolation');
  for (const fact of ISOLATION_FACTS) {
    if (!isolate.has(fact)) continue;
    const value = valueOfFact(fact, client, aim);
    hash.update(framed([fact]));
    // A fact that is missing is like no value that it can have.
    if (value !== undefined) hash.update('=').update(framed(value));
  }
  return {
    kind: 'isolated',
    token: hash.digest('base64url'),
    ...(tunnels === undefined ? {} : { tunnels }),
    ...(identity.kind === 'gateway' ? { mayReachPeers: true } : {}),
  };
}

/**
 * Who asks, whatever for: what one request of an asker has found out helps the next one, wherever the two lead. Lookups of
 * different credentials, clients and listeners stay apart as far as the rules keep their streams apart.
 */
export function askerFor(client: ClientFacts, rules: IsolationRules): SessionKey {
  return sessionFor(client, undefined, rules);
}

type FactValue = ReadonlyArray<Uint8Array | string> | undefined;

function valueOfFact(fact: IsolationFact, client: ClientFacts, aim: Aim | undefined): FactValue {
  switch (fact) {
    case 'credentials': {
      if (client.credentials === undefined) return undefined;
      const { user, password } = client.credentials.reveal();
      return [user, password];
    }
    case 'client':
      return client.clientAddress === undefined ? undefined : [client.clientAddress];
    case 'destination':
      return aim?.target === undefined ? undefined : destinationOf(aim.target);
    case 'port':
      return aim === undefined ? undefined : [String(aim.port)];
    case 'listener':
      return [client.listener];
    default:
      return fact satisfies never;
  }
}

/** As it was asked for: a name and what it stands for are two, since telling that takes a lookup. */
function destinationOf(target: DialTarget): readonly string[] {
  switch (target.kind) {
    case 'b32':
      return ['b32', target.b32];
    case 'destination':
      return ['b32', target.destination.b32];
    case 'host':
    case 'b33':
      return ['host', target.host];
    case 'peer':
      return ['peer', target.name];
    case 'address':
      return ['address', addressKey(target.address)];
    default:
      return target satisfies never;
  }
}

/** Each field with its length before it, and their number before all, so that no two lists look alike. */
function framed(fields: ReadonlyArray<Uint8Array | string>): Buffer {
  const parts = fields.map((field) => Buffer.from(field));
  return Buffer.concat([
    Buffer.of(parts.length),
    ...parts.flatMap((part) => {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(part.length);
      return [length, part];
    }),
  ]);
}

/** What serving a SOCKS client takes and how it can end: shared by the handshake and by every command. */
import type { Duplex } from 'node:stream';
import type { Dialer } from '../../core/dial/target.ts';
import type { Binder } from '../../core/inbound/binder.ts';
import type { AddressNames } from '../../core/naming/addresses.ts';
import type { ClientOrigin, ListenerPort } from '../../core/ports.ts';
import type { Relay } from '../../core/relay/report.ts';
import type { SessionKey } from '../../core/session/key.ts';
import type { Clock } from '../../kit/clock.ts';
import type { GateError } from '../../kit/errors.ts';
import type { Logger } from '../../kit/log.ts';
import type { Tally } from '../../kit/tally.ts';
import type { ErrorCodes } from '../../wire/socks/reply.ts';
import type { Access } from './access.ts';
import type { Authenticate } from './authentication.ts';
import type { ClientFacts, IsolationRules } from './isolation.ts';
import type { UdpService } from './udp/service.ts';

/** How the way of a client into I2P ended: each client ends in exactly one of these. */
export const CLIENT_ENDS = [
  /** Closed or failed before its request was complete. */
  'leftEarly',
  'handshakeTimeout',
  /** Was no user of a listener that has some. */
  'loginRefused',
  /** Had not made its request when a newcomer needed its place. */
  'displaced',
  'protocolError',
  'httpClient',
  'policyRefused',
  /** Left while its connection was being made. */
  'cancelled',
  'dialFailed',
  'connected',
  /** Got the address of a name, or the name of an address. */
  'resolved',
  'resolveFailed',
  /** Got a place to send datagrams to. */
  'associated',
  /** The gateway stopped before the client was connected. */
  'stopped',
] as const;

export type ClientEnd = (typeof CLIENT_ENDS)[number];

export interface ClientSettings {
  /** The handshake as a whole, however slowly its bytes come. Milliseconds. */
  readonly handshakeMs: number;
  /** From the request to the stream, waiting for the session included. Milliseconds. */
  readonly connectMs: number;
  /** A connected client is closed when neither side sent a byte for this long; 0 means never. Milliseconds. */
  readonly idleMs: number;
  readonly isolation: IsolationRules;
  /** Do without credentials where the client can, though they would select an identity. */
  readonly preferNoAuth: boolean;
  readonly errors: ErrorCodes;
  /** Speak HTTP CONNECT too. */
  readonly httpConnect: boolean;
  /** Serve RESOLVE and RESOLVE_PTR. */
  readonly resolve: boolean;
  /** Serve BIND: for streams of a destination that the request names, or of whoever comes first too. */
  readonly bind: 'off' | 'named' | 'anyone';
  /** How long a stream is awaited. Milliseconds. */
  readonly bindMs: number;
}

export interface ClientEnvironment {
  /** Undefined where everybody is served, whatever credentials they show. */
  readonly authenticate: Authenticate | undefined;
  readonly listener: Pick<ListenerPort, 'where'>;
  readonly access: Access;
  readonly dialer: Pick<Dialer, 'dial'>;
  readonly names: AddressNames;
  readonly binder: Pick<Binder, 'bind'>;
  readonly relay: Relay;
  /** Absent where the listener does not serve UDP ASSOCIATE. */
  readonly udp?: UdpService | undefined;
  readonly clock: Clock;
  readonly log: Logger;
  /** `dnsLeak` counts besides `policyRefused`. */
  readonly counts: Tally<ClientEnd | 'dnsLeak'>;
  readonly settings: ClientSettings;
}

/** What becomes of a client's place among those of its listener. Offered until its request is complete. */
export interface ClientPlace {
  /** Nobody else may have it. */
  keep(): void;
  /** A newcomer may have it. @param makeWay is called then; without it the client is cut off */
  offer(makeWay?: () => void): void;
}

/** A client that has made its request, as a command gets it. */
export interface Serving {
  /** Paused; owned by the command. */
  readonly client: Duplex;
  /** What is known of the client, whatever it asks for. */
  readonly facts: ClientFacts;
  /** Whose lookups are this client's too. */
  readonly asker: SessionKey;
  readonly origin: ClientOrigin;
  readonly environment: ClientEnvironment;
  /** Aborts when the gateway stops. */
  readonly signal: AbortSignal;
  readonly place: ClientPlace;
  /** Ends with a failure reply and the client closed. Whoever calls it has counted the end. */
  readonly refuse: (error: GateError) => Promise<void>;
}

/**
 * The server's side of a SOCKS handshake, from the first byte to the request: SOCKS4, SOCKS4a and SOCKS5 (RFC 1928) with
 * no authentication or user and password (RFC 1929). GSSAPI is left out on purpose, as everywhere else. Whether the
 * request is granted, and what credentials mean, is not known here.
 *
 * It never throws: whatever a client sends means one of five things, four of which say how to part with it.
 */
import { GateError } from '../../kit/errors.ts';
import { Sensitive } from '../../kit/sensitive.ts';
import type { Machine } from '../../kit/step.ts';
import { type Exchange, exactly, exchangeMachine, send, upTo } from './exchange.ts';
import { httpConnect } from './http-connect.ts';
import type { ReplyForm, SocksFailure } from './reply.ts';
import type { Ipv4Host, Ipv6Host, NamedHost, SocksCommand, SocksCredentials, SocksRequest } from './request.ts';

export type SocksHandshake =
  | { readonly kind: 'request'; readonly request: SocksRequest }
  /** The negotiation came to nothing, and the protocol has an answer for that: send `reply`, then close. */
  | { readonly kind: 'refused'; readonly reply: Uint8Array; readonly error: GateError }
  /** A request that cannot be granted, whatever it is for: a reply of this form tells the failure. */
  | {
      readonly kind: 'request-refused';
      readonly form: ReplyForm;
      readonly failure: SocksFailure;
      readonly error: GateError;
    }
  /** A browser or a program with the wrong proxy setting: a person may be reading. */
  | { readonly kind: 'http' }
  /** There is no answer that the other side would understand. */
  | { readonly kind: 'unintelligible'; readonly error: GateError };

/** The client has said who it is, and waits to hear whether it is believed. */
export interface SocksLogin {
  readonly kind: 'login';
  readonly credentials: Sensitive<SocksCredentials>;
}

/**
 * * `required`: nobody is served without; the handshake stops at the credentials, as a `SocksLogin`.
 * * `preferred`: whoever offers credentials is asked for them, and any are accepted.
 * * `avoided`: whoever can do without is not asked; any are accepted.
 */
export type Authentication = 'required' | 'preferred' | 'avoided';

const CONNECT = 0x01;
/** RFC 1928 section 4; the last two are Tor's (socks-extensions). */
const SOCKS5_COMMANDS: ReadonlyMap<number, SocksCommand> = new Map([
  [CONNECT, 'connect'],
  [0x02, 'bind'],
  [0x03, 'associate'],
  [0xf0, 'resolve'],
  [0xf1, 'resolve-ptr'],
]);

const NO_AUTHENTICATION = 0x00;
const USER_AND_PASSWORD = 0x02;
const NO_ACCEPTABLE_METHOD = 0xff;

const IPV4 = 0x01;
const DOMAIN = 0x03;
const IPV6 = 0x04;

const TLS_HANDSHAKE_RECORD = 0x16;
/** Of GET, POST, PUT, PATCH, HEAD, DELETE, OPTIONS, TRACE and CONNECT. */
const HTTP_INITIALS = Buffer.from('GPHDOTC');
const [CONNECT_INITIAL] = Buffer.from('C');

/** Code of the errors of clients that show no credentials where these are required, whatever they speak. */
export const NEEDS_LOGIN = 'socks.needs-login';

/** Ours, for the fields of SOCKS4, whose length the protocol leaves open: as long as those of SOCKS5. */
const LONGEST_FIELD = 255;

/** What a listener speaks besides SOCKS. */
export interface ListenerProtocols {
  readonly httpConnect: boolean;
}

/** @param authentication what the listener makes of credentials */
export function socksMachine(
  protocols: ListenerProtocols,
  authentication: Authentication = 'preferred',
): Machine<SocksHandshake | SocksLogin> {
  return exchangeMachine(handshake(protocols, authentication));
}

/** Goes on behind a `SocksLogin` whose credentials were right. */
export function loggedInMachine({ credentials }: SocksLogin): Machine<SocksHandshake> {
  return exchangeMachine(welcome(credentials));
}

/** RFC 1929: the answer to wrong credentials, or to some that are not understood. The connection must be closed then. */
export const LOGIN_REFUSED: Uint8Array = Buffer.from([1, 1]);
const LOGIN_ACCEPTED = Buffer.from([1, 0]);

function* handshake(
  protocols: ListenerProtocols,
  authentication: Authentication,
): Exchange<SocksHandshake | SocksLogin> {
  const version = (yield* exactly(1)).readUInt8();
  if (version === 5) return yield* socks5(authentication);
  if (version === 4) return yield* socks4(authentication);
  if (protocols.httpConnect && version === CONNECT_INITIAL) return yield* http();
  if (HTTP_INITIALS.includes(version)) return { kind: 'http' };
  return version === TLS_HANDSHAKE_RECORD
    ? unintelligible('socks.tls', 'a client speaks TLS to the SOCKS port; set it to plain SOCKS5')
    : unintelligible('socks.version', 'a client speaks neither SOCKS4 nor SOCKS5');
}

function* http(): Exchange<SocksHandshake> {
  const asked = yield* httpConnect('C');
  if (asked.kind === 'bad-request') {
    return { kind: 'request-refused', form: 'http', failure: 'bad-request', error: asked.error };
  }
  const { host, port, credentials } = asked;
  return { kind: 'request', request: { dialect: 'http', command: 'connect', host, port, credentials } };
}

function* socks4(authentication: Authentication): Exchange<SocksHandshake> {
  const fixed = yield* exactly(7);
  if (fixed.readUInt8(0) !== CONNECT) return unsupportedCommand('socks4');
  const port = fixed.readUInt16BE(1);
  const address = fixed.subarray(3);

  const user = yield* upTo(0, LONGEST_FIELD);
  if (user === undefined) return tooLong('user id');
  let host: Ipv4Host | NamedHost = { kind: 'ipv4', bytes: address };
  if (announcesName(address)) {
    const name = yield* upTo(0, LONGEST_FIELD);
    if (name === undefined) return tooLong('host name');
    if (name.length === 0) return emptyName('socks4');
    host = named(name);
  }
  if (authentication === 'required') return needsLogin();
  if (port === 0) return portZero('socks4');
  return { kind: 'request', request: { dialect: 'socks4', command: 'connect', host, port } };
}

/** SOCKS4a: 0.0.0.x with x not zero, an address that nobody can want. */
function announcesName(address: Buffer): boolean {
  const number = address.readUInt32BE();
  return number > 0 && number < 256;
}

function* socks5(authentication: Authentication): Exchange<SocksHandshake | SocksLogin> {
  const methods = yield* exactly((yield* exactly(1)).readUInt8());
  switch (methodFor(methods, authentication)) {
    case NO_AUTHENTICATION:
      yield* send(Buffer.from([5, NO_AUTHENTICATION]));
      return yield* socks5Request(undefined);
    case USER_AND_PASSWORD: {
      yield* send(Buffer.from([5, USER_AND_PASSWORD]));
      const subversion = (yield* exactly(1)).readUInt8();
      if (subversion !== 1) {
        return {
          kind: 'refused',
          reply: LOGIN_REFUSED,
          error: protocolError('socks.auth-version', 'a SOCKS client sent its password in an unknown version'),
        };
      }
      const credentials = yield* userAndPassword();
      return authentication === 'required' ? { kind: 'login', credentials } : yield* welcome(credentials);
    }
    case undefined:
      return {
        kind: 'refused',
        reply: Buffer.from([5, NO_ACCEPTABLE_METHOD]),
        error:
          authentication === 'required'
            ? new GateError('policy', NEEDS_LOGIN, 'a SOCKS client offers no password to a listener that wants one')
            : protocolError('socks.method', 'a SOCKS client offers no method that this listener accepts'),
      };
  }
}

function methodFor(
  offered: Buffer,
  authentication: Authentication,
): typeof NO_AUTHENTICATION | typeof USER_AND_PASSWORD | undefined {
  switch (authentication) {
    case 'required':
      return offered.includes(USER_AND_PASSWORD) ? USER_AND_PASSWORD : undefined;
    case 'preferred':
      // A client that offers credentials wants them to count, even where it would do without: they select its identity.
      return offered.includes(USER_AND_PASSWORD) ? USER_AND_PASSWORD : methodFor(offered, 'avoided');
    case 'avoided':
      return offered.includes(NO_AUTHENTICATION) ? NO_AUTHENTICATION : methodFor(offered, 'required');
    default:
      return authentication satisfies never;
  }
}

function* welcome(credentials: Sensitive<SocksCredentials>): Exchange<SocksHandshake> {
  yield* send(LOGIN_ACCEPTED);
  return yield* socks5Request(credentials);
}

function* userAndPassword(): Exchange<Sensitive<SocksCredentials>> {
  const user = yield* exactly((yield* exactly(1)).readUInt8());
  const password = yield* exactly((yield* exactly(1)).readUInt8());
  return new Sensitive({ user, password });
}

function* socks5Request(credentials: Sensitive<SocksCredentials> | undefined): Exchange<SocksHandshake> {
  const header = yield* exactly(4);
  const addressType = header.readUInt8(3);
  const form: ReplyForm = addressType === IPV6 ? 'socks5-ipv6' : 'socks5-ipv4';
  if (header.readUInt8(0) !== 5) {
    return unintelligible('socks.version', 'a client changed the SOCKS version in the middle');
  }
  const command = SOCKS5_COMMANDS.get(header.readUInt8(1));
  if (command === undefined) return unsupportedCommand(form);

  let host: Ipv4Host | Ipv6Host | NamedHost;
  switch (addressType) {
    case IPV4:
      host = { kind: 'ipv4', bytes: yield* exactly(4) };
      break;
    case IPV6:
      host = { kind: 'ipv6', bytes: yield* exactly(16) };
      break;
    case DOMAIN: {
      const length = (yield* exactly(1)).readUInt8();
      if (length === 0) return emptyName(form);
      host = named(yield* exactly(length));
      break;
    }
    default:
      return refused(form, 'address-type-unsupported', {
        kind: 'unsupported',
        code: 'socks.address-type',
        message: 'a SOCKS client sent an address of an unknown type',
      });
  }
  const port = (yield* exactly(2)).readUInt16BE();
  const asked = { dialect: 'socks5', host, credentials } as const;
  switch (command) {
    case 'connect':
      return port === 0 ? portZero(form) : { kind: 'request', request: { ...asked, command, port } };
    case 'bind':
    case 'associate':
      return { kind: 'request', request: { ...asked, command, port } };
    case 'resolve':
    case 'resolve-ptr':
      return { kind: 'request', request: { ...asked, command } };
    default:
      return command satisfies never;
  }
}

function named(bytes: Buffer): NamedHost {
  return { kind: 'name', name: bytes.toString('latin1') };
}

function unsupportedCommand(form: ReplyForm): SocksHandshake {
  return refused(form, 'command-unsupported', {
    kind: 'unsupported',
    code: 'socks.command',
    message: 'a SOCKS client sent an unknown command',
  });
}

function needsLogin(): SocksHandshake {
  return refused('socks4', 'not-allowed', {
    kind: 'policy',
    code: NEEDS_LOGIN,
    message: 'a SOCKS4 client came to a listener that serves its users only, and SOCKS4 has no passwords',
  });
}

/** A name that cannot be is answered like a name that does not exist. */
function emptyName(form: ReplyForm): SocksHandshake {
  return refused(form, 'name-invalid', {
    kind: 'name-invalid',
    code: 'socks.name-empty',
    message: 'a SOCKS client asked for a host without a name',
  });
}

function portZero(form: ReplyForm): SocksHandshake {
  return refused(form, 'general-failure', {
    kind: 'client-protocol',
    code: 'socks.port-zero',
    message: 'a SOCKS client asked for port 0; nothing can listen there',
  });
}

function tooLong(field: string): SocksHandshake {
  return refused('socks4', 'general-failure', {
    kind: 'client-protocol',
    code: 'socks.too-long',
    message: `a SOCKS4 client sent a ${field} of more than ${LONGEST_FIELD} bytes`,
  });
}

function refused(
  form: ReplyForm,
  failure: SocksFailure,
  { kind, code, message }: Pick<GateError, 'kind' | 'code' | 'message'>,
): SocksHandshake {
  return { kind: 'request-refused', form, failure, error: new GateError(kind, code, message) };
}

function unintelligible(code: string, message: string): SocksHandshake {
  return { kind: 'unintelligible', error: protocolError(code, message) };
}

function protocolError(code: string, message: string): GateError {
  return new GateError('client-protocol', code, message);
}

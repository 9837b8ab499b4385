/**
 * SAM commands as bytes, one line each. Values are written bare, because i2pd 2.45.1 refuses quoted ones; only a value
 * with blanks or quotes is quoted (SAM 3.2 and later), and control characters are refused.
 */
import { GateError } from '../../kit/errors.ts';
import type { Sensitive } from '../../kit/sensitive.ts';
import type { PrivateKeys } from '../i2p/destination.ts';

export interface SamCredentials {
  readonly user: string;
  readonly password: Sensitive<string>;
}

/** Options of a session's tunnels and streams as SAM passes them to I2CP, such as `inbound.length`. */
export type SessionOptions = Readonly<Record<string, string>>;

type Values = ReadonlyArray<readonly [name: string, value: string]>;

/** MIN=3.1: with MIN=3.0 i2pd 2.45.1 settles for 3.0 although it speaks 3.1. */
export function helloCommand(credentials?: SamCredentials): Uint8Array {
  return command('HELLO VERSION', [
    ['MIN', '3.1'],
    ['MAX', '3.3'],
    ...(credentials === undefined
      ? []
      : ([
          ['USER', credentials.user],
          ['PASSWORD', credentials.password.reveal()],
        ] as const)),
  ]);
}

/** What a session carries, and where the router sends datagrams for it. */
export type SessionStyle =
  | { readonly kind: 'stream' }
  /** Repliable datagrams. They come to this UDP address where there is one, otherwise on the control connection. */
  | { readonly kind: 'datagram'; readonly forwardTo: UdpAddress | undefined };

/** A literal address: routers resolve no names here. */
export interface UdpAddress {
  readonly address: string;
  readonly port: number;
}

export interface SessionCommand {
  readonly id: string;
  readonly style: SessionStyle;
  /** Or a fresh destination that dies with the session. */
  readonly keys: PrivateKeys | 'transient';
  /** None by a name that `belongsToSam`. */
  readonly options: SessionOptions;
}

const NAMES_OF_SAM = [
  'STYLE',
  'ID',
  'DESTINATION',
  'SIGNATURE_TYPE',
  'HOST',
  'PORT',
  'FROM_PORT',
  'TO_PORT',
  'PROTOCOL',
  'HEADER',
  'LISTEN_PORT',
  'LISTEN_PROTOCOL',
  'SILENT',
];

/**
 * Is it a name that SAM itself has a meaning for behind SESSION (SAM 3.3), in whatever case? As an option it would stand
 * there twice, and which of the two counts is up to the router: another destination may be the outcome.
 */
export function belongsToSam(option: string): boolean {
  return NAMES_OF_SAM.includes(option.toUpperCase());
}

export function sessionCommand(session: SessionCommand): Uint8Array {
  return command('SESSION CREATE', [
    ['STYLE', session.style.kind === 'stream' ? 'STREAM' : 'DATAGRAM'],
    ['ID', session.id],
    ...forwardValues(session.style),
    ...(session.keys === 'transient'
      ? ([
          ['DESTINATION', 'TRANSIENT'],
          ['SIGNATURE_TYPE', ED25519],
        ] as const)
      : ([['DESTINATION', session.keys.blob.reveal()]] as const)),
    ...Object.entries(session.options),
  ]);
}

function forwardValues(style: SessionStyle): Values {
  if (style.kind === 'stream' || style.forwardTo === undefined) return [];
  return [
    ['PORT', String(style.forwardTo.port)],
    ['HOST', style.forwardTo.address],
  ];
}

export interface ConnectCommand {
  readonly id: string;
  /** A base64 destination or a `.b32.i2p` name. */
  readonly destination: string;
  /** I2P port of the service, sent only to a bridge that knows it (SAM 3.2); 0 where none is wanted. */
  readonly toPort: number | undefined;
}

export function connectCommand(connect: ConnectCommand): Uint8Array {
  return command('STREAM CONNECT', [
    ['ID', connect.id],
    ['DESTINATION', connect.destination],
    ['SILENT', 'false'],
    ...(connect.toPort === undefined ? [] : ([['TO_PORT', String(connect.toPort)]] as const)),
  ]);
}

export function acceptCommand(id: string): Uint8Array {
  return command('STREAM ACCEPT', [
    ['ID', id],
    ['SILENT', 'false'],
  ]);
}

export function lookupCommand(name: string): Uint8Array {
  return command('NAMING LOOKUP', [['NAME', name]]);
}

export function generateCommand(): Uint8Array {
  return command('DEST GENERATE', [['SIGNATURE_TYPE', ED25519]]);
}

/** SAM 3.2 and later. Only for a bridge of which it is known that it stays afterwards: see `provePing`. */
export function pingCommand(text: string): Uint8Array {
  if (!PRINTABLE.test(text)) throw uncarried('the text behind PING');
  return Buffer.from(`PING ${text}\n`, 'latin1');
}

/** @param text what stood behind the router's PING; all its bytes go back but those that would end the line */
export function pongCommand(text: string): Uint8Array {
  // It comes from the bridge, and is nobody's mistake here.
  if (/[\r\n]|[^\0-\xff]/.test(text))
    throw new GateError('router-protocol', 'sam.ping-text', 'the SAM bridge sent a PING that no line can answer');
  return Buffer.from(text === '' ? 'PONG\n' : `PONG ${text}\n`, 'latin1');
}

const PRINTABLE = /^[\x20-\x7e]+$/;

/** EdDSA_SHA512_Ed25519, by number: routers disagree about the spelling of names. */
const ED25519 = '7';

function command(verb: string, values: Values): Uint8Array {
  return Buffer.from(
    `${[verb, ...values.map(([name, value]) => `${name}=${written(name, value)}`)].join(' ')}\n`,
    'latin1',
  );
}

function written(name: string, value: string): string {
  if (!/^[A-Za-z0-9_.]+$/.test(name) || !PRINTABLE.test(value)) {
    throw uncarried(`the SAM option ${JSON.stringify(name)} or its value`);
  }
  return /[ "\\]/.test(value) ? `"${value.replaceAll(/["\\]/g, '\\$&')}"` : value;
}

/** Names what it is about, never its value: that may be a key. */
function uncarried(what: string): GateError {
  return new GateError('config', 'sam.option', `${what} is empty or has characters that SAM cannot carry`);
}

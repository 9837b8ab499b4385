/**
 * An I2P destination: what it is made of and how it is named. A destination is identified by the SHA-256 of its bytes,
 * written as 52 base32 characters; nothing shorter identifies anybody.
 * Layout after the I2P "Common structures" specification: KeysAndCert (384 bytes of keys, certificate type, 16-bit
 * certificate length, certificate), in a private key file followed by the private keys.
 */
import { createHash } from 'node:crypto';
import { GateError } from '../../kit/errors.ts';
import { Sensitive } from '../../kit/sensitive.ts';
import { encodeBase32 } from './base32.ts';
import { decodeBase64, encodeBase64 } from './base64.ts';

/** The 52 characters before `.b32.i2p`, lower case. */
export type B32 = string & { readonly brand: 'B32' };

export interface Destination {
  /** The whole public destination in I2P base64, 516 characters or more. */
  readonly base64: string;
  readonly b32: B32;
}

/** A destination of which perhaps only the hash is known: a router finds the rest of it when it connects. */
export interface NamedDestination extends Pick<Destination, 'b32'> {
  readonly base64: string | undefined;
}

/** A destination together with the means to be it. */
export interface PrivateKeys {
  readonly destination: Destination;
  /** SAM's private key blob in I2P base64. */
  readonly blob: Sensitive<string>;
}

const KEYS_LENGTH = 384;
const CERTIFICATE_HEADER = 3;
/** 384 bytes of keys and an empty certificate. */
const SHORTEST_DESTINATION = KEYS_LENGTH + CERTIFICATE_HEADER;
/** No known signature type comes near; keeps hostile input small. */
const LONGEST_DESTINATION = 4096;
const SHA256_LENGTH = 32;

/** @throws GateError `name-invalid` */
export function parseDestination(base64: string): Destination {
  const bytes = decodeBase64(base64);
  if (bytes.length !== destinationLength(bytes)) {
    throw new GateError(
      'name-invalid',
      'i2p.destination',
      'not a destination: its length disagrees with its certificate',
    );
  }
  return describe(bytes);
}

/**
 * Reads SAM's private key blob: destination, encryption private key, signing private key, in some routers followed by an
 * offline signature.
 *
 * @throws GateError `name-invalid`; the message never quotes the text
 */
export function parsePrivateKeys(base64: string): PrivateKeys {
  const bytes = decodeBase64(base64);
  const length = destinationLength(bytes);
  // The shortest private keys are 32 bytes each (X25519 and Ed25519).
  if (bytes.length < length + 64) {
    throw new GateError('name-invalid', 'i2p.private-keys', 'not a private key: it ends before the private part');
  }
  return { destination: describe(bytes.subarray(0, length)), blob: new Sensitive(base64) };
}

/** @throws GateError `name-invalid` when `text` is not 52 base32 characters that stand for 32 bytes */
export function parseB32(text: string): B32 {
  // The letters are asked first: lowering the case makes a plain k of the Kelvin sign.
  const lower = /^[A-Za-z2-7]+$/.test(text) ? text.toLowerCase() : '';
  if (!isB32(lower)) {
    throw new GateError('name-invalid', 'i2p.b32', 'not a b32 name: 52 characters of a-z and 2-7 are wanted');
  }
  return lower;
}

/** 260 bits carry 256, so the last character can only be `a` or `q`. */
function isB32(text: string): text is B32 {
  return /^[a-z2-7]{51}[aq]$/.test(text);
}

function destinationLength(bytes: Buffer): number {
  if (bytes.length < SHORTEST_DESTINATION) {
    throw new GateError('name-invalid', 'i2p.destination', 'not a destination: shorter than 387 bytes');
  }
  const length = SHORTEST_DESTINATION + bytes.readUInt16BE(KEYS_LENGTH + 1);
  if (length > LONGEST_DESTINATION || length > bytes.length) {
    throw new GateError('name-invalid', 'i2p.destination', 'not a destination: its certificate is cut off');
  }
  return length;
}

function describe(bytes: Buffer): Destination {
  const hash = createHash('sha256').update(bytes).digest().subarray(0, SHA256_LENGTH);
  return { base64: encodeBase64(bytes), b32: parseB32(encodeBase32(hash)) };
}

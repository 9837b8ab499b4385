/**
 * Destinations and private key blobs as the three routers make them. Only Ed25519 keys are real, and no key is ever used:
 * of the others only the sizes are right. Layout: "Common structures" of the I2P specification.
 */
import { randomBytes } from 'node:crypto';
import { generateSigningKeys } from '../../../src/io/key-generate.ts';
import { encodeBase64 } from '../../../src/wire/i2p/base64.ts';
import { type Destination, parseDestination } from '../../../src/wire/i2p/destination.ts';

export interface FakeKeys {
  readonly destination: Destination;
  /** SAM's private key blob in I2P base64. */
  readonly blob: string;
}

/** Sizes of a signature type, in bytes. */
export interface Signature {
  readonly code: number;
  readonly privateKey: number;
  /** What of the public key does not fit into the 128 bytes for it and stands in the certificate. */
  readonly excess: number;
}

export interface SignatureTypes {
  /** @param type as it stands in SIGNATURE_TYPE; undefined where there is none */
  find(type: string | undefined): Signature | undefined;
  /** Whether CRYPTO_TYPE counts. */
  readonly cryptoTypes: boolean;
}

const DSA: Signature = { code: 0, privateKey: 20, excess: 0 };
const ED25519: Signature = { code: 7, privateKey: 32, excess: 0 };
const X25519_CRYPTO = 4;

const ECDSA: readonly Signature[] = [
  DSA,
  { code: 1, privateKey: 32, excess: 0 },
  { code: 2, privateKey: 48, excess: 0 },
  { code: 3, privateKey: 66, excess: 4 },
];
const I2PD: readonly Signature[] = [
  ...ECDSA,
  ED25519,
  { code: 9, privateKey: 32, excess: 0 },
  { code: 10, privateKey: 64, excess: 0 },
  { code: 11, privateKey: 32, excess: 0 },
];
const JAVA: readonly Signature[] = [
  ...ECDSA,
  { code: 4, privateKey: 512, excess: 128 },
  { code: 5, privateKey: 768, excess: 256 },
  { code: 6, privateKey: 1024, excess: 384 },
  ED25519,
  { code: 8, privateKey: 32, excess: 0 },
  { code: 11, privateKey: 32, excess: 0 },
];

/** i2pd 2.45.1 makes a key of any number, and a DSA key of any name but one. */
export const I2PD_245_SIGNATURES: SignatureTypes = {
  find: (type) => findI2pd(type) ?? { code: Number(type) % 65_536, privateKey: 20, excess: 0 },
  cryptoTypes: true,
};

export const I2PD_259_SIGNATURES: SignatureTypes = { find: findI2pd, cryptoTypes: true };

export const JAVA_SIGNATURES: SignatureTypes = {
  find: (type) => {
    if (type === undefined) return DSA;
    if (type.toLowerCase() === 'eddsa_sha512_ed25519') return ED25519;
    return JAVA.find(({ code }) => String(code) === type);
  },
  cryptoTypes: false,
};

function findI2pd(type: string | undefined): Signature | undefined {
  if (type === 'EdDSA_SHA512_Ed25519') return ED25519;
  return type !== undefined && /^\d+$/.test(type) ? I2PD.find(({ code }) => String(code) === type) : DSA;
}

/** Keys as SIGNATURE_TYPE=7 gives them: a 391-byte destination and a 679-byte blob. */
export function generateKeys(signature: Signature = ED25519, cryptoType = 0): FakeKeys {
  const signing = signature.code === ED25519.code ? generateSigningKeys() : undefined;
  const destination = Buffer.concat([randomBytes(384), certificate(signature, cryptoType)]);
  // A key shorter than its field is right-aligned in it.
  signing?.publicKey.copy(destination, 384 - 32);
  const encryption = randomBytes(cryptoType === X25519_CRYPTO ? 32 : 256);
  const blob = Buffer.concat([destination, encryption, signing?.seed ?? randomBytes(signature.privateKey)]);
  return { destination: parseDestination(encodeBase64(destination)), blob: encodeBase64(blob) };
}

function certificate(signature: Signature, cryptoType: number): Buffer {
  if (signature.code === DSA.code) return Buffer.alloc(3);
  const head = Buffer.alloc(7);
  head.writeUInt8(5, 0);
  head.writeUInt16BE(4 + signature.excess, 1);
  head.writeUInt16BE(signature.code, 3);
  head.writeUInt16BE(cryptoType, 5);
  return Buffer.concat([head, randomBytes(signature.excess)]);
}

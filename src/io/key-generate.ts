/**
 * Makes a new identity without a router: an I2P destination with its private keys, as SAM's private key blob. Layout
 * after the I2P "Common structures" specification (KeysAndCert, PrivateKeys).
 */
import { createDiffieHellmanGroup, generateKeyPairSync, randomBytes } from 'node:crypto';
import { encodeBase64 } from '../wire/i2p/base64.ts';
import { type PrivateKeys, parsePrivateKeys } from '../wire/i2p/destination.ts';

/** ElGamal numbers are 2048 bits. Routers use their own lease set keys today, but the field must be there and valid. */
const ELGAMAL_LENGTH = 256;
/** The signing key field is 128 bytes, and Ed25519 fills the last 32 of them. */
const PADDING_LENGTH = 96;
const ED25519_LENGTH = 32;
/** Type 5 (key certificate), 4 bytes: signing type 7 (EdDSA_SHA512_Ed25519), encryption type 0 (ElGamal). */
const CERTIFICATE = Buffer.from('05000400070000', 'hex');

export function generateKeys(): PrivateKeys {
  // I2P's ElGamal group is group 14 of RFC 3526 with generator 2.
  const encryption = createDiffieHellmanGroup('modp14');
  encryption.generateKeys();
  const signing = generateSigningKeys();
  const blob = Buffer.concat([
    leftPadded(encryption.getPublicKey()),
    randomBytes(PADDING_LENGTH),
    signing.publicKey,
    CERTIFICATE,
    leftPadded(encryption.getPrivateKey()),
    signing.seed,
  ]);
  return parsePrivateKeys(encodeBase64(blob));
}

export interface SigningKeys {
  /** The private key as RFC 8032 stores it, 32 bytes. */
  readonly seed: Buffer;
  /** 32 bytes. */
  readonly publicKey: Buffer;
}

/**
 * A fresh pair of Ed25519 keys.
 *
 * Both are encoded by the call that makes them. Exporting them from its key objects can hang for ever (seen on Node
 * 20.20.2): the export holds a lock of the key, and a garbage collection in the middle of it destroys what is left of
 * the call, which waits for the same lock in the same thread.
 */
export function generateSigningKeys(): SigningKeys {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519', {
    privateKeyEncoding: { type: 'pkcs8', format: 'der' },
    publicKeyEncoding: { type: 'spki', format: 'der' },
  });
  // RFC 8410: in both encodings the key itself comes last.
  return { seed: privateKey.subarray(-ED25519_LENGTH), publicKey: publicKey.subarray(-ED25519_LENGTH) };
}

function leftPadded(number: Buffer): Buffer {
  return Buffer.concat([Buffer.alloc(ELGAMAL_LENGTH - number.length), number]);
}

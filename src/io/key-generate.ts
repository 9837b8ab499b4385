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
/** Type 5 (key certificate), 4 bytes: signing type 7 (EdDSA_SHA512_Ed25519), encryption type 0 (ElGamal). */
const CERTIFICATE = Buffer.from('05000400070000', 'hex');

export function generateKeys(): PrivateKeys {
  // I2P's ElGamal group is group 14 of RFC 3526 with generator 2.
  const encryption = createDiffieHellmanGroup('modp14');
  encryption.generateKeys();
  const signing = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' });
  const blob = Buffer.concat([
    leftPadded(encryption.getPublicKey()),
    randomBytes(PADDING_LENGTH),
    Buffer.from(signing.x ?? '', 'base64url'),
    CERTIFICATE,
    leftPadded(encryption.getPrivateKey()),
    Buffer.from(signing.d ?? '', 'base64url'),
  ]);
  return parsePrivateKeys(encodeBase64(blob));
}

function leftPadded(number: Buffer): Buffer {
  return Buffer.concat([Buffer.alloc(ELGAMAL_LENGTH - number.length), number]);
}

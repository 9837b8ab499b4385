/**
 * Makes the keys of an I2P destination, so that its name and addresses are known before any router runs. Layout after the
 * I2P "Common structures" specification, KeysAndCert: ElGamal public key (256 bytes), padding and Ed25519 public key
 * (128 bytes together), key certificate; then the two private keys, as in SAM's private key blob and i2pd's key files.
 */
import { createDiffieHellmanGroup, generateKeyPairSync, randomBytes } from 'node:crypto';
import { type Destination, parsePrivateKeys } from '../../src/wire/i2p/destination.ts';

const ELGAMAL_LENGTH = 256;
const ED25519_LENGTH = 32;
const PADDING_LENGTH = 96;
/** Key certificate (5), 4 bytes: signature type 7 (Ed25519), encryption type 0 (ElGamal). */
const KEY_CERTIFICATE = Buffer.from('05000400070000', 'hex');

export type DestinationKeys = {
  readonly destination: Destination;
  /** The blob as i2pd keeps it in a `.dat` file. */
  readonly file: Buffer;
  /** The same in I2P base64: what SESSION CREATE takes and what a key file of the gateway holds. */
  readonly base64: string;
};

export function generateKeys(): DestinationKeys {
  // I2P's ElGamal group is group 14 of RFC 3526, with generator 2.
  const elgamal = createDiffieHellmanGroup('modp14');
  elgamal.generateKeys();
  const ed25519 = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' });
  return describeKeys(
    Buffer.concat([
      leftPadded(elgamal.getPublicKey(), ELGAMAL_LENGTH),
      randomBytes(PADDING_LENGTH),
      fromJwk(ed25519.x),
      KEY_CERTIFICATE,
      leftPadded(elgamal.getPrivateKey(), ELGAMAL_LENGTH),
      fromJwk(ed25519.d),
    ]),
  );
}

function describeKeys(file: Buffer): DestinationKeys {
  const base64 = file.toString('base64').replaceAll('+', '-').replaceAll('/', '~');
  return { destination: parsePrivateKeys(base64).destination, file, base64 };
}

function leftPadded(bytes: Buffer, length: number): Buffer {
  return Buffer.concat([Buffer.alloc(length - bytes.length), bytes]);
}

function fromJwk(part: string | undefined): Buffer {
  const bytes = Buffer.from(part ?? '', 'base64url');
  if (bytes.length !== ED25519_LENGTH) throw new Error('node:crypto gave an Ed25519 key of another length than 32');
  return bytes;
}

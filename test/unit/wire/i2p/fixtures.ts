/**
 * Made-up destinations of the sizes that routers really give out. Their keys are noise: only the layout matters here. The
 * encoders are written out plainly, so that they share no mistake with those under test.
 */
import { createHash } from 'node:crypto';
import { hex, noise } from '../../kit/support.ts';

/** I2P's base64 by way of node's own. */
export function plainBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64').split('+').join('-').split('/').join('~');
}

/** RFC 4648 base32, over one text of bits. */
export function plainBase32(bytes: Uint8Array): string {
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  const groups = bits.match(/.{1,5}/g) ?? [];
  return groups
    .map((group) => 'abcdefghijklmnopqrstuvwxyz234567'.charAt(Number.parseInt(group.padEnd(5, '0'), 2)))
    .join('');
}

export interface MadeUp {
  readonly destination: Buffer;
  readonly base64: string;
  readonly b32: string;
  /** SAM's private key blob in base64. */
  readonly keys: string;
}

/** @param certificate in hex; the default is the key certificate of SIGNATURE_TYPE=7, 391 bytes in all */
export function madeUp(seed: number, certificate = '05 0004 0007 0000', privateLength = 256 + 32): MadeUp {
  const destination = Buffer.concat([noise(384, seed), hex(certificate)]);
  return {
    destination,
    base64: plainBase64(destination),
    b32: plainBase32(createHash('sha256').update(destination).digest()),
    keys: plainBase64(Buffer.concat([destination, noise(privateLength, seed + 1)])),
  };
}

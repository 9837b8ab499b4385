/** RFC 4648 base32 as I2P writes it: lower case, without padding. */
import { GateError } from '../../kit/errors.ts';

const ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567';

export function encodeBase32(bytes: Uint8Array): string {
  let text = '';
  let bits = 0;
  let value = 0;
  for (const byte of bytes) {
    value = (value << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += ALPHABET.charAt((value >> bits) & 31);
    }
    value &= (1 << bits) - 1;
  }
  return bits > 0 ? text + ALPHABET.charAt((value << (5 - bits)) & 31) : text;
}

/**
 * Upper case is accepted. Bits behind the last whole byte must be zero, so that one value has one spelling.
 *
 * @throws GateError `name-invalid`
 */
export function decodeBase32(text: string): Buffer {
  // Asked before lowering the case, which makes a plain k of the Kelvin sign.
  if (!/^[A-Za-z2-7]*$/.test(text)) {
    throw new GateError('name-invalid', 'i2p.base32', 'not base32 (letters a-z and digits 2-7)');
  }
  const bytes = Buffer.alloc(Math.floor((text.length * 5) / 8));
  let at = 0;
  let bits = 0;
  let value = 0;
  for (const letter of text.toLowerCase()) {
    value = (value << 5) | ALPHABET.indexOf(letter);
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      bytes[at++] = value >> bits;
      value &= (1 << bits) - 1;
    }
  }
  if (value !== 0 || bits >= 5) throw new GateError('name-invalid', 'i2p.base32', 'not the base32 form of whole bytes');
  return bytes;
}

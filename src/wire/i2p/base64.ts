/** I2P's base64: the standard alphabet with `-` and `~` for `+` and `/`, always padded. Strict, unlike Buffer. */
import { GateError } from '../../kit/errors.ts';

const [PLUS = 0, SLASH = 0, HYPHEN = 0, TILDE = 0] = Buffer.from('+/-~');

export function encodeBase64(bytes: Uint8Array): string {
  // Letter by letter: a string that pieces were replaced in holds up to twice its length for as long as it is kept.
  const letters = Buffer.from(Buffer.from(bytes).toString('base64'), 'latin1');
  for (let at = 0; at < letters.length; at += 1) {
    if (letters[at] === PLUS) letters[at] = HYPHEN;
    else if (letters[at] === SLASH) letters[at] = TILDE;
  }
  return letters.toString('latin1');
}

/** @throws GateError `name-invalid` when the text is not whole I2P base64 */
export function decodeBase64(text: string): Buffer {
  if (!/^[A-Za-z0-9~-]*={0,2}$/.test(text) || text.length % 4 !== 0) throw invalid();
  const bytes = Buffer.from(text.replaceAll('-', '+').replaceAll('~', '/'), 'base64');
  // Also refuses set bits behind the end, so that one value has one spelling.
  if (encodeBase64(bytes) !== text) throw invalid();
  return bytes;
}

function invalid(): GateError {
  return new GateError('name-invalid', 'i2p.base64', 'not I2P base64 (alphabet A-Z a-z 0-9 - ~, padded with =)');
}

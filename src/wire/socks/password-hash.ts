/**
 * How the passwords of SOCKS users are kept: hashed with scrypt (RFC 7914), as text in the PHC string format. One cost for
 * all, so that the time of a check tells nobody apart.
 */
import { scrypt } from 'node:crypto';
import { Sensitive } from '../../kit/sensitive.ts';

export interface PasswordHash {
  readonly salt: Buffer;
  readonly key: Buffer;
}

/** 32 MiB and some 0.1 s on a core for each guess: log2(N), r and p of RFC 7914. */
const COST = { log2N: 15, r: 8, p: 1 };
const COST_TEXT = `ln=${COST.log2N},r=${COST.r},p=${COST.p}`;
/** Node refuses what might need more than this. Bytes. */
const MOST_MEMORY = 2 * 128 * 2 ** COST.log2N * COST.r;
/** RFC 1929, of user name and password each. Bytes. */
export const LONGEST_CREDENTIAL = 255;
export const SALT_LENGTH = 16;
const KEY_LENGTH = 32;

/** `$scrypt$ln=15,r=8,p=1$SALT$KEY`, base64 without padding; undefined for anything else, another cost included. */
export function parsePasswordHash(text: string): Sensitive<PasswordHash> | undefined {
  const [nothing, algorithm, cost, saltText = '', keyText = '', ...more] = text.split('$');
  if (nothing !== '' || algorithm !== 'scrypt' || cost !== COST_TEXT || more.length > 0) return undefined;
  const [salt, key] = [fromBase64(saltText), fromBase64(keyText)];
  if (salt?.length !== SALT_LENGTH || key?.length !== KEY_LENGTH) return undefined;
  return new Sensitive({ salt, key });
}

export function formatPasswordHash({ salt, key }: PasswordHash): string {
  return `$scrypt$${COST_TEXT}$${toBase64(salt)}$${toBase64(key)}`;
}

/**
 * In a thread of its own; the event loop goes on.
 *
 * @param salt `SALT_LENGTH` bytes that nobody has used before
 */
export function hashPassword(password: Uint8Array, salt: Buffer): Promise<PasswordHash> {
  const options = { N: 2 ** COST.log2N, r: COST.r, p: COST.p, maxmem: MOST_MEMORY };
  return new Promise((resolve, reject) => {
    scrypt(password, salt, KEY_LENGTH, options, (error, key) => {
      if (error === null) resolve({ salt, key });
      else reject(error);
    });
  });
}

function fromBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64');
  return toBase64(bytes) === text ? bytes : undefined;
}

function toBase64(bytes: Buffer): string {
  return bytes.toString('base64').replace(/=+$/, '');
}

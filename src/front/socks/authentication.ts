/**
 * Whether a client is who it says it is, for listeners that serve only their users. Says nothing about the identity that a
 * client gets inside I2P, which is the business of `isolation.ts`.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { ExpiringCache } from '../../kit/cache.ts';
import type { Clock } from '../../kit/clock.ts';
import { Sensitive } from '../../kit/sensitive.ts';
import type { Turnstile } from '../../kit/turnstile.ts';
import { hashPassword, type PasswordHash } from '../../wire/socks/password-hash.ts';
import type { SocksCredentials } from '../../wire/socks/request.ts';

export interface SocksUser {
  readonly name: string;
  readonly hash: Sensitive<PasswordHash>;
}

/**
 * Are these the credentials of a user? Takes as long for a user that does not exist as for a wrong password.
 *
 * @param credentials undefined when the client showed none, which is never right
 * @throws the abort of `signal`, while the check waits for its turn
 */
export type Authenticate = (
  credentials: Sensitive<SocksCredentials> | undefined,
  signal: AbortSignal,
) => Promise<boolean>;

/** A browser opens connections all the time, and each check costs 0.1 s of a core. */
const REMEMBERED_MS = 5 * 60_000;
const REMEMBERED_AT_MOST = 64;
/** Of the four threads that Node has for such work; files and sockets need them too. */
export const CHECKS_AT_ONCE = 2;

/**
 * @param users with different names
 * @param takeTurn lets `CHECKS_AT_ONCE` checks run at a time, of all listeners together
 */
export function createAuthenticator(users: readonly SocksUser[], clock: Clock, takeTurn: Turnstile): Authenticate {
  const secret = randomBytes(32);
  /** Equal exactly when all fields are; worthless outside this process. */
  const markOf = (...fields: ReadonlyArray<Uint8Array>): Buffer => {
    const mark = createHmac('sha256', secret);
    for (const field of fields) mark.update(Buffer.of(field.length)).update(field);
    return mark.digest();
  };
  const known = users.map(({ name, hash }) => ({ mark: markOf(Buffer.from(name)), hash }));
  /** Somebody who does not exist has a password that nobody knows. */
  const nobody = new Sensitive<PasswordHash>({ salt: randomBytes(16), key: randomBytes(32) });
  const remembered = new ExpiringCache<true>(REMEMBERED_AT_MOST);

  const hashFor = (user: Uint8Array): Sensitive<PasswordHash> => {
    const mark = markOf(user);
    let found: Sensitive<PasswordHash> = nobody;
    for (const one of known) if (timingSafeEqual(one.mark, mark)) found = one.hash;
    return found;
  };

  return async (credentials, signal) => {
    if (credentials === undefined) return false;
    const { user, password } = credentials.reveal();
    if (user.length === 0 || password.length === 0) return false;
    const mark = markOf(user, password).toString('base64');
    const isRemembered = () => remembered.get(mark, clock.now()) !== undefined;
    if (isRemembered()) return true;
    return takeTurn(async () => {
      // Of several connections at once only the first ones have to be checked.
      if (isRemembered()) return true;
      const { salt, key } = hashFor(user).reveal();
      const given = await hashPassword(password, salt);
      if (!timingSafeEqual(given.key, key)) return false;
      remembered.set(mark, true, clock.now() + REMEMBERED_MS);
      return true;
    }, signal);
  };
}

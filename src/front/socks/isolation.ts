/** Which I2P identity a SOCKS client gets (docs/adr/0006): its credentials decide, and whether they are right is no question. */
import { createHash } from 'node:crypto';
import type { SessionKey } from '../../core/session/key.ts';
import type { SocksCredentials, SocksRequest } from '../../wire/socks/request.ts';

/**
 * SOCKS5 credentials select a session of their own, empty ones too: equal ones the same. A SOCKS4 user id selects nothing,
 * because most clients send the login name unasked.
 *
 * @param usual the session of clients without credentials
 */
export function sessionFor(request: SocksRequest, usual: SessionKey): SessionKey {
  if (request.dialect === 'socks4' || request.credentials === undefined) return usual;
  return { kind: 'isolated', token: tokenOf(request.credentials.reveal()) };
}

/** Each field with its length before it, so that no two pairs look alike. */
function tokenOf({ user, password }: SocksCredentials): string {
  const hash = createHash('sha256').update('socks-credentials\0');
  for (const field of [user, password]) hash.update(Buffer.from([field.length])).update(field);
  return hash.digest('base64url');
}

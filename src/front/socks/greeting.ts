/** The handshake with a client, with the check of its password in the middle where the listener serves its users only. */
import type { Duplex } from 'node:stream';
import type { TimeLimit } from '../../kit/clock.ts';
import { drive } from '../../kit/drive.ts';
import { GateError } from '../../kit/errors.ts';
import type { Sensitive } from '../../kit/sensitive.ts';
import {
  type Authentication,
  LOGIN_REFUSED,
  loggedInMachine,
  type SocksHandshake,
  socksMachine,
} from '../../wire/socks/handshake.ts';
import { HTTP_LOGIN_REFUSED } from '../../wire/socks/reply.ts';
import type { SocksCredentials } from '../../wire/socks/request.ts';
import { watchDisconnect } from './disconnect.ts';
import type { ClientEnvironment } from './serving.ts';

export interface LoginRefused {
  readonly kind: 'login-refused';
  /** What the client is told, in its own language. */
  readonly reply: Uint8Array;
}

const DOING = 'reading a SOCKS request';

/** @throws GateError when the client has left or was too slow, or for the abort of `signal` */
export async function greet(
  client: Duplex,
  environment: ClientEnvironment,
  signal: AbortSignal,
): Promise<SocksHandshake | LoginRefused> {
  const { clock, settings } = environment;
  const end = clock.now() + settings.handshakeMs;
  const limit = (): TimeLimit => ({ clock, ms: Math.max(0, end - clock.now()), late: tooSlow });
  const handshake = await drive(socksMachine(settings, authenticationOf(environment)), client, {
    doing: DOING,
    signal,
    limit: limit(),
    onEnd: closedInTheMiddle,
  });
  const isUser = async (credentials: Sensitive<SocksCredentials> | undefined): Promise<boolean> => {
    if (environment.authenticate === undefined) return true;
    // Somebody who has left must not take the turn of somebody who waits.
    const watch = watchDisconnect(client, limit(), signal);
    return environment.authenticate(credentials, watch.signal).finally(watch.clear);
  };
  if (handshake.kind === 'login') {
    if (!(await isUser(handshake.credentials))) return { kind: 'login-refused', reply: LOGIN_REFUSED };
    return drive(loggedInMachine(handshake), client, {
      doing: DOING,
      signal,
      limit: limit(),
      onEnd: closedInTheMiddle,
    });
  }
  // HTTP has said in one breath who it is and what it wants.
  if (handshake.kind === 'request' && handshake.request.dialect === 'http') {
    if (!(await isUser(handshake.request.credentials))) return { kind: 'login-refused', reply: HTTP_LOGIN_REFUSED };
  }
  return handshake;
}

function authenticationOf({ authenticate, settings }: ClientEnvironment): Authentication {
  if (authenticate !== undefined) return 'required';
  return settings.isolation.isolate.has('credentials') && !settings.preferNoAuth ? 'preferred' : 'avoided';
}

function tooSlow(): GateError {
  return new GateError('client-protocol', 'socks.handshake-timeout', 'a SOCKS client was too slow to send its request');
}

function closedInTheMiddle(): GateError {
  return new GateError('client-protocol', 'socks.ended', 'a SOCKS client closed in the middle');
}

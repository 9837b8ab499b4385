/** Which I2P port of a session somebody gets who listens on it beside others. */
import { GateError } from '../../kit/errors.ts';

/** RFC 6335: from here on ports mean nothing elsewhere, and nobody expects a service at them. */
const FIRST_DYNAMIC_PORT = 49_152;
const LAST_PORT = 65_535;

/**
 * @param preferred the port to have if it is free, as NAT does it; 0 for any
 * @returns 1 to 65535
 * @throws GateError `limit` when all ports that may be given are taken
 */
export function freePort(taken: Pick<ReadonlyMap<number, unknown>, 'has'>, preferred: number): number {
  if (preferred !== 0 && !taken.has(preferred)) return preferred;
  for (let port = FIRST_DYNAMIC_PORT; port <= LAST_PORT; port += 1) if (!taken.has(port)) return port;
  throw new GateError('limit', 'session.no-port', 'every I2P port of this session is taken');
}

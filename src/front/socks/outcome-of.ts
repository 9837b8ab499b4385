/** What a SOCKS client is told for each kind of error. A new kind without a line does not compile. */
import type { ErrorKind } from '../../kit/errors.ts';
import type { SocksOutcome } from '../../wire/socks/reply.ts';

/** SOCKS4 has one word for all of it. */
export const OUTCOME_OF = {
  config: 'general-failure',
  permission: 'general-failure',
  'local-io': 'general-failure',
  // The way into I2P is missing, whatever lies at its other end.
  'router-down': 'network-unreachable',
  'session-lost': 'network-unreachable',
  'router-refused': 'general-failure',
  'router-protocol': 'general-failure',
  // RFC 1928 has no code for names: to the client a name that is wrong or unknown is a host that is not there.
  'name-invalid': 'host-unreachable',
  'name-unknown': 'host-unreachable',
  'peer-unreachable': 'host-unreachable',
  'peer-timeout': 'ttl-expired',
  'peer-refused': 'connection-refused',
  // An I2P service that does not want a stream closes it at once.
  'peer-closed': 'connection-refused',
  'peer-protocol': 'general-failure',
  'client-protocol': 'general-failure',
  policy: 'not-allowed',
  unsupported: 'command-unsupported',
  limit: 'general-failure',
  cancelled: 'general-failure',
  shutdown: 'general-failure',
  bug: 'general-failure',
} as const satisfies Record<ErrorKind, Exclude<SocksOutcome, 'succeeded'>>;

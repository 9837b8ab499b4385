/**
 * What a SOCKS client is told for each error. Its kind decides, and a new kind without a line does not compile; a few
 * errors are told apart further by their code. `wire/socks/reply.ts` has the numbers of each answer in every dialect.
 */
import type { ErrorKind, GateError } from '../../kit/errors.ts';
import type { SocksFailure } from '../../wire/socks/reply.ts';

const BY_KIND = {
  config: 'general-failure',
  permission: 'general-failure',
  'local-io': 'general-failure',
  // The way into I2P is missing, whatever lies at its other end.
  'router-down': 'network-unreachable',
  'session-lost': 'network-unreachable',
  'router-refused': 'general-failure',
  'router-protocol': 'general-failure',
  // RFC 1928 has no code for names: to the client a name that is wrong or unknown is a host that is not there.
  'name-invalid': 'name-invalid',
  'name-unknown': 'name-unknown',
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
} as const satisfies Record<ErrorKind, SocksFailure>;

const BY_CODE: ReadonlyMap<string, SocksFailure> = new Map([
  // The peer's gateway was reached, and could go no further.
  ['flow.unreachable', 'service-unreachable'],
  // It speaks another version: nothing is wrong with what the client wants.
  ['flow.version', 'general-failure'],
]);

export function failureOf(error: Pick<GateError, 'kind' | 'code'>): SocksFailure {
  return BY_CODE.get(error.code) ?? BY_KIND[error.kind];
}

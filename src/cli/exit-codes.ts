/** What the exit status of the command means; listed for operators in docs/operations.md. */
import type { ErrorKind, GateError } from '../kit/errors.ts';

export const EXIT = {
  ok: 0,
  /** It did not work, or garligate is not running. */
  failed: 1,
  usage: 2,
  config: 3,
  /** No SAM bridge, or none that can be used. */
  router: 4,
  /** No rights, or no TUN device. */
  rights: 5,
  /** Running, but not as it should (`status --strict`). */
  degraded: 6,
  /** A peer or service cannot be reached. */
  peer: 7,
  /** The identity key was refused. */
  identity: 8,
  /** `ping`: the router does not know how to reach the peer. */
  leaseSet: 9,
  /** `ping`: no stream to the peer. */
  stream: 10,
  /** `ping`: nobody answers on the stream. */
  gateway: 11,
  /** `ping`: the host behind the peer's gateway does not answer. */
  ipv6: 12,
  /** `ping`: the router answers, and our session on it does not stand. */
  session: 13,
  /** `leak-test`: something left this machine. */
  leak: 14,
  /** `leak-test`: not everything that left could be looked at. */
  unsure: 15,
  /** As timeout(1) says it. */
  timeout: 124,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

const OF_KIND = {
  config: EXIT.config,
  permission: EXIT.rights,
  'local-io': EXIT.failed,
  'router-down': EXIT.router,
  'router-refused': EXIT.router,
  'router-protocol': EXIT.router,
  'session-lost': EXIT.router,
  'name-invalid': EXIT.usage,
  'name-unknown': EXIT.peer,
  'peer-unreachable': EXIT.peer,
  'peer-timeout': EXIT.peer,
  'peer-refused': EXIT.peer,
  'peer-closed': EXIT.peer,
  'peer-protocol': EXIT.peer,
  'client-protocol': EXIT.failed,
  policy: EXIT.failed,
  unsupported: EXIT.failed,
  limit: EXIT.failed,
  cancelled: EXIT.failed,
  shutdown: EXIT.failed,
  bug: EXIT.failed,
} as const satisfies Record<ErrorKind, ExitCode>;

/** Codes that want another answer than the rest of their kind. The first that fits counts; a dot at the end is a prefix. */
const OF_CODE: ReadonlyArray<readonly [code: string, exit: ExitCode]> = [
  ['identity.in-use', EXIT.failed],
  ['identity.', EXIT.identity],
  ['sam.key-invalid', EXIT.identity],
  ['tun.', EXIT.rights],
  ['control.timeout', EXIT.timeout],
];

export function exitCodeOf({ kind, code }: GateError): ExitCode {
  const special = OF_CODE.find(([known]) => (known.endsWith('.') ? code.startsWith(known) : code === known));
  return special?.[1] ?? OF_KIND[kind];
}

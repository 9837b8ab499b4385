/**
 * The one error type of the program: a kind for code to react to, a stable code for documentation and search, a message
 * for people, facts for logs, and the cause for developers. Knows nothing of any protocol.
 */

/**
 * Kinds are split by place and by what the receiver can sensibly do, never by code path:
 * our own side (`config` .. `local-io`), the router, names, the remote peer, our client, and the end of an operation.
 */
export const ERROR_KINDS = [
  'config',
  'permission',
  'local-io',
  'router-down',
  'router-refused',
  'router-protocol',
  'session-lost',
  'name-invalid',
  'name-unknown',
  'peer-unreachable',
  'peer-timeout',
  'peer-refused',
  'peer-closed',
  'peer-protocol',
  'client-protocol',
  'policy',
  'unsupported',
  'limit',
  'cancelled',
  'shutdown',
  'bug',
] as const;

export type ErrorKind = (typeof ERROR_KINDS)[number];

/** Values that may stand in a log line: no objects, nothing secret. */
export type Facts = Readonly<Record<string, string | number | boolean | undefined>>;

export class GateError extends Error {
  override readonly name = 'GateError';
  readonly kind: ErrorKind;
  /** Dotted and stable, such as `sam.duplicated-destination`: for programs, and to search for. */
  readonly code: string;
  readonly facts: Facts;

  constructor(kind: ErrorKind, code: string, message: string, more: { facts?: Facts; cause?: unknown } = {}) {
    super(message, more.cause === undefined ? undefined : { cause: more.cause });
    this.kind = kind;
    this.code = code;
    this.facts = more.facts ?? {};
  }
}

/** Is it the peer that could not be had, with everything on our side well? */
export function blamesPeer({ kind }: GateError): boolean {
  return kind.startsWith('peer-');
}

/**
 * Makes a GateError of anything thrown at a border of the program. A GateError passes through unchanged; a system error
 * keeps its errno name; everything else is a bug of ours.
 *
 * @param doing what was being attempted, as a gerund phrase: "opening the SAM bridge"
 */
export function asGateError(thrown: unknown, doing: string): GateError {
  if (thrown instanceof GateError) return thrown;
  if (thrown instanceof Error) {
    const errno = 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : undefined;
    // Node's own aborts have the code, those of a signal only the name.
    if (errno === 'ABORT_ERR' || thrown.name === 'AbortError') {
      return new GateError('cancelled', 'cancelled', `${doing}: cancelled`, { cause: thrown });
    }
    if (errno === 'EACCES' || errno === 'EPERM') {
      return new GateError('permission', 'system.permission', `${doing}: ${thrown.message}`, { cause: thrown });
    }
    if (errno === 'ENOSPC' || errno === 'EDQUOT') {
      const message = `${doing}: ${thrown.message}; make room on that disk, then try again`;
      return new GateError('local-io', 'system.no-room', message, { facts: { errno }, cause: thrown });
    }
    if (errno !== undefined && /^E[A-Z0-9]+$/.test(errno)) {
      return new GateError('local-io', 'system.io', `${doing}: ${thrown.message}`, { facts: { errno }, cause: thrown });
    }
  }
  // Only texts and errors are quoted: making a text of anything else can throw, or show too much.
  const text =
    thrown instanceof Error ? thrown.message : typeof thrown === 'string' ? thrown : `a thrown ${typeof thrown}`;
  return new GateError('bug', 'bug', `${doing}: ${text}`, { cause: thrown });
}

/** The error that made `signal` abort: its reason where that is ours, otherwise `cancelled`. */
export function abortError(signal: AbortSignal, doing: string): GateError {
  return signal.reason instanceof GateError
    ? signal.reason
    : new GateError('cancelled', 'cancelled', `${doing}: cancelled`, { cause: signal.reason });
}

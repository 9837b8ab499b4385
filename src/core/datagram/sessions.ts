/**
 * The sessions that carry datagrams, one for each identity that wants any. Each has a destination of its own, also where
 * the identity is the gateway's, and ends some time after its last user.
 */
import type { Clock } from '../../kit/clock.ts';
import { GateError } from '../../kit/errors.ts';
import type { Logger } from '../../kit/log.ts';
import type { Service } from '../../kit/service.ts';
import { createTurnstile } from '../../kit/turnstile.ts';
import type { SessionOptions } from '../../wire/sam/command.ts';
import type { DatagramBridgePort } from '../ports.ts';
import { type IsolatedKey, keyText, type SessionKey } from '../session/key.ts';
import type { SessionManagerOptions } from '../session/manager.ts';
import { type AtLimit, createSessionPool, type PoolLease, type PoolSnapshot } from '../session/pool.ts';
import { DatagramSession } from './session.ts';

export interface DatagramSessions extends Service {
  /** @throws GateError `limit` when no further session may be opened */
  lease(key: SessionKey): PoolLease<DatagramSession>;
  list(): readonly DatagramSession[];
  snapshot(): PoolSnapshot;
}

/** The tunnels of all identities are those of their streams. */
export interface DatagramSessionsOptions
  extends Pick<SessionManagerOptions, 'options' | 'named' | 'tunnels' | 'credentials'> {
  /** Sessions at one time. */
  readonly most: number;
  readonly atLimit: AtLimit;
  /** A session that nobody uses is closed after this long. Milliseconds. */
  readonly idleMs: number;
}

export interface DatagramSessionsEnvironment {
  readonly bridge: DatagramBridgePort;
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: () => number;
}

/** As for streams: more at once make each slower. */
const BUILDS_AT_ONCE = 3;

export function createDatagramSessions(
  options: DatagramSessionsOptions,
  environment: DatagramSessionsEnvironment,
): DatagramSessions {
  const { atLimit, credentials, idleMs, most } = options;
  const takeTurn = createTurnstile(BUILDS_AT_ONCE);
  const tunnels = tunnelsByLabel(options);
  const pool = createSessionPool(
    { most, atLimit, idleMs, ahead: new Map(), setting: 'limits.datagram_sessions' },
    environment.clock,
    (label) => {
      const own = tunnels.get(label);
      if (own === undefined) throw new GateError('bug', 'bug', 'no tunnels have this name');
      return new DatagramSession({ keys: 'transient', options: own, credentials }, { ...environment, takeTurn });
    },
  );
  return {
    start: async () => pool.start(),
    stop: () => pool.stop(),
    lease: (key) => pool.lease({ kind: 'isolated', token: keyText(key), tunnels: labelOf(key) }),
    list: () => pool.list().keyed,
    snapshot: () => pool.snapshot(),
  };
}

/** By what the pool tells apart whose tunnels a session has; undefined for those of all who have none of their own. */
type TunnelsLabel = IsolatedKey['tunnels'];

function tunnelsByLabel({
  options,
  named,
  tunnels,
}: DatagramSessionsOptions): ReadonlyMap<TunnelsLabel, SessionOptions> {
  return new Map<TunnelsLabel, SessionOptions>([
    [undefined, options],
    ...[...named].map(([name, identity]) => [labelOf({ kind: 'named', name }), identity.options] as const),
    ...[...tunnels].map(([name, own]) => [labelOf({ kind: 'isolated', token: '', tunnels: name }), own] as const),
  ]);
}

function labelOf(key: SessionKey): TunnelsLabel {
  switch (key.kind) {
    case 'gateway':
      return undefined;
    case 'named':
      return `identity ${key.name}`;
    case 'isolated':
      return key.tunnels === undefined ? undefined : `isolated ${key.tunnels}`;
    default:
      return key satisfies never;
  }
}

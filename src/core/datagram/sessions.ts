/**
 * The sessions that carry datagrams, one for each identity that wants any. Each has a destination of its own, also where
 * the identity is the gateway's, and ends some time after its last user.
 */
import type { Clock } from '../../kit/clock.ts';
import type { Logger } from '../../kit/log.ts';
import type { Service } from '../../kit/service.ts';
import { turnstile } from '../../kit/turnstile.ts';
import type { SamCredentials, SessionOptions } from '../../wire/sam/command.ts';
import type { DatagramBridgePort } from '../ports.ts';
import type { IsolatedKey, SessionKey } from '../session/key.ts';
import { type PoolLease, sessionPool } from '../session/pool.ts';
import { DatagramSession } from './session.ts';

export interface DatagramSessions extends Service {
  /** @throws GateError `limit` when no further session may be opened */
  lease(key: SessionKey): PoolLease<DatagramSession>;
  list(): readonly DatagramSession[];
}

export interface DatagramSessionsOptions {
  /** The tunnels of one of the config's identities; of the gateway, where undefined. */
  readonly optionsFor: (tunnels: IsolatedKey['tunnels']) => SessionOptions;
  readonly credentials: SamCredentials | undefined;
  /** Sessions at one time. */
  readonly most: number;
  /** A session that nobody uses is closed after this long. Milliseconds. */
  readonly idleMs: number;
}

export interface DatagramSessionsWorld {
  readonly bridge: DatagramBridgePort;
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: () => number;
}

/** As for streams: more at once make each slower. */
const BUILDS_AT_ONCE = 3;

export function datagramSessions(options: DatagramSessionsOptions, world: DatagramSessionsWorld): DatagramSessions {
  const { credentials, idleMs, most, optionsFor } = options;
  const takeTurn = turnstile(BUILDS_AT_ONCE);
  const pool = sessionPool(
    { most, atLimit: 'retire-idle', idleMs, ahead: new Map(), setting: 'limits.datagram_sessions' },
    world.clock,
    (tunnels) =>
      new DatagramSession({ keys: 'transient', options: optionsFor(tunnels), credentials }, { ...world, takeTurn }),
  );
  return {
    name: 'datagrams',
    start: async () => pool.start(),
    stop: () => pool.stop(),
    lease: (key) => pool.lease({ kind: 'isolated', token: JSON.stringify(key), tunnels: tunnelsOf(key) }),
    list: () => pool.list().keyed,
  };
}

function tunnelsOf(key: SessionKey): IsolatedKey['tunnels'] {
  switch (key.kind) {
    case 'gateway':
      return undefined;
    case 'named':
      return key.name;
    case 'isolated':
      return key.tunnels;
    default:
      return key satisfies never;
  }
}

/**
 * Owns every SAM session of the process, by key. Whoever needs an identity leases its session; equal keys share one. The
 * gateway's own and the named ones live as long as the manager, the isolated ones and the echo's as their pools decide.
 */
import type { Clock } from '../../kit/clock.ts';
import { GateError } from '../../kit/errors.ts';
import type { Logger } from '../../kit/log.ts';
import type { Service } from '../../kit/service.ts';
import { createTurnstile, type Turnstile } from '../../kit/turnstile.ts';
import type { B32, PrivateKeys } from '../../wire/i2p/destination.ts';
import type { SamCredentials, SessionOptions } from '../../wire/sam/command.ts';
import type { BridgePort } from '../ports.ts';
import type { IsolatedKey, StreamKey } from './key.ts';
import { createSessionPool, type PoolLease, type PoolOptions, type PoolSnapshot } from './pool.ts';
import { Session } from './session.ts';

export type Lease = PoolLease<Session>;

/** `spare` is an isolated one that nobody has asked for yet. */
export type ListedSession =
  | { readonly kind: 'gateway' | 'isolated' | 'spare' | 'own-echo'; readonly session: Session }
  | { readonly kind: 'named'; readonly name: string; readonly session: Session };

export interface SessionManager extends Service {
  /** @throws GateError `limit` when no further isolated session may be opened */
  lease(key: StreamKey): Lease;
  /** The gateway's own first. */
  list(): readonly ListedSession[];
  isolated(): PoolSnapshot;
  /** The destination of the echo's session; undefined while it does not stand. */
  ownEcho(): B32 | undefined;
}

/** An identity that the config gives a name. */
export interface NamedIdentity {
  readonly keys: PrivateKeys | 'transient';
  readonly options: SessionOptions;
}

export interface SessionManagerOptions {
  readonly gatewayKeys: PrivateKeys;
  /** Until when, by the clock, the router may hold the gateway's keys and the named ones for an earlier process. */
  readonly keysHeldUntil?: number | undefined;
  /** The tunnels of every session that has none of its own. */
  readonly options: SessionOptions;
  readonly credentials: SamCredentials | undefined;
  readonly named: ReadonlyMap<string, NamedIdentity>;
  readonly isolated: Omit<PoolOptions, 'setting'>;
  /** What `IsolatedKey.tunnels` stands for. */
  readonly tunnels: ReadonlyMap<string, SessionOptions>;
}

export interface SessionManagerEnvironment {
  readonly bridge: BridgePort;
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: () => number;
}

/** Tunnel building is work for the router; more at once makes each slower. */
const BUILDS_AT_ONCE = 3;
/** How long the echo's session outlives its last stream: whoever pings again finds it standing. */
const OWN_ECHO_IDLE_MS = 60_000;

export function createSessionManager(
  options: SessionManagerOptions,
  environment: SessionManagerEnvironment,
): SessionManager {
  const { credentials, keysHeldUntil } = options;
  const turns = createTurnstile(BUILDS_AT_ONCE);
  const newSession = ({ keys, options: tunnels }: NamedIdentity, takeTurn: Turnstile) =>
    new Session({ keys, keysHeldUntil, options: tunnels, credentials }, { ...environment, takeTurn });
  const transient = (tunnels: IsolatedKey['tunnels']) => {
    const own = tunnels === undefined ? options.options : options.tunnels.get(tunnels);
    if (own === undefined) throw new GateError('bug', 'bug', 'no tunnels have this name');
    return newSession({ keys: 'transient', options: own }, turns);
  };

  // The gateway's own session waits for nobody: the VPN hangs on it.
  const gateway = newSession({ keys: options.gatewayKeys, options: options.options }, (build) => build());
  const gatewayLease = forGood(gateway);
  const named = new Map([...options.named].map(([name, identity]) => [name, forGood(newSession(identity, turns))]));
  const pool = createSessionPool(
    { ...options.isolated, setting: 'limits.isolated_sessions' },
    environment.clock,
    transient,
  );
  const echoes = createSessionPool<Session>(
    { most: 1, atLimit: 'refuse', setting: 'the echo', idleMs: OWN_ECHO_IDLE_MS, ahead: new Map() },
    environment.clock,
    transient,
  );
  let stopped = false;

  return {
    start: async () => {
      gateway.open();
      for (const { session } of named.values()) session.open();
      pool.start();
    },
    stop: async () => {
      stopped = true;
      await Promise.all([
        gateway.close(),
        ...[...named.values()].map(({ session }) => session.close()),
        pool.stop(),
        echoes.stop(),
      ]);
    },
    lease: (key) => {
      if (stopped) throw new GateError('shutdown', 'shutdown', 'the gateway is stopping');
      switch (key.kind) {
        case 'gateway':
          return gatewayLease;
        case 'named': {
          const lease = named.get(key.name);
          if (lease === undefined) throw new GateError('bug', 'bug', 'no identity has this name');
          return lease;
        }
        case 'isolated':
          return pool.lease(key);
        case 'own-echo':
          return echoes.lease({ kind: 'isolated', token: key.kind });
        default:
          return key satisfies never;
      }
    },
    list: () => {
      const { keyed, spare } = pool.list();
      return [
        { kind: 'gateway', session: gateway },
        ...[...named].map(([name, { session }]) => ({ kind: 'named', name, session }) as const),
        ...keyed.map((session) => ({ kind: 'isolated', session }) as const),
        ...spare.map((session) => ({ kind: 'spare', session }) as const),
        ...echoes.list().keyed.map((session) => ({ kind: 'own-echo', session }) as const),
      ];
    },
    isolated: () => pool.snapshot(),
    ownEcho: () => {
      const state = echoes.list().keyed[0]?.state;
      return state?.kind === 'ready' ? state.session.me.b32 : undefined;
    },
  };
}

/** Nobody counts these: the session lives as long as its manager. */
function forGood(session: Session): Lease {
  return { session, release: () => {} };
}

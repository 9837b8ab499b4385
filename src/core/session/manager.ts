/**
 * Owns every SAM session of the process, by key. Whoever needs an identity leases its session; equal keys share one, and
 * an isolated one ends some time after its last lease. The gateway's own session lives as long as the manager.
 */
import type { Clock, Timer } from '../../kit/clock.ts';
import { GateError } from '../../kit/errors.ts';
import type { Logger } from '../../kit/log.ts';
import type { Sensitive } from '../../kit/sensitive.ts';
import type { Service } from '../../kit/service.ts';
import { type Turnstile, turnstile } from '../../kit/turnstile.ts';
import type { SamCredentials, SessionOptions } from '../../wire/sam/command.ts';
import type { BridgePort } from '../ports.ts';
import { GATEWAY, type SessionKey } from './key.ts';
import { Session } from './session.ts';

export interface Lease {
  readonly session: Session;
  /** Idempotent, and good without its lease. */
  readonly release: () => void;
}

export interface SessionManager extends Service {
  /** @throws GateError `limit` when no further isolated session may be opened */
  lease(key: SessionKey): Lease;
  list(): readonly Session[];
}

export interface SessionManagerOptions {
  readonly gatewayKeys: Sensitive<string>;
  readonly options: SessionOptions;
  readonly credentials: SamCredentials | undefined;
  /** Sessions with a transient destination at one time. */
  readonly maxIsolated: number;
  /** An isolated session without a lease is closed after this long; its destination is gone then. */
  readonly isolatedIdleMs: number;
}

export interface SessionManagerWorld {
  readonly bridge: BridgePort;
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: () => number;
}

/** Tunnel building is work for the router; more at once makes each slower. */
const BUILDS_AT_ONCE = 3;

interface Held {
  readonly session: Session;
  leases: number;
  idle: Timer | undefined;
}

export function sessionManager(options: SessionManagerOptions, world: SessionManagerWorld): SessionManager {
  const isolated = new Map<string, Held>();
  const turns = turnstile(BUILDS_AT_ONCE);
  const newSession = (key: SessionKey, keys: Sensitive<string> | 'transient', takeTurn: Turnstile) =>
    new Session(key, { keys, options: options.options, credentials: options.credentials }, { ...world, takeTurn });
  // The gateway's own session waits for nobody: the VPN hangs on it.
  const gateway = newSession(GATEWAY, options.gatewayKeys, (build) => build());
  /** Nobody counts these: it lives as long as we do. */
  const gatewayLease: Lease = { session: gateway, release: () => {} };
  let stopped = false;

  const heldFor = (token: string): Held => {
    const known = isolated.get(token);
    if (known !== undefined) return known;
    if (isolated.size >= options.maxIsolated) {
      const spare = [...isolated].find(([, held]) => held.leases === 0);
      if (spare === undefined) {
        throw new GateError(
          'limit',
          'session.limit',
          `all ${options.maxIsolated} isolated sessions are in use; raise limits.isolated_sessions or close some connections`,
        );
      }
      retire(spare[0]);
    }
    const held: Held = {
      session: newSession({ kind: 'isolated', token }, 'transient', turns),
      leases: 0,
      idle: undefined,
    };
    isolated.set(token, held);
    return held;
  };

  const retire = (token: string) => {
    const held = isolated.get(token);
    if (held === undefined) return;
    isolated.delete(token);
    held.idle?.cancel();
    void held.session.close();
  };

  return {
    name: 'sessions',
    start: async () => gateway.open(),
    stop: async () => {
      stopped = true;
      const sessions = [gateway, ...[...isolated.values()].map((held) => held.session)];
      for (const held of isolated.values()) held.idle?.cancel();
      isolated.clear();
      await Promise.all(sessions.map((session) => session.close()));
    },
    lease: (key) => {
      if (stopped) throw new GateError('shutdown', 'shutdown', 'the gateway is stopping');
      if (key.kind === 'gateway') return gatewayLease;
      if (key.kind === 'named') throw new GateError('bug', 'bug', 'no identity has this name');
      const { token } = key;
      const held = heldFor(token);
      held.leases += 1;
      held.idle?.cancel();
      held.idle = undefined;
      let released = false;
      return {
        session: held.session,
        release: () => {
          if (released) return;
          released = true;
          held.leases -= 1;
          if (held.leases === 0 && isolated.get(token) === held) {
            held.idle = world.clock.after(options.isolatedIdleMs, () => retire(token));
          }
        },
      };
    },
    list: () => [gateway, ...[...isolated.values()].map((held) => held.session)],
  };
}

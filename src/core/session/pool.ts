/**
 * Transient sessions by isolation key: equal keys have one, different keys never share. Bounded in number; one that nobody
 * holds ends after a while; some may be built ahead of need, each for the next key that comes.
 */
import type { Clock, Timer } from '../../kit/clock.ts';
import { counted } from '../../kit/counted.ts';
import { GateError } from '../../kit/errors.ts';
import { createTally } from '../../kit/tally.ts';
import { type IsolatedKey, keyText } from './key.ts';

/**
 * What becomes of a new key when there are as many sessions as there may be; neither lets two keys share.
 *
 * * `retire-idle`: the session that has been idle longest ends, or else a spare one; where all are in use, the key is refused.
 * * `refuse`: everybody keeps the destination that they have until it has been idle for long enough.
 */
export type AtLimit = 'retire-idle' | 'refuse';

export interface PoolOptions {
  /** Sessions at one time: in use, idle and spare ones together. */
  readonly most: number;
  readonly atLimit: AtLimit;
  /** The setting that `most` comes from, for people. */
  readonly setting: string;
  /** A session without a lease is closed after this long, and its destination is gone. Milliseconds. */
  readonly idleMs: number;
  /** Spare sessions to keep ready, by whose tunnels they have. */
  readonly ahead: ReadonlyMap<IsolatedKey['tunnels'], number>;
}

export const POOL_COUNTERS = [
  /** Keys that came for the first time, or again after their session had ended, and got a session. */
  'opened',
  /** Of these, the ones that found a session built ahead. */
  'openedAhead',
  'retiredIdle',
  /** Ended before its time, since a new key needed its place. */
  'retiredForRoom',
  /** Keys that got no session. */
  'refusedAtLimit',
] as const;

export interface PoolSnapshot {
  readonly most: number;
  readonly atLimit: AtLimit;
  readonly inUse: number;
  readonly idle: number;
  readonly spare: number;
  readonly counts: Readonly<Record<(typeof POOL_COUNTERS)[number], number>>;
}

/** What the pool has to know of a session. */
export interface PoolableSession {
  readonly state: { readonly kind: string };
  open(): void;
  close(): Promise<void>;
}

export interface PoolLease<Session> {
  readonly session: Session;
  /** Idempotent, and good without its lease. */
  readonly release: () => void;
}

export interface SessionPool<Session> {
  /** Builds what is asked for ahead of need. */
  start(): void;
  /** Ends every session. */
  stop(): Promise<void>;
  /** @throws GateError `limit` when no further session may be opened, `shutdown` after the stop */
  lease(key: IsolatedKey): PoolLease<Session>;
  /** Those with a key, and those that wait for one. */
  list(): { readonly keyed: readonly Session[]; readonly spare: readonly Session[] };
  snapshot(): PoolSnapshot;
}

interface Held<Session> {
  readonly session: Session;
  leases: number;
  idle: Timer | undefined;
}

/** @param build makes a session that is not open yet, with the tunnels of `key` */
export function createSessionPool<Session extends PoolableSession>(
  options: PoolOptions,
  clock: Clock,
  build: (tunnels: IsolatedKey['tunnels']) => Session,
): SessionPool<Session> {
  /** By key. Those without a lease stand in the order in which they were given back. */
  const held = new Map<string, Held<Session>>();
  const spares = [...options.ahead].map(([tunnels, wanted]) => ({ tunnels, wanted, ready: new Set<Session>() }));
  /** Those that were given up, until they have ended. */
  const ending = new Set<Promise<void>>();
  const counts = createTally(POOL_COUNTERS);
  let running = true;

  const size = () => spares.reduce((sum, { ready }) => sum + ready.size, held.size);

  const buildAhead = () => {
    for (const { tunnels, wanted, ready } of spares) {
      while (running && ready.size < wanted && size() < options.most) {
        const session = build(tunnels);
        ready.add(session);
        session.open();
      }
    }
  };

  /** One that is up before one that is still being built. */
  const takeSpare = (tunnels: IsolatedKey['tunnels']): Session | undefined => {
    const ready = spares.find((one) => one.tunnels === tunnels)?.ready ?? new Set();
    const all = [...ready];
    const session = all.find(({ state }) => state.kind === 'ready') ?? all[0];
    if (session !== undefined) ready.delete(session);
    return session;
  };

  const end = (session: Session) => {
    const ended = session.close().finally(() => ending.delete(ended));
    ending.add(ended);
  };

  const retire = (key: string, { session, idle }: Held<Session>) => {
    held.delete(key);
    idle?.cancel();
    end(session);
  };

  /** @returns whether there is room for one more */
  const makeRoom = (): boolean => {
    if (size() < options.most) return true;
    if (options.atLimit === 'refuse') return false;
    const unused = [...held].find(([, { leases }]) => leases === 0);
    if (unused !== undefined) {
      retire(...unused);
    } else {
      const other = spares.find(({ ready }) => ready.size > 0);
      const spare = other && takeSpare(other.tunnels);
      if (spare === undefined) return false;
      end(spare);
    }
    counts.add('retiredForRoom');
    return true;
  };

  const newFor = (tunnels: IsolatedKey['tunnels']): Session => {
    const spare = takeSpare(tunnels);
    if (spare === undefined && !makeRoom()) {
      counts.add('refusedAtLimit');
      throw limitReached(options);
    }
    counts.add('opened');
    if (spare !== undefined) counts.add('openedAhead');
    return spare ?? build(tunnels);
  };

  const heldFor = (key: string, tunnels: IsolatedKey['tunnels']): Held<Session> => {
    const known = held.get(key);
    if (known !== undefined) return known;
    const fresh = { session: newFor(tunnels), leases: 0, idle: undefined };
    held.set(key, fresh);
    buildAhead();
    return fresh;
  };

  const giveBack = (key: string, one: Held<Session>) => {
    one.leases -= 1;
    if (one.leases > 0 || held.get(key) !== one) return;
    held.delete(key);
    held.set(key, one);
    one.idle = clock.after(options.idleMs, () => {
      counts.add('retiredIdle');
      retire(key, one);
      buildAhead();
    });
  };

  return {
    start: buildAhead,
    stop: async () => {
      running = false;
      const sessions = [...held.values()].map(({ session }) => session);
      for (const { idle } of held.values()) idle?.cancel();
      for (const { ready } of spares) {
        sessions.push(...ready);
        ready.clear();
      }
      held.clear();
      for (const session of sessions) end(session);
      await Promise.all(ending);
    },
    lease: (wanted) => {
      if (!running) throw new GateError('shutdown', 'shutdown', 'the gateway is stopping');
      const key = keyText(wanted);
      const one = heldFor(key, wanted.tunnels);
      one.leases += 1;
      one.idle?.cancel();
      one.idle = undefined;
      let released = false;
      return {
        session: one.session,
        release: () => {
          if (released) return;
          released = true;
          giveBack(key, one);
        },
      };
    },
    list: () => ({
      keyed: [...held.values()].map(({ session }) => session),
      spare: spares.flatMap(({ ready }) => [...ready]),
    }),
    snapshot: () => {
      const inUse = [...held.values()].filter(({ leases }) => leases > 0).length;
      return {
        most: options.most,
        atLimit: options.atLimit,
        inUse,
        idle: held.size - inUse,
        spare: size() - held.size,
        counts: counts.snapshot(),
      };
    },
  };
}

function limitReached({ most, atLimit, setting }: PoolOptions): GateError {
  const remedy =
    atLimit === 'refuse'
      ? `raise ${setting}, or let idle ones make room with limits.isolated_at_limit`
      : `all are in use: raise ${setting} or close some connections`;
  return new GateError('limit', 'session.limit', `the limit of ${counted(most, 'session')} is reached; ${remedy}`);
}

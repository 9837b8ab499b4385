/** Isolated sessions: who shares one, how many there may be, and what is built ahead of need. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { IsolatedKey } from '../../../../src/core/session/key.ts';
import { createSessionPool, type PoolLease, type PoolOptions } from '../../../../src/core/session/pool.ts';
import { GateError } from '../../../../src/kit/errors.ts';
import { FakeClock } from '../../../helpers/fake-clock.ts';

const IDLE_MS = 600_000;

interface FakeSession {
  readonly number: number;
  readonly tunnels: IsolatedKey['tunnels'];
  state: { kind: 'idle' | 'building' | 'ready' | 'closed' };
  open(): void;
  close(): Promise<void>;
}

function setting(options: Partial<PoolOptions> = {}) {
  const clock = new FakeClock();
  const built: FakeSession[] = [];
  const pool = createSessionPool<FakeSession>(
    {
      most: 2,
      atLimit: 'retire-idle',
      idleMs: IDLE_MS,
      ahead: new Map(),
      setting: 'limits.isolated_sessions',
      ...options,
    },
    clock,
    (tunnels) => {
      const session: FakeSession = {
        number: built.length,
        tunnels,
        state: { kind: 'idle' },
        open: () => {
          session.state = { kind: 'building' };
        },
        close: async () => {
          session.state = { kind: 'closed' };
        },
      };
      built.push(session);
      return session;
    },
  );
  return { clock, built, pool, alive: () => built.filter(({ state }) => state.kind !== 'closed') };
}

function key(token: string, tunnels?: string): IsolatedKey {
  return { kind: 'isolated', token, tunnels };
}

function refused(error: unknown): boolean {
  return error instanceof GateError && error.kind === 'limit' && error.code === 'session.limit';
}

test('the same key has the same session; other tunnels, or peers that it may reach as the gateway, another one', () => {
  const { pool } = setting({ most: 10 });
  const asGateway = { ...key('a'), mayReachPeers: true } as const;
  const [one, same, other, apart, linked] = [key('a'), key('a'), key('b'), key('a', 'fast'), asGateway].map((each) =>
    pool.lease(each),
  );
  assert.equal(one?.session, same?.session);
  assert.equal(new Set([one?.session, other?.session, apart?.session, linked?.session]).size, 4);
  assert.deepEqual([one?.session.tunnels, apart?.session.tunnels], [undefined, 'fast']);
});

test('retire-idle: the session that has been idle longest makes room; one in use never does', () => {
  const { pool, built } = setting({ most: 3 });
  const [a, b, c] = ['a', 'b', 'c'].map((token) => pool.lease(key(token)));
  assert.throws(() => pool.lease(key('d')), refused);
  b?.release();
  a?.release();
  pool.lease(key('d'));
  assert.deepEqual(
    [a, b, c].map((lease) => lease?.session.state.kind),
    ['idle', 'closed', 'idle'],
  );
  assert.equal(built.length, 4);
  const { counts, inUse, idle } = pool.snapshot();
  assert.deepEqual([inUse, idle, counts.refusedAtLimit, counts.retiredForRoom, counts.opened], [2, 1, 1, 1, 4]);
});

test('refuse: everybody keeps the destination that they have until it was idle for long enough', async () => {
  const { pool, clock } = setting({ most: 2, atLimit: 'refuse' });
  const [a] = [pool.lease(key('a')), pool.lease(key('b'))];
  a.release();
  assert.throws(() => pool.lease(key('c')), refused);
  assert.equal(pool.lease(key('a')).session, a.session);
  assert.deepEqual(pool.snapshot().counts.refusedAtLimit, 1);
  pool.lease(key('a')).release();
  await clock.advance(2 * IDLE_MS);
  assert.throws(() => pool.lease(key('c')), refused, 'a is leased still');
});

test('a session without a lease ends after the idle time, and not while it is wanted again', async () => {
  const { pool, clock } = setting();
  const one = pool.lease(key('a'));
  one.release();
  await clock.advance(IDLE_MS - 1);
  const again = pool.lease(key('a'));
  assert.equal(again.session, one.session);
  one.release();
  await clock.advance(2 * IDLE_MS);
  assert.equal(again.session.state.kind, 'idle', 'giving a lease back twice is giving it back once');
  again.release();
  await clock.advance(IDLE_MS);
  assert.equal(again.session.state.kind, 'closed');
  assert.notEqual(pool.lease(key('a')).session, one.session);
  assert.equal(pool.snapshot().counts.retiredIdle, 1);
});

test('spare sessions are built before anybody asks, given to the next new key, and replaced', () => {
  const { pool, built } = setting({
    most: 8,
    ahead: new Map([
      [undefined, 2],
      ['fast', 1],
    ]),
  });
  assert.equal(built.length, 0);
  pool.start();
  assert.deepEqual(
    built.map(({ state, tunnels }) => [state.kind, tunnels]),
    [
      ['building', undefined],
      ['building', undefined],
      ['building', 'fast'],
    ],
  );
  const [, second] = built;
  if (second !== undefined) second.state = { kind: 'ready' };
  assert.equal(pool.lease(key('a')).session.number, 1, 'one that is up is better than one that is being built');
  assert.equal(built.length, 4);
  assert.equal(pool.lease(key('a')).session.number, 1);
  assert.equal(pool.lease(key('a', 'fast')).session.tunnels, 'fast');
  assert.deepEqual(pool.snapshot().spare, 3);
  assert.deepEqual([pool.snapshot().counts.opened, pool.snapshot().counts.openedAhead], [2, 2]);
});

test('spare sessions count, and are given up before anybody is refused', async () => {
  const { pool, clock, alive } = setting({ most: 3, ahead: new Map([[undefined, 2]]) });
  pool.start();
  assert.equal(alive().length, 2);
  const leases = ['a', 'b', 'c'].map((token) => pool.lease(key(token, 'fast')));
  assert.equal(alive().length, 3);
  assert.equal(pool.snapshot().spare, 0);
  assert.throws(() => pool.lease(key('d')), refused);
  leases[0]?.release();
  await clock.advance(IDLE_MS);
  assert.equal(pool.snapshot().spare, 1, 'there is room for a spare one again');
  assert.equal(alive().length, 3);
});

test('after the stop nothing is left, and nothing is built', async () => {
  const { pool, clock, alive } = setting({ most: 4, ahead: new Map([[undefined, 2]]) });
  pool.start();
  const one = pool.lease(key('a'));
  pool.lease(key('b')).release();
  await pool.stop();
  one.release();
  assert.deepEqual([alive().length, clock.pending], [0, 0]);
});

type Move =
  | { readonly kind: 'lease'; readonly token: string; readonly tunnels: string | undefined }
  | { readonly kind: 'release'; readonly which: number }
  | { readonly kind: 'wait'; readonly ms: number };

const move: fc.Arbitrary<Move> = fc.oneof(
  fc.record({
    kind: fc.constant('lease'),
    token: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
    tunnels: fc.constantFrom(undefined, 'fast'),
  }),
  fc.record({ kind: fc.constant('release'), which: fc.nat({ max: 9 }) }),
  fc.record({ kind: fc.constant('wait'), ms: fc.constantFrom(1, IDLE_MS / 2, IDLE_MS) }),
);

test('after the stop nobody gets a session that nobody would end', async () => {
  const { built, clock, pool } = setting();
  pool.lease(key('a')).release();
  await pool.stop();
  for (const token of ['a', 'b']) assert.throws(() => pool.lease(key(token)), { kind: 'shutdown' });
  assert.deepEqual([built.length, clock.pending], [1, 0]);
});

test('a session that makes room at the last moment is waited for at the stop', async () => {
  const { built, pool } = setting({ most: 1 });
  pool.lease(key('a')).release();
  let close = () => {};
  const [first] = built;
  assert.ok(first);
  first.close = () =>
    new Promise((resolve) => {
      close = resolve;
    });
  pool.lease(key('b'));
  let stopped = false;
  const stopping = pool.stop().then(() => {
    stopped = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(stopped, false);
  close();
  await stopping;
});

test('property: whatever comes and goes, no two keys ever share, and there are never too many', async () => {
  const limits = fc.record({
    most: fc.integer({ min: 1, max: 4 }),
    atLimit: fc.constantFrom('retire-idle', 'refuse'),
    spare: fc.nat({ max: 3 }),
  });
  await fc.assert(
    fc.asyncProperty(limits, fc.array(move, { maxLength: 40 }), async ({ spare, ...limit }, moves) => {
      const { pool, clock, alive } = setting({ ...limit, ahead: new Map([[undefined, spare]]) });
      pool.start();
      /** Who has ever had a session: no other key may get it. */
      const owners = new Map<FakeSession, string>();
      const leases: Array<{ readonly name: string; readonly lease: PoolLease<FakeSession> }> = [];
      for (const one of moves) {
        if (one.kind === 'lease') {
          const name = JSON.stringify([one.token, one.tunnels]);
          const known = leases.find((each) => each.name === name);
          try {
            const lease = pool.lease(key(one.token, one.tunnels));
            assert.equal(owners.get(lease.session) ?? name, name);
            if (known !== undefined) assert.equal(lease.session, known.lease.session);
            assert.equal(lease.session.tunnels, one.tunnels);
            owners.set(lease.session, name);
            leases.push({ name, lease });
          } catch (error) {
            assert.ok(refused(error) && known === undefined);
          }
        } else if (one.kind === 'release') {
          for (const { lease } of leases.splice(one.which, 1)) lease.release();
        } else await clock.advance(one.ms);
        assert.ok(alive().length <= limit.most);
        for (const { lease } of leases) assert.notEqual(lease.session.state.kind, 'closed');
        const { inUse, idle, spare: left } = pool.snapshot();
        assert.equal(inUse + idle + left, alive().length);
      }
      await pool.stop();
      assert.deepEqual([alive().length, clock.pending], [0, 0]);
    }),
    { numRuns: 200 },
  );
});

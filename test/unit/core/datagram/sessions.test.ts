/** The sessions for datagrams as a whole: how many there may be, what becomes of one more, and how many are built at a time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createDatagramSessions } from '../../../../src/core/datagram/sessions.ts';
import type { AtLimit } from '../../../../src/core/session/pool.ts';
import { silentLogger } from '../../../../src/kit/log.ts';
import { FakeClock } from '../../../helpers/fake-clock.ts';
import { CREATED, ScriptedBridge } from '../session/scripted-bridge.ts';

function setting(most: number, atLimit: AtLimit) {
  const clock = new FakeClock();
  const bridge = new ScriptedBridge();
  const sessions = createDatagramSessions(
    { options: {}, named: new Map(), tunnels: new Map(), credentials: undefined, most, atLimit, idleMs: 60_000 },
    {
      bridge: { open: (signal) => bridge.open(signal), openDatagrams: async () => undefined },
      clock,
      log: silentLogger,
      random: () => 0.5,
    },
  );
  return { clock, bridge, sessions, lease: (token: string) => sessions.lease({ kind: 'isolated', token }) };
}

test('at the limit the place of an idle session is had, or none, as the operator wants it, and both are counted', async () => {
  for (const [atLimit, counted] of [
    ['retire-idle', { retiredForRoom: 1, refusedAtLimit: 1 }],
    ['refuse', { retiredForRoom: 0, refusedAtLimit: 2 }],
  ] as const) {
    const { sessions, lease } = setting(2, atLimit);
    const ann = lease('ann');
    lease('ben');
    assert.throws(() => lease('eve'), { kind: 'limit', code: 'session.limit' });
    ann.release();
    if (atLimit === 'refuse') assert.throws(() => lease('eve'), { kind: 'limit' });
    else assert.notEqual(lease('eve').session, ann.session);
    const { most, counts, ...rest } = sessions.snapshot();
    assert.deepEqual([most, rest.atLimit], [2, atLimit]);
    assert.deepEqual([counts.retiredForRoom, counts.refusedAtLimit], [counted.retiredForRoom, counted.refusedAtLimit]);
    await sessions.stop();
  }
});

test('three are built at a time, in order', async () => {
  const { clock, bridge, sessions, lease } = setting(10, 'retire-idle');
  bridge.rules.create = () => undefined;
  const gone = new AbortController();
  for (let token = 0; token < 6; token += 1) {
    lease(String(token))
      .session.attach(0, () => {})
      .ready(gone.signal)
      .catch(() => {});
  }
  await clock.settle();
  assert.equal(bridge.of('control').length, 3);
  const [first] = bridge.of('control');
  first?.end.write(`${CREATED}\n`);
  await clock.settle();
  assert.equal(bridge.of('control').length, 4);
  await sessions.stop();
  await clock.settle();
  assert.deepEqual([bridge.visits.length, clock.pending], [0, 0]);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { KEY_LINGERS_MS } from '../../../../src/core/session/key-hold.ts';
import type { SessionSettings, SessionState } from '../../../../src/core/session/life.ts';
import { Session } from '../../../../src/core/session/session.ts';
import { GateError } from '../../../../src/kit/errors.ts';
import { silentLogger } from '../../../../src/kit/log.ts';
import { parsePrivateKeys } from '../../../../src/wire/i2p/destination.ts';
import { FakeClock } from '../../../helpers/fake-clock.ts';
import { destination, privateKeys } from '../support.ts';
import { CREATED, created, type Rules, ScriptedBridge } from './scripted-bridge.ts';

const NEVER = new AbortController().signal;
const PING_EVERY_MS = 30_000;
const BUILD_DEADLINE_MS = 180_000;
const REBUILT = new GateError('session-lost', 'session.rebuilt', 'built anew');

const OF_A_FILE = parsePrivateKeys(privateKeys(1));

/** Transient keys unless told: nobody can hold those, so that the pauses show. */
function setting(
  prepare: (bridge: ScriptedBridge) => void = () => {},
  keys: Pick<SessionSettings, 'keys' | 'keysHeldUntil'> = { keys: 'transient' },
) {
  const clock = new FakeClock();
  const bridge = new ScriptedBridge();
  prepare(bridge);
  // As near to one as makes every pause whole, and different every time, since session names come of it too.
  let drawn = 0;
  const random = () => 1 - ++drawn * 1e-9;
  const session = new Session(
    { ...keys, options: { 'inbound.length': '1' }, credentials: undefined },
    { bridge, clock, log: silentLogger, random, takeTurn: (build) => build() },
  );
  const kinds: SessionState['kind'][] = [];
  session.onState((state) => kinds.push(state.kind));
  const lose = () => {
    for (const visit of bridge.of('control')) visit.end.destroy();
  };
  return { clock, bridge, session, kinds, lose };
}

/** Read anew: an assertion about the state earlier in the test must not be taken for what it is now. */
function stateOf(session: Session): SessionState {
  return session.state;
}

function rejectsWith(promise: Promise<unknown>, code: string): Promise<void> {
  return assert.rejects(promise, (error) => error instanceof GateError && error.code === code);
}

test('builds when somebody needs it, and gives everybody the same', async () => {
  const { bridge, session, kinds } = setting(undefined, { keys: OF_A_FILE });
  assert.equal(session.state.kind, 'idle');
  const [one, other] = await Promise.all([session.ready(NEVER), session.ready(NEVER)]);
  assert.equal(one, other);
  assert.equal(one.me.b32, destination(1).b32);
  assert.deepEqual(one.version, { major: 3, minor: 1 });
  assert.deepEqual(kinds, ['building', 'ready']);
  assert.equal(bridge.opened, 1);
  const [visit] = bridge.of('control');
  assert.match(
    visit?.lines[1] ?? '',
    /^SESSION CREATE STYLE=STREAM ID=garligate-\w+ DESTINATION=\S{500,} inbound.length=1$/,
  );
  await session.close();
  assert.equal(session.state.kind, 'closed');
});

test('a lost session is over for those who use it, and is built again after a pause', async () => {
  const { clock, bridge, session, kinds, lose } = setting();
  const first = await session.ready(NEVER);
  lose();
  await clock.settle();
  assert.equal(first.over.aborted, true);
  assert.deepEqual(kinds, ['building', 'ready', 'waiting']);
  await clock.advance(999);
  assert.equal(bridge.opened, 1);
  await clock.advance(2);
  const second = await session.ready(NEVER);
  assert.notEqual(second.id, first.id);
  assert.equal(second.over.aborted, false);
  assert.equal(bridge.of('control').length, 1);
  await session.close();
  assert.equal(clock.pending, 0);
});

test('a key is given to a router again only when it has let go of it', async () => {
  const { clock, bridge, session, lose } = setting(undefined, { keys: OF_A_FILE });
  await session.ready(NEVER);
  const creates = () => bridge.of('control').length;
  lose();
  // The control connection ends in both ways: by the router, and by us.
  for (const end of [lose, () => session.state.kind === 'ready' && session.state.session.gone(REBUILT)]) {
    await clock.advance(KEY_LINGERS_MS - 1);
    assert.equal(session.state.kind, 'building');
    assert.equal(creates(), 0);
    await clock.advance(2);
    await session.ready(NEVER);
    assert.equal(creates(), 1);
    end();
    await clock.settle();
  }
  await session.close();
  assert.equal(clock.pending, 0);
  assert.equal(bridge.visits.length, 0);
});

test('a router that is gone has let go of every key', async () => {
  const { clock, bridge, session, lose } = setting(undefined, { keys: OF_A_FILE });
  await session.ready(NEVER);
  bridge.rules.down = true;
  lose();
  await clock.advance(1_001);
  assert.equal(session.state.kind, 'waiting');
  bridge.rules.down = false;
  await clock.advance(2_000);
  assert.equal(session.state.kind, 'ready');
  await session.close();
});

/** How a bridge can leave open what it has made of a SESSION CREATE, and what it is called. */
const DOUBTFUL: ReadonlyArray<readonly [what: string, answer: Rules['create'], code: string]> = [
  ['says nothing', () => undefined, 'sam.session-late'],
  ['closes the connection', ({ end }) => void end.end(), 'sam.closed'],
  ['resets the connection', ({ end }) => void end.resetAndDestroy(), 'sam.broken'],
  ['sends a line without end', ({ end }) => void end.write(Buffer.alloc(1_000_000, 'A')), 'sam.line-too-long'],
  ['sends no destination', () => 'SESSION STATUS RESULT=OK', 'sam.destination-unreadable'],
  ['sends no result', () => 'SESSION STATUS', 'sam.session'],
  ['sends what is none', () => created('abc'), 'sam.destination-unreadable'],
  ['sends that of another key', () => created(privateKeys(2)), 'sam.foreign-destination'],
  ['answers something else', () => 'NAMING REPLY RESULT=OK NAME=a.i2p VALUE=b', 'sam.unexpected'],
];

for (const [what, answer, code] of DOUBTFUL) {
  test(`a router that ${what} may have begun a session, and holds the key too`, async () => {
    let asked = 0;
    const { clock, bridge, session } = setting(undefined, { keys: OF_A_FILE });
    const { create } = bridge.rules;
    bridge.rules.create = (visit, line) => {
      asked += 1;
      return asked === 1 ? answer(visit, line) : create(visit, line);
    };
    const refused = rejectsWith(session.ready(NEVER), code);
    await clock.settle();
    if (session.state.kind === 'building') await clock.advance(BUILD_DEADLINE_MS);
    await refused;
    assert.equal(bridge.visits.length, 0);
    await clock.advance(KEY_LINGERS_MS - 1);
    assert.deepEqual([stateOf(session).kind, asked], ['building', 1]);
    await clock.advance(2);
    assert.deepEqual([stateOf(session).kind, asked], ['ready', 2]);
    await session.close();
  });
}

test('a router that says no holds no key', async () => {
  let refusals = 1;
  const { clock, bridge, session } = setting(undefined, { keys: OF_A_FILE });
  bridge.rules.create = () => (refusals-- > 0 ? 'SESSION STATUS RESULT=I2P_ERROR' : CREATED);
  await rejectsWith(session.ready(NEVER), 'sam.session');
  await clock.advance(1_001);
  assert.equal(session.state.kind, 'ready');
  await session.close();
});

test('a key that an earlier process may have used just now waits as well, and whoever needs the session waits with it', async () => {
  const { clock, bridge, session } = setting(undefined, { keys: OF_A_FILE, keysHeldUntil: 4_000 });
  const ready = session.ready(NEVER);
  await clock.advance(3_999);
  assert.equal(bridge.of('control').length, 0);
  await clock.advance(2);
  await ready;
  await session.close();
});

test('the pauses double up to a minute, and start anew after a long life', async () => {
  const { clock, bridge, session, kinds, lose } = setting((one) => {
    one.rules.create = () => 'SESSION STATUS RESULT=I2P_ERROR';
  });
  session.open();
  const pauses: number[] = [];
  for (let attempt = 0; attempt < 9; attempt += 1) {
    await clock.settle();
    const { state } = session;
    assert.equal(state.kind, 'waiting');
    if (state.kind !== 'waiting') return;
    pauses.push(state.until - state.since);
    await clock.advance(state.until - state.since);
  }
  assert.deepEqual(
    pauses,
    [1, 2, 4, 8, 16, 32, 60, 60, 60].map((seconds) => seconds * 1_000),
  );
  bridge.rules.create = () => CREATED;
  await clock.advance(60_000);
  assert.equal(session.state.kind, 'ready');
  await clock.advance(25_000);
  const [control] = bridge.of('control');
  control?.end.on('data', () => control.end.write('PONG garligate\n'));
  await clock.advance(300_000);
  assert.equal(session.state.kind, 'ready');
  lose();
  await clock.settle();
  const after = stateOf(session);
  assert.ok(after.kind === 'waiting' && after.until - after.since === 1_000);
  assert.ok(kinds.length > 20);
  await session.close();
});

test('a router that is down is asked every few seconds, however long that lasts', async () => {
  const { clock, bridge, session } = setting((one) => {
    one.rules.down = true;
  });
  session.open();
  await clock.advance(300_000);
  bridge.rules.down = false;
  await clock.advance(5_000);
  assert.equal(session.state.kind, 'ready');
  await session.close();
});

test('without a router everybody hears so quickly, and may cut the pause short once a second', async () => {
  const { clock, bridge, session } = setting((one) => {
    one.rules.down = true;
  });
  await rejectsWith(session.ready(NEVER), 'router.test');
  assert.equal(bridge.opened, 1);
  // In the pause: at once, with the old reason.
  await rejectsWith(session.ready(NEVER), 'router.test');
  assert.equal(bridge.opened, 1);
  // The second attempt is due after 1 s; the pause after it lasts 2 s.
  await clock.advance(1_000);
  assert.equal(bridge.opened, 2);
  await clock.advance(999);
  await rejectsWith(session.ready(NEVER), 'router.test');
  assert.equal(bridge.opened, 2);
  await clock.advance(2);
  // Cut short, for all who ask at that moment.
  await Promise.all([1, 2, 3].map(() => rejectsWith(session.ready(NEVER), 'router.test')));
  assert.equal(bridge.opened, 3);
  bridge.rules.down = false;
  await clock.advance(1_001);
  const both = await Promise.all([session.ready(NEVER), session.ready(NEVER)]);
  assert.equal(both[0], both[1]);
  assert.equal(bridge.opened, 4);
  await session.close();
});

test('whoever can wait sits through the pauses without cutting them short', async () => {
  const { clock, bridge, session } = setting((one) => {
    one.rules.down = true;
  });
  const patient = session.readySomeTime(NEVER);
  await clock.advance(20_000);
  assert.equal(bridge.opened, 6);
  bridge.rules.down = false;
  await clock.advance(5_000);
  assert.equal((await patient).me.b32, destination(1).b32);
  await session.close();
});

test('a wrong key is for good', async () => {
  const { clock, bridge, session } = setting((one) => {
    one.rules.create = () => 'SESSION STATUS RESULT=INVALID_KEY';
  });
  await rejectsWith(session.ready(NEVER), 'sam.key-invalid');
  assert.equal(session.state.kind, 'failed');
  await clock.advance(3_600_000);
  await rejectsWith(session.ready(NEVER), 'sam.key-invalid');
  await rejectsWith(session.readySomeTime(NEVER), 'sam.key-invalid');
  assert.equal(bridge.opened, 1);
  assert.equal(bridge.visits.length, 0);
  await session.close();
  assert.equal(session.state.kind, 'closed');
  assert.equal(clock.pending, 0);
});

for (const [name, answer] of [
  ['the word of the specification', 'SESSION STATUS RESULT=DUPLICATED_DEST'],
  ['the text of Java I2P', 'SESSION STATUS RESULT=I2P_ERROR MESSAGE="x: duplicate destination"'],
] as const) {
  test(`a router that still holds the old session is given more time: ${name}`, async () => {
    let refusals = 5;
    const { clock, bridge, session } = setting((one) => {
      one.rules.create = () => (refusals-- > 0 ? answer : CREATED);
    });
    await rejectsWith(session.ready(NEVER), 'sam.duplicated-destination');
    await clock.advance(14_000);
    // Nobody may hurry this one.
    await rejectsWith(session.ready(NEVER), 'sam.duplicated-destination');
    assert.equal(bridge.opened, 1);
    await clock.advance(1_001);
    assert.equal(bridge.opened, 2);
    await clock.advance(30_000 + 60_000 + 120_000 + 120_000);
    assert.equal(session.state.kind, 'ready');
    await session.close();
  });
}

test('a router that never answers is given up after minutes, and nothing stays open', async () => {
  const { clock, bridge, session } = setting((one) => {
    one.rules.create = () => undefined;
  });
  const ready = rejectsWith(session.ready(NEVER), 'sam.session-late');
  await clock.advance(BUILD_DEADLINE_MS - 1_000);
  assert.equal(session.state.kind, 'building');
  await clock.advance(1_500);
  await ready;
  assert.equal(bridge.visits.length, 0);
  await session.close();
});

test('one that takes connections and does not even greet is given up sooner, having seen no key', async () => {
  const { clock, bridge, session } = setting((one) => {
    one.rules.hello = () => undefined;
  });
  const ready = rejectsWith(session.ready(NEVER), 'sam.silent');
  await clock.advance(19_000);
  assert.equal(session.state.kind, 'building');
  const [visit] = bridge.visits;
  await clock.advance(1_500);
  await ready;
  assert.deepEqual(
    visit?.lines.map((line) => line.split(' ')[0]),
    ['HELLO'],
  );
  assert.equal(bridge.visits.length, 0);
  await session.close();
});

test('a waiter may give up without ending the attempt', async () => {
  const { clock, bridge, session } = setting((one) => {
    one.rules.create = () => undefined;
  });
  const abort = new AbortController();
  const impatient = session.ready(abort.signal);
  const patient = session.ready(NEVER);
  await clock.settle();
  abort.abort(new GateError('cancelled', 'test.enough', 'enough'));
  await rejectsWith(impatient, 'test.enough');
  const [control] = bridge.of('control');
  control?.end.write(`${CREATED}\n`);
  await patient;
  await rejectsWith(session.ready(AbortSignal.abort(new GateError('cancelled', 'test.before', 'x'))), 'test.before');
  await session.close();
});

test('a PING that no line can answer ends this build of the session, and another follows', async () => {
  const { clock, bridge, session } = setting();
  await session.ready(NEVER);
  bridge.of('control')[0]?.end.write('PING a\rb\n');
  await clock.settle();
  const state = stateOf(session);
  assert.ok(state.kind === 'waiting' && state.why.kind === 'router-protocol', JSON.stringify(state));
  await clock.advance(20_000);
  assert.equal(session.state.kind, 'ready');
  await session.close();
});

test('answers PING, asks by itself, and takes silence for the end', async () => {
  const { clock, bridge, session } = setting((one) => {
    one.rules.version = '3.3';
  });
  await session.ready(NEVER);
  await clock.settle();
  const [control] = bridge.of('control');
  assert.ok(control !== undefined);
  control.end.write('PING 123 abc\nPING\n');
  await clock.settle();
  assert.deepEqual(control.lines.slice(2), ['PONG 123 abc', 'PONG']);
  await clock.advance(PING_EVERY_MS);
  assert.equal(control.lines.at(-1), 'PING garligate');
  control.end.write('PONG garligate\n');
  await clock.advance(PING_EVERY_MS);
  assert.equal(session.state.kind, 'ready');
  await clock.advance(PING_EVERY_MS);
  const state = stateOf(session);
  assert.ok(state.kind === 'waiting' && state.why.code === 'sam.silent');
  assert.equal(bridge.visits.length, 0);
  await session.close();
});

for (const [name, rule] of [
  ['of SAM 3.1', { version: '3.1' }],
  // i2pd 2.59: answers once and closes.
  ['that closes behind its answer', { version: '3.3', ping: (visit, text) => void visit.end.end(`PONG ${text}\n`) }],
  ['that says nothing to it', { version: '3.3', ping: () => undefined }],
] as const satisfies ReadonlyArray<readonly [string, Partial<ScriptedBridge['rules']>]>) {
  test(`sends no PING on the control connection of a bridge ${name}`, async () => {
    const { clock, bridge, session } = setting((one) => Object.assign(one.rules, rule));
    await session.ready(NEVER);
    await clock.advance(10 * PING_EVERY_MS);
    assert.equal(session.state.kind, 'ready');
    assert.equal(bridge.of('control')[0]?.lines.length, 2);
    assert.equal(bridge.of('ping').length, 0);
    await session.close();
  });
}

test('a session that the router no longer knows is built again, though its control connection stands', async () => {
  const { clock, bridge, session, kinds } = setting();
  await session.ready(NEVER);
  bridge.rules.connect = () => 'STREAM STATUS RESULT=INVALID_ID';
  await rejectsWith(session.connect('abc.b32.i2p', 80, NEVER), 'sam.session-unknown');
  await clock.advance(2_000);
  assert.deepEqual(kinds, ['building', 'ready', 'waiting', 'building', 'ready']);
  assert.equal(bridge.of('control').length, 1);
  await session.close();
});

for (const [name, end, code] of [
  ['closes', (visit) => visit.end.destroy(), 'sam.session-closed'],
  ['resets', (visit) => visit.end.resetAndDestroy(), 'sam.session-closed'],
  ['says so', (visit) => visit.end.write('SESSION STATUS RESULT=I2P_ERROR\n'), 'sam.session-ended'],
] as const satisfies ReadonlyArray<
  readonly [string, (visit: NonNullable<ReturnType<ScriptedBridge['of']>[number]>) => unknown, string]
>) {
  test(`a router that ${name} has lost the session`, async () => {
    const { clock, bridge, session } = setting();
    await session.ready(NEVER);
    const [control] = bridge.of('control');
    assert.ok(control !== undefined);
    end(control);
    await clock.settle();
    const { state } = session;
    assert.ok(state.kind === 'waiting');
    assert.deepEqual([state.why.kind, state.why.code], ['session-lost', code]);
    await session.close();
  });
}

test('opens streams on the session, with a port where the bridge knows ports', async () => {
  const { bridge, session } = setting((one) => {
    one.rules.version = '3.3';
  });
  const stream = await session.connect('abc.b32.i2p', 80, NEVER);
  const [visit] = bridge.of('connect');
  assert.match(
    visit?.lines[1] ?? '',
    /^STREAM CONNECT ID=garligate-\w+ DESTINATION=abc.b32.i2p SILENT=false TO_PORT=80$/,
  );
  stream.destroy();
  bridge.rules.connect = () => 'STREAM STATUS RESULT=CANT_REACH_PEER';
  await rejectsWith(session.connect('abc.b32.i2p', 80, NEVER), 'sam.peer-unreachable');
  bridge.rules.connect = (one) => void one.end.resetAndDestroy();
  await rejectsWith(session.connect('abc.b32.i2p', 80, NEVER), 'sam.broken');
  bridge.rules.connect = (one) => void one.end.destroy();
  await rejectsWith(session.connect('abc.b32.i2p', 80, NEVER), 'sam.closed');
  const abort = new AbortController();
  bridge.rules.connect = () => undefined;
  const given = rejectsWith(session.connect('abc.b32.i2p', 80, abort.signal), 'test.enough');
  await new Promise(setImmediate);
  abort.abort(new GateError('cancelled', 'test.enough', 'enough'));
  await given;
  await new Promise(setImmediate);
  assert.equal(bridge.of('connect').length, 0);
  await session.close();
});

test('can be closed in every phase, and leaves nothing behind', async () => {
  for (const phase of ['idle', 'building', 'ready', 'waiting', 'failed'] as const) {
    const { clock, bridge, session } = setting((one) => {
      if (phase === 'building') one.rules.create = () => undefined;
      if (phase === 'waiting') one.rules.create = () => 'SESSION STATUS RESULT=I2P_ERROR';
      if (phase === 'failed') one.rules.create = () => 'SESSION STATUS RESULT=INVALID_KEY';
    });
    const ready = phase === 'idle' ? undefined : session.ready(NEVER).catch((error: unknown) => error);
    await clock.settle();
    assert.equal(session.state.kind, phase);
    const patient = phase === 'waiting' ? rejectsWith(session.readySomeTime(NEVER), 'session.closed') : undefined;
    await Promise.all([session.close(), session.close()]);
    await clock.settle();
    assert.equal(session.state.kind, 'closed');
    assert.deepEqual([bridge.visits.length, clock.pending], [0, 0], phase);
    if (phase === 'building') assert.ok((await ready) instanceof GateError);
    await patient;
    await rejectsWith(session.ready(NEVER), 'session.closed');
    assert.equal(bridge.visits.length, 0);
  }
});

const EVENTS = ['ready', 'patient', 'lose', 'down', 'up', 'refuse', 'duplicate', 'time', 'long time'] as const;

test('no order of events makes two control connections, two pauses, or a waiter that is forgotten', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.constantFrom(...EVENTS), { maxLength: 30 }), async (events) => {
      const { clock, bridge, session, lose } = setting();
      let answer = CREATED;
      bridge.rules.create = () => answer;
      bridge.rules.version = '3.1';
      let waiting = 0;
      const wait = (promise: Promise<unknown>) => {
        waiting += 1;
        promise
          .catch(() => {})
          .finally(() => {
            waiting -= 1;
          });
      };
      for (const event of events) {
        switch (event) {
          case 'ready':
            wait(session.ready(NEVER));
            break;
          case 'patient':
            wait(session.readySomeTime(NEVER));
            break;
          case 'lose':
            lose();
            break;
          case 'down':
            bridge.rules.down = true;
            break;
          case 'up':
            bridge.rules.down = false;
            answer = CREATED;
            break;
          case 'refuse':
            answer = 'SESSION STATUS RESULT=I2P_ERROR';
            break;
          case 'duplicate':
            answer = 'SESSION STATUS RESULT=DUPLICATED_DEST';
            break;
          case 'time':
            await clock.advance(400);
            break;
          case 'long time':
            await clock.advance(70_000);
            break;
          default:
            event satisfies never;
        }
        await clock.settle();
        assert.ok(bridge.of('control').length <= 1);
        assert.ok(clock.pending <= 1, `${clock.pending} timers`);
        const { state } = session;
        if (state.kind === 'waiting') assert.equal(clock.pending, 1);
        if (state.kind === 'ready') assert.deepEqual([bridge.of('control').length, clock.pending, waiting], [1, 0, 0]);
      }
      bridge.rules.down = false;
      answer = CREATED;
      session.open();
      await clock.advance(200_000);
      assert.equal(session.state.kind, 'ready');
      assert.equal(waiting, 0);
      await session.close();
      await clock.settle();
      assert.deepEqual([bridge.visits.length, clock.pending], [0, 0]);
    }),
    { numRuns: 60 },
  );
});

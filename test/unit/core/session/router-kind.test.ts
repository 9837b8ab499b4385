/** Which router answers at a bridge: what it says tells, and a question that failed tells nothing and is asked again. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { askRouterKind } from '../../../../src/core/session/router-kind.ts';
import { type ErrorKind, GateError } from '../../../../src/kit/errors.ts';
import { silentLogger } from '../../../../src/kit/log.ts';
import { FakeClock } from '../../../helpers/fake-clock.ts';
import { ScriptedBridge, type Visit } from './scripted-bridge.ts';

const ANSWER_MS = 5_000;
const NEWER = { major: 3, minor: 3 };

/** Asks; what is told of it stands in `outcome` and `warned`. */
function asking({ version = NEWER, prepare = (_bridge: ScriptedBridge) => {} } = {}) {
  const clock = new FakeClock();
  const bridge = new ScriptedBridge();
  bridge.rules.version = `${version.major}.${version.minor}`;
  prepare(bridge);
  const warned: string[] = [];
  const over = new AbortController();
  const log = { ...silentLogger, warn: (text: string) => void warned.push(text) };
  const outcome: { kind?: Awaited<ReturnType<typeof askRouterKind>>; settled: boolean } = { settled: false };
  const asked = askRouterKind(version, undefined, { bridge, clock, log, random: () => 0.5 }, over.signal);
  void asked.then((kind) => {
    outcome.kind = kind;
    outcome.settled = true;
  });
  return { clock, bridge, over, warned, outcome };
}

/** Lets the first `count` connections fail, each with the next of `errors`. */
function failing(...errors: readonly GateError[]) {
  return (bridge: ScriptedBridge) => {
    const open = bridge.open.bind(bridge);
    const left = [...errors];
    bridge.open = (signal) => {
      const error = left.shift();
      return error === undefined ? open(signal) : Promise.reject(error);
    };
  };
}

const failure = (kind: ErrorKind) => new GateError(kind, 'test.failed', 'no');

for (const [what, ping, kind] of [
  ['answers PING and stays', (_visit: Visit, text: string) => `PONG ${text}`, 'java'],
  ['answers once and closes', (visit: Visit, text: string) => void visit.end.end(`PONG ${text}\n`), 'i2pd'],
  ['closes', (visit: Visit) => void visit.end.end(), 'i2pd'],
  ['resets', (visit: Visit) => void visit.end.resetAndDestroy(), 'i2pd'],
  ['says something else', () => 'I2P_ERROR', 'i2pd'],
] as const) {
  test(`a router that ${what} is ${kind}, and nothing stays open`, async () => {
    const { clock, bridge, warned, outcome } = asking({
      prepare: (one) => {
        one.rules.ping = ping;
      },
    });
    await clock.settle();
    assert.deepEqual([outcome, warned], [{ kind, settled: true }, []]);
    await clock.settle();
    assert.deepEqual([bridge.visits.length, clock.pending], [0, 0]);
  });
}

test('before SAM 3.2 there is no PING, and nobody is asked', async () => {
  const { clock, bridge, outcome } = asking({ version: { major: 3, minor: 1 } });
  await clock.settle();
  assert.deepEqual([outcome.kind, bridge.opened], ['i2pd', 0]);
});

for (const [what, prepare] of [
  ['our descriptors are used up', failing(failure('limit'), failure('limit'))],
  ['the connection is refused', failing(failure('router-down'))],
  [
    'a busy router is late once',
    (bridge: ScriptedBridge) => {
      bridge.rules.ping = () => {
        bridge.rules.ping = (_visit, text) => `PONG ${text}`;
        return undefined;
      };
    },
  ],
  [
    'the connection ends before it was greeted',
    (bridge: ScriptedBridge) => {
      const { hello } = bridge.rules;
      bridge.rules.hello = (visit) => {
        bridge.rules.hello = hello;
        visit.end.end();
        return undefined;
      };
    },
  ],
] as const) {
  test(`when ${what}, that is said, and Java I2P is still found out`, async () => {
    const { clock, warned, outcome } = asking({ prepare });
    await clock.settle();
    assert.equal(outcome.settled, false);
    await clock.advance(ANSWER_MS + 10_000);
    assert.deepEqual(outcome, { kind: 'java', settled: true });
    assert.equal(warned.length, 1);
    assert.match(warned[0] ?? '', /could not find out which router/);
  });
}

test('one that cannot be asked is asked less and less, for as long as the session lives', async () => {
  const { clock, bridge, over, outcome } = asking({
    prepare: (one) => {
      one.rules.down = true;
    },
  });
  await clock.advance(3_600_000);
  assert.equal(outcome.settled, false);
  assert.ok(bridge.opened > 60 && bridge.opened < 100, `asked ${bridge.opened} times`);
  over.abort();
  await clock.settle();
  assert.deepEqual([outcome, clock.pending], [{ kind: undefined, settled: true }, 0]);
});

test('one that greets and stays silent at PING, time and again, does not know it', async () => {
  const { clock, bridge, outcome } = asking({
    prepare: (one) => {
      one.rules.ping = () => undefined;
    },
  });
  await clock.advance(2 * ANSWER_MS);
  assert.equal(outcome.settled, false);
  await clock.advance(60_000);
  assert.deepEqual(outcome, { kind: 'i2pd', settled: true });
  assert.deepEqual([bridge.visits.length, clock.pending], [0, 0]);
});

test('a session that ends while it is asked leaves nothing behind', async () => {
  const { clock, bridge, over, warned, outcome } = asking({
    prepare: (one) => {
      one.rules.ping = () => undefined;
    },
  });
  await clock.settle();
  over.abort();
  await clock.settle();
  assert.deepEqual([outcome.settled, outcome.kind, warned], [true, undefined, []]);
  assert.deepEqual([bridge.visits.length, clock.pending], [0, 0]);
});

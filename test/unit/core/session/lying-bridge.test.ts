/**
 * A SAM bridge that stalls, breaks off, floods or lies, at each step of a session in turn: it is asked with pauses, nothing
 * piles up meanwhile, and once it behaves the session, a dial and an accept stand again.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createAcceptor } from '../../../../src/core/session/acceptor.ts';
import { Session } from '../../../../src/core/session/session.ts';
import { GateError } from '../../../../src/kit/errors.ts';
import { silentLogger } from '../../../../src/kit/log.ts';
import { parsePrivateKeys } from '../../../../src/wire/i2p/destination.ts';
import { FakeClock } from '../../../helpers/fake-clock.ts';
import { privateKeys } from '../support.ts';
import { CREATED, type Rules, ScriptedBridge, STREAM_OK, type Visit } from './scripted-bridge.ts';

const NEVER = new AbortController().signal;
const HELLO = 'HELLO REPLY RESULT=OK VERSION=3.1';
/** So that the longest deadline of a step, of 180 s, ends shortly after. */
const BAD_S = 170;
const DIAL_MS = 10_000;
/** A dial each second is ours; the session and one accept ask at most so often, in each second, beside it. */
const MOST_ASKED = 3 * BAD_S;
/** The longest pause, and a while to build. */
const RECOVERY_MS = 65_000;

/** What it does in place of the true answer. */
const FAULTS: Readonly<Record<string, (visit: Visit, truth: string) => void>> = {
  'says nothing': () => {},
  'says half a line and no more': ({ end }, truth) => void end.write(half(truth)),
  'says half a line and closes': ({ end }, truth) => void end.end(half(truth)),
  'resets in the middle of its answer': ({ end }, truth) => {
    end.write(half(truth));
    setImmediate(() => end.resetAndDestroy());
  },
  'sends a line of 10 MB': ({ end }) => void end.write(Buffer.alloc(10_000_000, 'A')),
  'sends garbage': ({ end }) => void end.write(Buffer.from(Array.from({ length: 600 }, (_, at) => (at * 7919) % 256))),
  'answers something else': ({ end }) => void end.write('NAMING REPLY RESULT=OK NAME=a.i2p VALUE=b\n'),
  'names a session that is not ours': ({ end }, truth) => void end.write(`${topic(truth)} RESULT=INVALID_ID\n`),
  'gives a result that nobody knows': ({ end }, truth) => void end.write(`${topic(truth)} RESULT=\u001bNEVER_HEARD\n`),
};

/** The rule of the step, and what is true there. */
const STEPS = {
  greeting: ['hello', HELLO],
  'SESSION CREATE': ['create', CREATED],
  'STREAM CONNECT': ['connect', STREAM_OK],
  'STREAM ACCEPT': ['accept', STREAM_OK],
} as const satisfies Readonly<Record<string, readonly [keyof Rules, string]>>;

function half(line: string): string {
  return line.slice(0, line.length / 2);
}

function topic(line: string): string {
  return line.split(' ', 2).join(' ');
}

for (const [step, [rule, truth]] of Object.entries(STEPS)) {
  for (const [what, misbehave] of Object.entries(FAULTS)) {
    test(`a bridge that ${what} at ${step} is got over`, async () => {
      const clock = new FakeClock();
      const bridge = new ScriptedBridge();
      let drawn = 0;
      const world = { bridge, clock, log: silentLogger, random: () => 1 - ++drawn * 1e-9 };
      const session = new Session(
        { keys: parsePrivateKeys(privateKeys(1)), options: {}, credentials: undefined },
        { ...world, takeTurn: (build) => build() },
      );
      const accepts = createAcceptor({
        ...world,
        session,
        credentials: undefined,
        slots: 1,
        take: () => assert.fail(),
      });
      let isBad = true;
      bridge.rules[rule] = (visit: Visit) => {
        if (!isBad) return truth;
        misbehave(visit, truth);
        return undefined;
      };
      await accepts.start(NEVER);
      let dials = 0;
      const dial = async (): Promise<boolean> => {
        dials += 1;
        const late = new AbortController();
        const timer = clock.after(DIAL_MS, () => late.abort(new GateError('cancelled', 'test.late', 'late')));
        try {
          (await session.connect('abc.b32.i2p', 80, late.signal)).destroy();
          return true;
        } catch (error) {
          assert.ok(error instanceof GateError);
          return false;
        } finally {
          dials -= 1;
          timer.cancel();
        }
      };
      for (let second = 0; second < BAD_S; second += 1) {
        void dial();
        await clock.advance(1_000);
        assert.ok(bridge.visits.length <= 2 + dials, 'nothing stays open beside the session, an accept and the dials');
      }
      assert.ok(bridge.opened <= MOST_ASKED, `asked ${bridge.opened} times in ${BAD_S} s`);
      isBad = false;
      await clock.advance(RECOVERY_MS);
      assert.equal(session.state.kind, 'ready');
      assert.equal(accepts.armed, 1);
      assert.equal(await dial(), true);
      await accepts.stop();
      await session.close();
      await clock.settle();
      assert.deepEqual([bridge.visits.length, clock.pending, dials], [0, 0, 0]);
    });
  }
}

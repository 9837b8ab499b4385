/**
 * Both sides of a link over a network that fails in every way of I2P: whatever has happened, soon after it stops both settle
 * on one stream, and packets get through both ways.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FakeClock } from '../../../helpers/fake-clock.ts';
import { Network, type Weather } from './packets.ts';

/** Silence is found out within 30 s; a new stream that stays silent, and the pause after it, may follow. */
const BLACK_HOLE_MS = 95_000;
/** Streams that are not used any more have been ended by then. */
const SETTLED_MS = 120_000;

const side = fc.constantFrom('left' as const, 'right' as const);
const event = fc.oneof(
  fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 40_000 }) }),
  fc.record({
    do: fc.constant('weather' as const),
    of: side,
    is: fc.constantFrom<Weather>('open', 'refuse', 'silent'),
  }),
  fc.record({ do: fc.constant('latency' as const), of: side, ms: fc.integer({ min: 1, max: 9_000 }) }),
  fc.record({ do: fc.constant('silence' as const) }),
  fc.record({ do: fc.constant('cut' as const) }),
  fc.record({ do: fc.constant('mend' as const) }),
  fc.record({ do: fc.constant('end' as const) }),
  fc.record({ do: fc.constant('restart' as const), of: side }),
  fc.record({ do: fc.constant('send' as const), of: side }),
);

test('after any faults both sides settle on one stream within bounded time, and nothing falls into a black hole', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(event, { maxLength: 25 }), fc.boolean(), async (events, swapped) => {
      const clock = new FakeClock();
      const network = new Network(clock, { left: 'always', right: 'always' }, swapped ? [2, 1] : [1, 2]);
      network.start();
      for (const act of events) {
        if (act.do === 'wait') await clock.advance(act.ms);
        else if (act.do === 'weather') network.weather[act.of] = act.is;
        else if (act.do === 'latency') network.latencyMs[act.of] = act.ms;
        else if (act.do === 'silence') for (const one of network.lines) one.silence();
        else if (act.do === 'cut') network.cut();
        else if (act.do === 'mend') network.mend();
        else if (act.do === 'end') for (const one of network.lines) one.end();
        else if (act.do === 'restart') network.restart(act.of);
        else network.send(act.of, 1);
      }
      network.weather = { left: 'open', right: 'open' };
      network.mend();
      const calmAt = clock.now();
      let throughAt: number | undefined;
      for (let tag = 1_000; clock.now() - calmAt < SETTLED_MS; tag += 1) {
        network.send('left', tag);
        network.send('right', tag);
        await clock.advance(1_000);
        const isThrough = network.tags('left').includes(tag) && network.tags('right').includes(tag);
        if (!isThrough) throughAt = undefined;
        else throughAt ??= clock.now() - calmAt;
      }
      assert.ok(throughAt !== undefined && throughAt <= BLACK_HOLE_MS, `both ways after ${throughAt} ms`);
      const states = [network.nodes.left, network.nodes.right].map(({ link }) => link.report().state);
      const directions = states.map((state) => (state.kind === 'up' ? state.direction : state.kind));
      assert.deepEqual(directions.sort(), ['in', 'out']);
      await network.stop();
      await clock.settle();
      assert.equal(clock.pending, 0);
    }),
    { numRuns: 40, interruptAfterTimeLimit: 25_000 },
  );
});

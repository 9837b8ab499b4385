/** The words by which the lab is told how slow its line is, and what they make of each cable. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { cableShape, describeLine, type LineWords, parseLine } from '../scripts/lab/line-shape.ts';

describe('the line of the lab', () => {
  const good: readonly [LineWords, string][] = [
    [{ rtt: '800ms', rate: '100kB/s', loss: '1%' }, 'round trip 800 ms, 100.0 kB/s, 1.00 % lost (seed 1)'],
    [{ rtt: '1.5s' }, 'round trip 1500 ms, any rate, 0.00 % lost (seed 1)'],
    [{ rate: '2.5MB/s' }, 'round trip 0 ms, 2.50 MB/s, 0.00 % lost (seed 1)'],
    [{ rate: '5000B/s' }, 'round trip 0 ms, 5.0 kB/s, 0.00 % lost (seed 1)'],
    [{ loss: '50%', seed: '7' }, 'round trip 0 ms, any rate, 50.00 % lost (seed 7)'],
    [{ rtt: '3s', loss: '0%', seed: '0' }, 'round trip 3000 ms, any rate, 0.00 % lost (seed 0)'],
  ];
  for (const [words, description] of good) {
    test(JSON.stringify(words), () => {
      const line = parseLine(words);
      assert.equal(line && describeLine(line), description);
    });
  }

  test('is not there when nobody asks for one', () => assert.equal(parseLine({}), undefined));

  const bad: readonly [LineWords, string][] = [
    [{ rtt: '800' }, '--rtt must be a time of at most 3s, such as 800ms, not "800"'],
    [{ rtt: '' }, '--rtt must be a time of at most 3s, such as 800ms, not ""'],
    [{ rtt: '-5ms' }, '--rtt must be a time of at most 3s, such as 800ms, not "-5ms"'],
    [{ rtt: '3001ms' }, '--rtt must be a time of at most 3s, such as 800ms, not "3001ms"'],
    [{ rtt: '1m' }, '--rtt must be a time of at most 3s, such as 800ms, not "1m"'],
    [{ rate: '100' }, '--rate must be from 5kB/s to 1000MB/s, such as 100kB/s, not "100"'],
    [{ rate: '100kbit/s' }, '--rate must be from 5kB/s to 1000MB/s, such as 100kB/s, not "100kbit/s"'],
    [{ rate: '0kB/s' }, '--rate must be from 5kB/s to 1000MB/s, such as 100kB/s, not "0kB/s"'],
    [{ rate: '1001MB/s' }, '--rate must be from 5kB/s to 1000MB/s, such as 100kB/s, not "1001MB/s"'],
    [{ loss: '0.01' }, '--loss must be from 0% to 50%, such as 1%, not "0.01"'],
    [{ loss: '51%' }, '--loss must be from 0% to 50%, such as 1%, not "51%"'],
    [{ loss: '1%', seed: '1.5' }, '--seed must be a whole number from 0 to 4294967295, not "1.5"'],
    [{ seed: '3' }, '--seed has no use without --loss: it says which packets get lost'],
  ];
  for (const [words, message] of bad) {
    test(JSON.stringify(words), () => assert.throws(() => parseLine(words), { message }));
  }

  test('is made of two cables that together add the round trip and lose the share asked for', () => {
    const lines = fc.record({
      roundTripMs: fc.integer({ min: 0, max: 3_000 }),
      bytesPerSecond: fc.integer({ min: 5_000, max: 1e9 }),
      loss: fc.double({ min: 0, max: 0.5, noNaN: true }),
      seed: fc.nat(),
    });
    fc.assert(
      fc.property(lines, (line) => {
        const { delayMs, bytesPerSecond, loss, queueBytes } = cableShape(line);
        // There and back, through both.
        assert.equal(4 * delayMs, line.roundTripMs);
        assert.ok(Math.abs((1 - loss) ** 2 - (1 - line.loss)) < 1e-9);
        assert.equal(bytesPerSecond, line.bytesPerSecond);
        assert.ok(queueBytes >= 64 * 1024 && queueBytes >= bytesPerSecond / 2);
      }),
    );
  });
});

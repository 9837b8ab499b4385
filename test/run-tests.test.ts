/**
 * What runs all other tests must not lose one: each file of the fixture folder goes wrong in another way.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { runFiles } from '../scripts/lib/run-tests.mjs';

type Expected = {
  readonly file: string;
  readonly passed: number;
  readonly failed: number;
  readonly complaints: readonly string[];
};

const EXPECTED: readonly Expected[] = [
  { file: 'good', passed: 4, failed: 0, complaints: [] },
  { file: 'running-itself', passed: 1, failed: 0, complaints: [] },
  { file: 'failing', passed: 1, failed: 1, complaints: [] },
  { file: 'skipping', passed: 1, failed: 2, complaints: ['skipped: left out', 'skipped: for later'] },
  { file: 'empty', passed: 0, failed: 1, complaints: ['no test of it came to an end (exit code 0)'] },
  { file: 'leaving-early', passed: 1, failed: 1, complaints: ['it ended before its tests did (exit code 0)'] },
  { file: 'broken', passed: 0, failed: 1, complaints: ['no test of it came to an end (exit code 1)'] },
  { file: 'hanging', passed: 1, failed: 1, complaints: ['it took more than 10 s and was ended'] },
];

const pathOf = (file: string) => `test/fixtures/test-files/${file}.ts`;

describe('a file of tests', async () => {
  const results = runFiles(
    EXPECTED.map(({ file }) => pathOf(file)),
    { atOnce: 2, fileSeconds: 10, onFile: () => {} },
  );

  for (const expected of EXPECTED) {
    test(`that is ${expected.file} is counted right`, async () => {
      const result = (await results).find(({ file }) => file === pathOf(expected.file));
      assert.ok(result);
      const { passed, failed, complaints } = result;
      assert.deepEqual({ file: expected.file, passed, failed, complaints }, expected, result.output);
    });
  }

  test('leaves no process behind', async () => {
    const hanging = (await results).find(({ file }) => file === pathOf('hanging'));
    const child = Number(/^child (\d+)$/m.exec(hanging?.output ?? '')?.[1]);
    assert.ok(child > 1);
    await waitUntil(() => !isAlive(child), 10_000);
  });
});

/** An ended process stays visible, as a zombie, until init has taken notice of it. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

async function waitUntil(condition: () => boolean, withinMs: number): Promise<void> {
  const endsAt = performance.now() + withinMs;
  while (!condition()) {
    assert.ok(performance.now() < endsAt, `not within ${withinMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** What this process holds once everything that nobody needs has been collected. */
import assert from 'node:assert/strict';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

const COLLECTIONS = 3;

setFlagsFromString('--expose-gc');
const collect: unknown = runInNewContext('gc');

/** @returns bytes on the heap and in buffers */
export async function heldMemory(): Promise<number> {
  assert.ok(typeof collect === 'function');
  for (let count = 0; count < COLLECTIONS; count += 1) {
    await new Promise((resolve) => setImmediate(resolve));
    collect();
  }
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

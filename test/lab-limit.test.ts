/** A limit holds, whatever the collector does meanwhile. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { limit } from '../scripts/lab/command.ts';

setFlagsFromString('--expose-gc');
const collect: () => void = runInNewContext('gc');

// A limit keeps no process alive.
const alive = setInterval(() => {}, 1_000);
after(() => clearInterval(alive));

/** Only the listener knows the signal, as in most of its uses. */
function whenOver(ms: number, parent?: AbortSignal): Promise<unknown> {
  return new Promise((resolve) => {
    const signal = limit(ms, parent);
    signal.addEventListener('abort', () => resolve(signal.reason), { once: true });
  });
}

async function collectForSomeTime(): Promise<void> {
  for (let count = 0; count < 5; count += 1) {
    await pause(10);
    collect();
  }
}

test('a limit ends at its time, with and without a lab around it', { timeout: 20_000 }, async () => {
  const lab = new AbortController();
  const limits = [whenOver(200), whenOver(200, lab.signal), whenOver(200, AbortSignal.any([lab.signal]))];
  await collectForSomeTime();
  for (const reason of await Promise.all(limits)) assert.match(String(reason), /longer than 0\.2 s/);
});

test('a limit ends with its lab, for its reason', { timeout: 20_000 }, async () => {
  const lab = new AbortController();
  const over = [whenOver(60_000, lab.signal), once(limit(60_000, lab.signal), 'abort')];
  await collectForSomeTime();
  lab.abort(new Error('the lab is over'));
  assert.match(String((await Promise.all(over))[0]), /the lab is over/);
  assert.equal(limit(60_000, lab.signal).reason, lab.signal.reason);
});

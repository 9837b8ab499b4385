import assert from 'node:assert/strict';
import { test } from 'node:test';
import { interfaceWatch } from '../../../src/app/interface-watch.ts';
import type { TunState } from '../../../src/core/ports.ts';
import { silentLogger } from '../../../src/kit/log.ts';
import { FakeClock } from '../../helpers/fake-clock.ts';

test('each change of the interface is told once, within seconds', async () => {
  const clock = new FakeClock();
  const told: string[] = [];
  let state: TunState = 'up';
  const log = {
    ...silentLogger,
    warn: (text: string, facts?: object) => told.push(`${JSON.stringify(facts)} ${text}`),
    info: (text: string) => told.push(text),
  };
  const watch = interfaceWatch({ name: 'garli0', state: () => state }, clock, log);
  await watch.start(new AbortController().signal);
  await clock.advance(10_000);
  assert.deepEqual(told, []);
  state = 'diverted';
  await clock.advance(2_000);
  assert.equal(told.length, 1);
  assert.match(told[0] ?? '', /^\{"code":"tun.diverted"\} a route of somebody else .* garli0/);
  await clock.advance(60_000);
  assert.equal(told.length, 1);
  state = 'up';
  await clock.advance(2_000);
  assert.deepEqual(told.slice(1), ['the interface is as it should be again']);
  await watch.stop();
  assert.equal(clock.pending, 0);
});

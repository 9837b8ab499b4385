import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createInterfaceWatch } from '../../../src/app/interface-watch.ts';
import type { TunState } from '../../../src/core/ports.ts';
import { GateError } from '../../../src/kit/errors.ts';
import { silentLogger } from '../../../src/kit/log.ts';
import { FakeClock } from '../../helpers/fake-clock.ts';

/** An interface in the hands of somebody else, and what the log says of it. */
async function watched() {
  const clock = new FakeClock();
  const told: string[] = [];
  const tell = (text: string, facts?: object) => told.push(`${JSON.stringify(facts ?? {})} ${text}`);
  const kernel = { state: 'up' as TunState, changed: false, looks: 0, restores: 0, refuses: false };
  const tun = {
    name: 'garli0',
    state: () => {
      kernel.looks += 1;
      return kernel.state;
    },
    pollChanges: () => {
      const { changed } = kernel;
      kernel.changed = false;
      return changed;
    },
    restore: () => {
      kernel.restores += 1;
      if (kernel.refuses) throw new GateError('permission', 'tun.permission', 'not allowed');
      kernel.state = 'up';
    },
  };
  const watch = createInterfaceWatch(tun, clock, { ...silentLogger, error: tell, warn: tell, info: tell });
  await watch.start(new AbortController().signal);
  const become = (state: TunState) => {
    kernel.state = state;
    kernel.changed = true;
  };
  return { clock, told, kernel, watch, become };
}

test('each change of the interface is told once, in a moment, and nobody looks while nothing happens', async () => {
  const { clock, told, kernel, watch, become } = await watched();
  await clock.advance(60_000);
  assert.deepEqual([told, kernel.looks], [[], 1]);
  become('diverted');
  await clock.advance(250);
  assert.equal(told.length, 1);
  assert.match(told[0] ?? '', /^\{"code":"tun.diverted"\} a route of somebody else .* garli0/);
  await clock.advance(60_000);
  assert.equal(told.length, 1);
  become('up');
  await clock.advance(250);
  assert.deepEqual(told.slice(1), ['{} the interface is as it should be again']);
  assert.equal(kernel.restores, 0);
  await watch.stop();
  assert.equal(clock.pending, 0);
});

test('what is taken away is put back each time, and told once a minute', async () => {
  const { clock, told, watch, become } = await watched();
  for (let times = 0; times < 100; times += 1) {
    become('incomplete');
    await clock.advance(250);
  }
  assert.equal(watch.restored.count, 100);
  assert.equal(watch.restored.lastMs, clock.now());
  assert.equal(told.length, 1);
  assert.match(told[0] ?? '', /^\{"code":"tun.restored","count":1\} somebody took an address or a route/);
  await clock.advance(60_000);
  become('incomplete');
  await clock.advance(250);
  assert.match(told[1] ?? '', /"count":101/);
  await watch.stop();
});

test('what cannot be put back is told with the reason, tried again, and told when it is well', async () => {
  const { clock, told, kernel, watch, become } = await watched();
  kernel.refuses = true;
  become('incomplete');
  await clock.advance(10_000);
  assert.equal(kernel.restores, 5);
  assert.deepEqual(
    told.map((line) => line.slice(0, 30)),
    ['{"code":"tun.permission"} not ', '{"code":"tun.incomplete"} the '],
  );
  assert.equal(watch.restored.count, 0);
  kernel.refuses = false;
  await clock.advance(2_000);
  assert.deepEqual(told.slice(3), ['{} the interface is as it should be again']);
  assert.equal(watch.restored.count, 1);
  await watch.stop();
});

test('an interface that was set down is left alone until it is up again', async () => {
  const { clock, kernel, watch, become } = await watched();
  become('down');
  await clock.advance(10_000);
  assert.equal(kernel.restores, 0);
  become('incomplete');
  await clock.advance(250);
  assert.equal(kernel.restores, 1);
  await watch.stop();
});

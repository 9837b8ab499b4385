/** Starting in order and stopping in reverse, above all when something goes wrong on the way. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Service, startInOrder } from '../../../src/kit/service.ts';

const { signal } = new AbortController();

function recorder() {
  const log: string[] = [];
  const service = (name: string, faults: { start?: Error; stop?: Error } = {}): Service => ({
    start: async (given) => {
      assert.equal(given, signal);
      log.push(`start ${name}`);
      await new Promise(setImmediate);
      if (faults.start) throw faults.start;
      log.push(`up ${name}`);
    },
    stop: async () => {
      log.push(`stop ${name}`);
      await new Promise(setImmediate);
      if (faults.stop) throw faults.stop;
      log.push(`down ${name}`);
    },
  });
  return { log, service };
}

test('each is up before the next is started, and down before the one before it is stopped', async () => {
  const { log, service } = recorder();
  const stop = await startInOrder([service('a'), service('b'), service('c')], signal);
  assert.deepEqual(log.splice(0), ['start a', 'up a', 'start b', 'up b', 'start c', 'up c']);
  await stop();
  assert.deepEqual(log.splice(0), ['stop c', 'down c', 'stop b', 'down b', 'stop a', 'down a']);
  await stop();
  assert.deepEqual(log, [], 'stopping again does nothing');
});

test('when one fails, those before it are stopped, it and those behind it are left alone, and its error is thrown', async () => {
  const { log, service } = recorder();
  const fault = new Error('no');
  const starting = startInOrder([service('a'), service('b'), service('c', { start: fault }), service('d')], signal);
  await assert.rejects(starting, (error) => error === fault);
  assert.deepEqual(log, ['start a', 'up a', 'start b', 'up b', 'start c', 'stop b', 'down b', 'stop a', 'down a']);
});

test('a stop that breaks its promise not to throw keeps nobody else up, and does not go unnoticed', async () => {
  const { log, service } = recorder();
  const fault = new Error('stuck');
  const stop = await startInOrder([service('a'), service('b', { stop: fault }), service('c')], signal);
  log.splice(0);
  await assert.rejects(stop(), (error) => error === fault);
  assert.deepEqual(log, ['stop c', 'down c', 'stop b', 'stop a', 'down a']);
});

test('a stop that throws does not hide why the start failed', async () => {
  const { log, service } = recorder();
  const why = new Error('why');
  const starting = startInOrder(
    [service('a'), service('b', { stop: new Error('stuck') }), service('c', { start: why })],
    signal,
  );
  await assert.rejects(starting, (error) => error === why);
  assert.equal(log.at(-1), 'down a');
});

test('who stops a second time while the first is under way also waits until all is down', async () => {
  const { log, service } = recorder();
  const stop = await startInOrder([service('a'), service('b')], signal);
  const first = stop();
  await stop();
  assert.equal(log.at(-1), 'down a');
  await first;
  assert.equal(log.filter((line) => line.startsWith('stop')).length, 2);
});

test('nothing to start is nothing to stop', async () => {
  await (await startInOrder([], signal))();
});

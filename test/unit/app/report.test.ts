import assert from 'node:assert/strict';
import { test } from 'node:test';
import { interfaceHealth } from '../../../src/app/report.ts';

test('an interface that carries nothing is never called well', () => {
  assert.deepEqual(interfaceHealth('garli0', 'up'), []);
  for (const state of ['down', 'incomplete'] as const) {
    const [item, ...others] = interfaceHealth('garli0', state);
    assert.deepEqual([item?.code, item?.severity, others], [`tun.${state}`, 'high', []]);
    assert.match(item?.text ?? '', /garli0/);
    assert.match(item?.advice ?? '', /restart garligate/);
  }
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { interfaceHealth } from '../../../src/app/network-health.ts';
import { leakHealth } from '../../../src/app/report.ts';

test('an interface that carries nothing is never called well', () => {
  assert.deepEqual(interfaceHealth('garli0', 'up'), []);
  for (const state of ['down', 'incomplete'] as const) {
    const [item, ...others] = interfaceHealth('garli0', state);
    assert.deepEqual([item?.code, item?.severity, others], [`tun.${state}`, 'high', []]);
    assert.match(item?.text ?? '', /garli0/);
    assert.match(item?.advice ?? '', /garligate (puts|tries)/);
  }
});

test('a DNS leak is told with listener, number, time and what to do, and without names', () => {
  const many = leakHealth('127.0.0.1:9160', { count: 12, first: 1_000, latest: 181_000 }, 201_000);
  assert.deepEqual([many.code, many.severity], ['socks.dns-leak', 'medium']);
  assert.match(many.text, /listener 127\.0\.0\.1:9160 handed over 12 addresses .* first 3m 20s ago .* last 20s ago/);
  assert.match(many.advice, /socks5h or socks4a/);
  const one = leakHealth('unix:/s', { count: 1, first: 0, latest: 0 }, 5_000);
  assert.match(one.text, /listener unix:\/s handed over one address from outside I2P, 5s ago:/);
});

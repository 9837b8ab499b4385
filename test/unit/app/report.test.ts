import assert from 'node:assert/strict';
import { test } from 'node:test';
import { interfaceHealth } from '../../../src/app/network-health.ts';
import { leakHealth, peerStatus } from '../../../src/app/report.ts';
import { defaultConfig } from '../../../src/config/decode.ts';
import { formatAddress } from '../../../src/wire/i2p/address.ts';
import { FakeClock } from '../../helpers/fake-clock.ts';
import { peer } from '../core/support.ts';
import { node } from '../front/vpn/packets.ts';

const CONFIG = defaultConfig({ keyFile: '/k', routerDirectory: '/r', controlSocket: '/c' });

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

test('a peer is shown with the address that it has: an OnionCat has no oc address', () => {
  const { oc, ocat4 } = peer(2).addresses;
  for (const [onionCat, address] of [
    [undefined, oc],
    [{ inbound: [] }, ocat4],
  ] as const) {
    const { link } = node({ clock: new FakeClock(), me: 1, them: 2, onionCat });
    assert.equal(peerStatus(link.report(), 0, CONFIG, () => 0).address, formatAddress(address));
  }
});

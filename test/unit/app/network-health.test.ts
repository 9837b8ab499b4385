import assert from 'node:assert/strict';
import { test } from 'node:test';
import { firewallHealth, forwardingHealth } from '../../../src/app/network-health.ts';
import type { FirewallPort, FirewallState } from '../../../src/core/ports.ts';
import { GateError } from '../../../src/kit/errors.ts';

const HOUR_MS = 60 * 60_000;

test('a firewall that stands is nothing to tell', () => {
  const restored = { count: 0, lastMs: undefined };
  assert.deepEqual(firewallHealth({ state: () => ({ kind: 'on' }), restored }, 0), []);
});

test('the firewall is asked as what it is: an object with a state of its own', () => {
  class Firewall implements Pick<FirewallPort, 'state' | 'restored'> {
    readonly #state: FirewallState = { kind: 'on' };
    readonly restored = { count: 0, lastMs: undefined };

    state(): FirewallState {
      return this.#state;
    }
  }
  assert.deepEqual(firewallHealth(new Firewall(), 0), []);
});

test('rules that were put back are told for an hour', () => {
  const firewall = { state: () => ({ kind: 'on' as const }), restored: { count: 3, lastMs: 1_000 } };
  const [item, ...others] = firewallHealth(firewall, 2_000);
  assert.deepEqual([item?.code, item?.severity, others], ['firewall.restored', 'medium', []]);
  assert.match(item?.text ?? '', /3 times/);
  assert.equal(firewallHealth(firewall, 1_000 + HOUR_MS).length, 1);
  assert.deepEqual(firewallHealth(firewall, 1_001 + HOUR_MS), []);
});

test('rules that are gone are told above all, with the reason', () => {
  const why = new GateError('local-io', 'firewall.nft', 'nft failed: no memory');
  const firewall = {
    state: () => ({ kind: 'broken' as const, why, sinceMs: 5 }),
    restored: { count: 3, lastMs: 1_000 },
  };
  const [item, ...others] = firewallHealth(firewall, 2_000);
  assert.deepEqual([item?.code, item?.severity, others], ['firewall.broken', 'high', []]);
  assert.match(item?.text ?? '', /no memory/);
});

for (const [forwards, networks, guarded, ...codes] of [
  [false, 0, true],
  [true, 0, true],
  [true, 2, true],
  [false, 2, true, 'forwarding.off'],
  [false, 2, false, 'forwarding.off'],
  [true, 2, false, 'forwarding.unguarded'],
  [true, 0, false, 'forwarding.unguarded'],
  [false, 0, false],
] as const) {
  const told = codes.join() || 'well';
  test(`forwarding ${forwards}, ${networks} networks, firewall ${guarded}: ${told}`, () => {
    assert.deepEqual(
      forwardingHealth({ forwards, networks, guarded }).map(({ code }) => code),
      codes,
    );
  });
}

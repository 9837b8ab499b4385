import assert from 'node:assert/strict';
import { test } from 'node:test';
import { configuredPeers, peerSettings } from '../../../src/app/peers.ts';
import { decodeConfig } from '../../../src/config/decode.ts';
import { mayReach } from '../../../src/core/firewall/policy.ts';
import { formatAllowRule } from '../../../src/wire/packet/allow-rule.ts';
import { own } from '../core/support.ts';

const PATHS = { keyFile: '/k', routerDirectory: '/r', controlSocket: '/c' };

function rulesOf(top: string, peer: string): readonly string[] {
  const toml = `${top}\n[[peer]]\nname = "p"\ndestination = "${'p'.repeat(51)}q.b32.i2p"\n${peer}`;
  const decoded = decodeConfig(toml, PATHS);
  assert.ok(decoded.kind === 'config', JSON.stringify(decoded));
  const [one] = configuredPeers(decoded.config, own(1).addresses).list();
  assert.ok(one !== undefined);
  const isOpen = mayReach(one, { protocol: 'tcp', port: 7 });
  assert.equal(
    isOpen,
    one.allow.some(({ kind }) => kind === 'all'),
  );
  return one.allow.map(formatAllowRule);
}

for (const [what, top, peer, ...rules] of [
  ['nothing is said', '', ''],
  ['the peer has rules', '', 'allow = ["icmp", "tcp/22"]', 'icmp', 'tcp/22'],
  ['everything is the default', '[firewall]\ndefault = "allow"', '', 'all'],
  ['the peer is an exception', '[firewall]\ndefault = "allow"', 'allow = []'],
  ['there is no firewall', '[firewall]\nenabled = false', 'allow = ["icmp"]', 'all'],
  ['the peer is an OnionCat, and nobody answers it yet', '', 'compat = "onioncat4"'],
] as const) {
  test(`what a peer may reach when ${what}: ${rules.join(' ') || 'nothing'}`, () => {
    assert.deepEqual(rulesOf(top, peer), rules);
  });
}

test('an OnionCat may also ask for names where the gateway answers, and nobody else may', () => {
  const peer = (name: string, more: string) =>
    `[[peer]]\nname = "${name}"\ndestination = "${name.repeat(51)}q.b32.i2p"\nallow = ["icmp"]\n${more}\n`;
  const decoded = decodeConfig(`${peer('c', 'compat = "onioncat4"')}${peer('p', '')}`, PATHS);
  assert.ok(decoded.kind === 'config', JSON.stringify(decoded));
  const rules = (ports: readonly number[]) =>
    peerSettings(decoded.config, ports).map(({ allow }) => allow.map(formatAllowRule));
  assert.deepEqual(rules([53, 8060]), [['icmp', 'udp/53', 'udp/8060'], ['icmp']]);
  assert.deepEqual(rules([8060]), [['icmp', 'udp/8060'], ['icmp']]);
});

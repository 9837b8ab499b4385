import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { nftText } from '../../../../src/core/firewall/nft-text.ts';
import type { FirewallPolicy } from '../../../../src/core/firewall/policy.ts';
import { type AllowRule, parseAllowRule } from '../../../../src/wire/packet/allow-rule.ts';
import { type Prefix, parsePrefix } from '../../../../src/wire/packet/prefix.ts';
import { own, peer } from '../support.ts';

const GOLDEN = new URL('../../../fixtures/firewall.nft', import.meta.url);

function prefixes(...texts: readonly string[]): readonly Prefix[] {
  return texts.map((text) => parsePrefix(text) ?? assert.fail(text));
}

function rules(...texts: readonly string[]): readonly AllowRule[] {
  return texts.map((text) => parseAllowRule(text) ?? assert.fail(text));
}

const policy: FirewallPolicy = {
  interfaceName: 'garli0',
  own: own(1).addresses,
  networks: prefixes('fd98:1::/48'),
  peers: [
    peer(2, { allow: rules('tcp/22', 'icmp', 'udp/5000-5010'), routes: prefixes('fd98::/16', 'fd12::/32') }),
    peer(3, { allow: rules('tcp/80', 'all'), routes: prefixes('fd12:0:1::/48') }),
    peer(4, { allow: rules('icmp', 'udp/5000-5010', 'tcp/22') }),
    peer(5),
    // Around the /48 itself, whose addresses never lie behind a peer.
    peer(6, { routes: prefixes('fd60:db4d::/32') }),
  ],
};

test('the text is the one that was looked at', () => {
  assert.equal(nftText(policy), readFileSync(GOLDEN, 'utf8'));
});

test('a packet meets no more rules when there are more peers', () => {
  const rulesIn = (text: string) =>
    text.split('\n').filter((line) => /\b(accept|drop|goto|vmap)\b/.test(line) && !/ : goto /.test(line));
  const crowd = Array.from({ length: 200 }, (_, seed) =>
    peer(100 + seed, { allow: rules('icmp', 'tcp/22', 'udp/5000-5010') }),
  );
  assert.deepEqual(rulesIn(nftText({ ...policy, peers: [...policy.peers, ...crowd] })), rulesIn(nftText(policy)));
});

test('without peers and networks there are rules all the same', () => {
  const text = nftText({ ...policy, peers: [], networks: [] });
  assert.doesNotMatch(text, /elements = \{\s*\}/);
  assert.ok(text.includes('ip6 saddr vmap @routed\n\t\tcounter name denied drop\n\t}'));
});

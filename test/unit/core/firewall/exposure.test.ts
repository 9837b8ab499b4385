import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exposureOf, type ListeningService } from '../../../../src/core/firewall/exposure.ts';
import { parseAllowRule } from '../../../../src/wire/packet/allow-rule.ts';
import { parsePrefix } from '../../../../src/wire/packet/prefix.ts';
import { own, peer } from '../support.ts';

const ANY = Buffer.alloc(16);
const me = own(1).addresses;

function addressOf(text: string): Buffer {
  return parsePrefix(`${text}/128`)?.bytes ?? assert.fail(text);
}

const listening: readonly ListeningService[] = [
  { protocol: 'udp', port: 53, address: me.ocat4 },
  { protocol: 'tcp', port: 8080, address: me.oc },
  { protocol: 'tcp', port: 22, address: ANY },
  { protocol: 'tcp', port: 22, address: me.oc },
  { protocol: 'tcp', port: 631, address: addressOf('::1') },
  { protocol: 'tcp', port: 632, address: addressOf('2001:db8::1') },
  { protocol: 'tcp', port: 633, address: addressOf('fd98:1::1') },
];

test('each peer reaches what listens where it may send, as far as its rules say', () => {
  const networks = [parsePrefix('fd98:1::/48') ?? assert.fail()];
  const rules = (...texts: readonly string[]) => texts.map((text) => parseAllowRule(text) ?? assert.fail(text));
  const peers = [
    peer(2, { allow: rules('icmp', 'tcp/1-100', 'udp/54') }),
    peer(3),
    peer(4, { allow: rules('all') }),
    peer(5, { allow: rules('udp/53') }),
  ];
  const all = ['tcp/22', 'tcp/633', 'tcp/8080', 'udp/53'];
  assert.deepEqual(exposureOf({ own: me, networks, peers }, listening), {
    networks: ['fd98:1::/48'],
    peers: [
      { name: 'peer2', rules: ['icmp', 'tcp/1-100', 'udp/54'], icmp: true, open: ['tcp/22'], filtered: all.slice(1) },
      { name: 'peer3', rules: [], icmp: false, open: [], filtered: all },
      { name: 'peer4', rules: ['all'], icmp: true, open: all, filtered: [] },
      { name: 'peer5', rules: ['udp/53'], icmp: false, open: ['udp/53'], filtered: all.slice(0, 3) },
    ],
  });
});

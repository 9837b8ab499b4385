import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytes, statusText } from '../../../src/cli/status-text.ts';
import { plain } from '../../../src/kit/plain.ts';
import { span } from '../../../src/kit/span.ts';
import { sampleReport } from '../control/sample-report.ts';

test('says all that there is, in one screen', () => {
  assert.deepEqual(statusText(sampleReport()).map(plain), [
    'garligate 1.2.3, up for 1h 2m',
    'identity  ktmhezukbp6jyuldedcjmso6p4e6aegeikqli2mne67hnttgmvfa.b32.i2p',
    'address   fd60:db4d:ddb5:54d8:7266:8a0b:fc9c:5163',
    "router    garligate's own i2pd, process 77, for 1m, 2 restarts",
    'runs as   garligate, with CAP_NET_ADMIN',
    'session   gateway: waiting for 5s, the router is away',
    'isolated  2 in use, 1 idle, of 8 sessions; at the limit retire-idle: 1 retired, 4 clients refused',
    'udp       1 in use, 0 idle, of 8 sessions; at the limit refuse: 0 retired, 2 clients refused',
    'udp       ccccccccccccccccccccccccccccccccccccccccccccccccccca.b32.i2p: ready for 1m 1s, 2 associations, 1 datagram dropped',
    'vpn       garli0 up, mtu 1500, 3 packets dropped',
    'firewall  on, put back 1 time, 5 packets dropped',
    'socks     127.0.0.1:9160, 3 clients; sites see it',
    '          so far: accepted 12, connected 9, policyRefused 3',
    '          udp: 2 associations; datagrams: sent 5, received 4, fragment 1',
    'dials     2 of 128 under way, 3 clients refused',
    'lookups   0 of 128 under way',
    'relay     3 streams',
    '',
    'PEER   ADDRESS                                 STATE  DIR  FOR    RTT    RECEIVED  SENT  QUEUE  BIG     DROPPED  LAST ERROR',
    'alice  fd60:db4d:ddb5:842:1084:2108:4210:8421  up     out  1d 1h  812ms  1.5 KiB   0 B   4/256  agreed  7        gone?[31m? (1m 1s ago)',
    '1 up, 1.5 KiB received, 0 B sent, 4 packets wait, 7 were dropped, 5 marked; session built anew 2 times',
    '',
    'health: high: no session (session.lost)',
    '        look at the router',
  ]);
});

test('says what is not there', () => {
  const { vpn: _, ...rest } = sampleReport();
  const text = statusText({
    ...rest,
    router: { kind: 'none', why: 'no i2pd', advice: 'install it' },
    peers: [],
    health: [],
  }).join('\n');
  assert.match(text, /^router +none: no i2pd; install it$/m);
  assert.match(text, /^vpn +off$/m);
  assert.match(text, /^no peers$/m);
  assert.match(text, /^health: all well$/m);
});

for (const [seconds, text] of [
  [0, '0s'],
  [0.9, '0s'],
  [59, '59s'],
  [60, '1m'],
  [3601, '1h'],
  [90_061, '1d 1h'],
  [86_400 * 400, '400d'],
] as const) {
  test(`${seconds} seconds are ${text}`, () => assert.equal(span(seconds), text));
}

for (const [count, text] of [
  [0, '0 B'],
  [1023, '1023 B'],
  [1024, '1.0 KiB'],
  [5 * 1024 ** 3, '5.0 GiB'],
  [1024 ** 6, '1048576.0 TiB'],
] as const) {
  test(`${count} bytes are ${text}`, () => assert.equal(bytes(count), text));
}

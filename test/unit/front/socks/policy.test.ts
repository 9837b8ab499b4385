/** What a SOCKS client may have, and what it may not however it is spelled. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { judge } from '../../../../src/front/socks/policy.ts';
import type { SocksRequest } from '../../../../src/wire/socks/request.ts';
import { hex, spaced } from '../../wire/socks/feed.ts';

const B32 = 'ktmhezukbp6jyuldedcjmso6p4e6aegeikqli2mne67hnttgmvfa';
const PEER = 'fd 60 db 4d dd b5 54 d8 72 66 8a 0b fc 9c 51 63';

const byName = (name: string): SocksRequest => ({
  dialect: 'socks5',
  command: 'connect',
  host: { kind: 'name', name },
  port: 80,
  credentials: undefined,
});

function verdictOn(request: SocksRequest): object {
  const verdict = judge(request, () => undefined);
  if (verdict.kind === 'refused') return { refused: verdict.error.kind, leak: verdict.dnsLeak };
  const { target } = verdict;
  return target.kind === 'address' ? { address: spaced(target.address) } : target;
}

const ALLOWED: ReadonlyArray<readonly [rule: string, name: string, target: object]> = [
  ['a b32 name is a hash already', `${B32}.b32.i2p`, { kind: 'b32', b32: B32 }],
  ['D9 letters are lowered', `${B32.toUpperCase()}.B32.I2P`, { kind: 'b32', b32: B32 }],
  ['D9 one trailing dot is dropped', `${B32}.b32.i2p.`, { kind: 'b32', b32: B32 }],
  [
    'D9 a name of 56 characters is an encrypted lease set',
    `${'a'.repeat(56)}.b32.i2p`,
    { kind: 'b33', host: `${'a'.repeat(56)}.b32.i2p` },
  ],
  ['an address book name goes to the router', 'example.i2p', { kind: 'host', host: 'example.i2p' }],
  ['D9 x.I2P. is x.i2p and stays inside I2P', 'x.I2P.', { kind: 'host', host: 'x.i2p' }],
  ['a short name is an address', `${B32.slice(0, 16)}.oc.b32.i2p`, { address: PEER }],
  ['a peer by its name in the config', 'Alice.peer.b32.i2p', { kind: 'peer', name: 'alice' }],
  ['D10 an address as text is an address', 'fd60:db4d:ddb5:54d8:7266:8a0b:fc9c:5163', { address: PEER }],
  ['D10 brackets around it are allowed', '[fd60:db4d:ddb5:54d8:7266:8a0b:fc9c:5163]', { address: PEER }],
  ['D10 any spelling of it', 'FD60:DB4D:DDB5:54D8:7266:8A0B:fc9c:5163', { address: PEER }],
];

for (const [rule, name, target] of ALLOWED) test(rule, () => assert.deepEqual(verdictOn(byName(name)), target));

const FOREIGN: ReadonlyArray<readonly [name: string, leak: boolean]> = [
  ['example.com', false],
  ['example.i2p.com', false],
  ['i2p', false],
  ['example.i2p.localhost', false],
  ['x.onion', false],
  ['localhost', false],
  ['localhost.', false],
  ['printer.local', false],
  ['127.0.0.1', true],
  ['127.0.0.1.', true],
  ['0177.0.0.1', true],
  ['0x7f.1', true],
  ['2130706433', true],
  ['0x7f000001', true],
  ['10.0.0.1', true],
  ['0.0.0.0', true],
  ['[::1]', true],
  ['::1', true],
  ['::', true],
  ['::ffff:127.0.0.1', true],
  ['fd00::1', true],
  ['fe80::1', true],
  ['fd60:db4d:ddb4::1', true],
  ['64:ff9b::7f00:1', true],
];

for (const [name, leak] of FOREIGN) {
  test(`${name} is refused by policy`, () => {
    assert.deepEqual(verdictOn(byName(name)), { refused: 'policy', leak });
  });
}

const NO_NAMES = [
  'fe80::1%eth0',
  'fd60:db4d:ddb5::1%garli0',
  '[127.0.0.1]',
  'a..i2p',
  '.i2p',
  'a b.i2p',
  'a\0.i2p',
  'example.com\0.i2p',
  'user@a.i2p',
  'a.i2p/path',
  'a.i2p:80',
  '[a.i2p]',
  'b\u00fccher.i2p',
  `${B32.slice(1)}.b32.i2p`,
  `x.${B32}.b32.i2p`,
  'a.i2p..',
  ' ',
];

for (const name of NO_NAMES) {
  test(`D9 ${JSON.stringify(name)} is no name and refused`, () => {
    assert.deepEqual(verdictOn(byName(name)), { refused: 'name-invalid', leak: false });
  });
}

const BINARY: ReadonlyArray<readonly [rule: string, request: SocksRequest, verdict: object]> = [
  [
    'D12 an IPv6 address inside the /48 is allowed',
    {
      dialect: 'socks5',
      command: 'connect',
      host: { kind: 'ipv6', bytes: hex(PEER) },
      port: 80,
      credentials: undefined,
    },
    { address: PEER },
  ],
  [
    'D12 any other IPv6 address is refused, and probably a DNS leak',
    {
      dialect: 'socks5',
      command: 'connect',
      host: { kind: 'ipv6', bytes: hex(`fd 60 db 4d dd b4 ${'00 '.repeat(10)}`) },
      port: 80,
      credentials: undefined,
    },
    { refused: 'policy', leak: true },
  ],
  [
    'D11 an IPv4 address over SOCKS5 is refused, and probably a DNS leak',
    {
      dialect: 'socks5',
      command: 'connect',
      host: { kind: 'ipv4', bytes: hex('c0 00 02 01') },
      port: 80,
      credentials: undefined,
    },
    { refused: 'policy', leak: true },
  ],
  [
    'D11 an IPv4 address over SOCKS4 is refused, and probably a DNS leak',
    { dialect: 'socks4', command: 'connect', host: { kind: 'ipv4', bytes: hex('c0 00 02 01') }, port: 80 },
    { refused: 'policy', leak: true },
  ],
  [
    'D11 0.0.0.0 over SOCKS4 is refused',
    { dialect: 'socks4', command: 'connect', host: { kind: 'ipv4', bytes: hex('00 00 00 00') }, port: 80 },
    { refused: 'policy', leak: true },
  ],
];

for (const [rule, request, verdict] of BINARY) test(rule, () => assert.deepEqual(verdictOn(request), verdict));

test('property: every text is judged, and only what ends in .i2p or lies in the /48 is allowed', () => {
  const labels = fc.array(
    fc.constantFrom('i2p', 'b32', 'oc', 'com', 'onion', 'a', '127', '', '::', 'fd60:db4d:ddb5::1'),
  );
  const names = fc.oneof(
    fc.string({ minLength: 1, maxLength: 255 }),
    labels.map((parts) => parts.join('.')),
  );
  fc.assert(
    fc.property(names, (name) => {
      const verdict = judge(byName(name), () => undefined);
      if (verdict.kind === 'refused') return;
      const { target } = verdict;
      if (target.kind === 'host') assert.match(target.host, /^[a-z0-9_.-]+\.i2p$/);
      else assert.notEqual(target.kind, 'destination');
    }),
    { numRuns: 2000 },
  );
});

test('refusals do not name the host', () => {
  for (const name of ['secret-site.example', 'secret site.i2p', 'secret..i2p']) {
    const verdict = judge(byName(name), () => undefined);
    assert.ok(verdict.kind === 'refused');
    assert.doesNotMatch(`${verdict.error.message} ${JSON.stringify(verdict.error.facts)}`, /secret/);
  }
});

/** Replies: fixed sizes, codes of RFC 1928, and never a name in them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeReply, type ReplyForm, replyForm, type SocksOutcome } from '../../../../src/wire/socks/reply.ts';
import type { SocksRequest } from '../../../../src/wire/socks/request.ts';
import { spaced } from './feed.ts';

const CODES: Readonly<Record<SocksOutcome, string>> = {
  succeeded: '00',
  'general-failure': '01',
  'not-allowed': '02',
  'network-unreachable': '03',
  'host-unreachable': '04',
  'connection-refused': '05',
  'ttl-expired': '06',
  'command-unsupported': '07',
  'address-type-unsupported': '08',
};

function isOutcome(text: string): text is SocksOutcome {
  return text in CODES;
}

const zeros = (count: number) => ' 00'.repeat(count);

for (const outcome of Object.keys(CODES).filter(isOutcome)) {
  const code = CODES[outcome];
  test(`D16 ${outcome} is ${code} with 0.0.0.0:0 in 10 bytes, or [::]:0 in 22`, () => {
    assert.equal(spaced(encodeReply('socks5-ipv4', outcome)), `05 ${code} 00 01${zeros(6)}`);
    assert.equal(spaced(encodeReply('socks5-ipv6', outcome)), `05 ${code} 00 04${zeros(18)}`);
  });

  test(`D14 ${outcome} in SOCKS4 is VN 00, ${outcome === 'succeeded' ? '5A' : '5B'} and six zeros`, () => {
    assert.equal(spaced(encodeReply('socks4', outcome)), `00 ${outcome === 'succeeded' ? '5a' : '5b'}${zeros(6)}`);
  });
}

const FORMS: ReadonlyArray<readonly [rule: string, request: SocksRequest, form: ReplyForm]> = [
  [
    'D16 a name gets the IPv4 form, never a name',
    { dialect: 'socks5', command: 'connect', host: { kind: 'name', name: 'a.i2p' }, port: 80, credentials: undefined },
    'socks5-ipv4',
  ],
  [
    'D16 an IPv4 address gets the IPv4 form',
    {
      dialect: 'socks5',
      command: 'connect',
      host: { kind: 'ipv4', bytes: Buffer.alloc(4) },
      port: 80,
      credentials: undefined,
    },
    'socks5-ipv4',
  ],
  [
    'D16 an IPv6 address gets the IPv6 form',
    {
      dialect: 'socks5',
      command: 'connect',
      host: { kind: 'ipv6', bytes: Buffer.alloc(16) },
      port: 80,
      credentials: undefined,
    },
    'socks5-ipv6',
  ],
  [
    'D14 SOCKS4a gets the SOCKS4 form',
    { dialect: 'socks4', command: 'connect', host: { kind: 'name', name: 'a.i2p' }, port: 80 },
    'socks4',
  ],
];

for (const [rule, request, form] of FORMS) {
  test(rule, () => assert.equal(replyForm(request), form));
}

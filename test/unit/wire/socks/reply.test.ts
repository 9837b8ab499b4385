/** Replies: fixed sizes, codes of RFC 1928, and never a name in them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toAddress } from '../../../../src/wire/i2p/address.ts';
import {
  encodeAddressReply,
  encodeNameReply,
  encodeReply,
  type ReplyForm,
  replyForm,
  type SocksOutcome,
} from '../../../../src/wire/socks/reply.ts';
import type { SocksRequest } from '../../../../src/wire/socks/request.ts';
import { hex, spaced } from './feed.ts';

/** RFC 1928 section 6, and Tor's proposal 304. */
const CODES: Readonly<Record<SocksOutcome, readonly [standard: string, extended: string]>> = {
  succeeded: ['00', '00'],
  'general-failure': ['01', '01'],
  'not-allowed': ['02', '02'],
  'network-unreachable': ['03', '03'],
  'name-unknown': ['04', 'f0'],
  'name-invalid': ['04', 'f6'],
  'host-unreachable': ['04', 'f2'],
  'service-unreachable': ['04', 'f3'],
  'connection-refused': ['05', '05'],
  'ttl-expired': ['06', 'f7'],
  'command-unsupported': ['07', '07'],
  'address-type-unsupported': ['08', '08'],
  'bad-request': ['01', '01'],
};

function isOutcome(text: string): text is SocksOutcome {
  return text in CODES;
}

const zeros = (count: number) => ' 00'.repeat(count);

for (const outcome of Object.keys(CODES).filter(isOutcome)) {
  const [standard, extended] = CODES[outcome];
  test(`D16 ${outcome} is ${standard} with 0.0.0.0:0 in 10 bytes, or [::]:0 in 22`, () => {
    assert.equal(spaced(encodeReply('socks5-ipv4', outcome)), `05 ${standard} 00 01${zeros(6)}`);
    assert.equal(spaced(encodeReply('socks5-ipv6', outcome)), `05 ${standard} 00 04${zeros(18)}`);
  });

  test(`D19 ${outcome} is ${extended} among the extended codes, in the same forms`, () => {
    assert.equal(spaced(encodeReply('socks5-ipv4', outcome, 'extended')), `05 ${extended} 00 01${zeros(6)}`);
    assert.equal(spaced(encodeReply('socks5-ipv6', outcome, 'extended')), `05 ${extended} 00 04${zeros(18)}`);
  });

  test(`D14 ${outcome} in SOCKS4 is VN 00, ${outcome === 'succeeded' ? '5A' : '5B'} and six zeros`, () => {
    const reply = `00 ${outcome === 'succeeded' ? '5a' : '5b'}${zeros(6)}`;
    assert.equal(spaced(encodeReply('socks4', outcome)), reply);
    assert.equal(spaced(encodeReply('socks4', outcome, 'extended')), reply);
  });
}

test('HTTP: a success is a status and nothing else, a failure has its reason as text, and every status fits', () => {
  assert.equal(String(encodeReply('http', 'succeeded')), 'HTTP/1.1 200 Connection established\r\n\r\n');
  for (const outcome of Object.keys(CODES).filter(isOutcome)) {
    if (outcome === 'succeeded') continue;
    const reply = String(encodeReply('http', outcome, 'extended'));
    const [, reason, length, text] =
      /^HTTP\/1\.1 ([45]\d\d [A-Z].*)\r\nContent-Type: text\/plain\r\nContent-Length: (\d+)\r\nConnection: close\r\n\r\n(.*\n)$/.exec(
        reply,
      ) ?? assert.fail(reply);
    assert.deepEqual([Number(length), text], [text?.length, `${reason}\n`]);
  }
});

const ADDRESS = toAddress(hex('fd 60 db 4d dd b5 54 d8 72 66 8a 0b fc 9c 51 63'));

test('D16 a reply with an address has 22 bytes', () => {
  assert.equal(spaced(encodeAddressReply(ADDRESS, 65_534)), `05 00 00 04 ${spaced(ADDRESS)} ff fe`);
});

test('the answer to RESOLVE_PTR, and nothing else, carries a name', () => {
  assert.equal(spaced(encodeNameReply('a.i2p')), '05 00 00 03 05 61 2e 69 32 70 00 00');
});

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

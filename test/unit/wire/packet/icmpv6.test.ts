/** ICMPv6 errors for local senders: against a checksum worked out in another way, and the rules of RFC 4443 on silence. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { toAddress } from '../../../../src/wire/i2p/address.ts';
import { checksum, codeForAbsence, mayAnswer, UNREACHABLE, unreachable } from '../../../../src/wire/packet/icmpv6.ts';
import { hex, noise } from '../../kit/support.ts';
import { OURS, packet, THEIRS } from './packets.ts';

const FROM = toAddress(THEIRS);
const ICMPV6 = 58;
const HOST = hex('fd60 db4d ddb5 1111 2222 3333 4444 5555');

/** RFC 1071 over RFC 8200's pseudo header, written out: one big number, digits of base 2^16, end-around carry by modulo. */
function plainChecksum(bytes: Buffer): number {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length - 40);
  const summed = Buffer.concat([
    bytes.subarray(8, 40),
    length,
    Buffer.from([0, 0, 0, bytes[6] ?? 0]),
    bytes.subarray(40),
    Buffer.alloc(bytes.length % 2),
  ]);
  const modulo = Number(BigInt(`0x${summed.toString('hex')}`) % 0xffffn);
  return modulo === 0 ? 0 : 0xffff - modulo;
}

/** In ones' complement 0 is written as 0000 or as ffff. */
const sameSum = (one: number, other: number) => one % 0xffff === other % 0xffff;

test('an echo request, worked out by hand', () => {
  // fe80 + 1 + fe80 + 2 + 10 + 3a + 8000 + 1234 + 1 + 6162 + 6364 + 6566 + 6768 = 42116; 2116 + 4 = 211a; dee5 is not that
  const echo = packet(hex('80 00 00 00 12 34 00 01 61 62 63 64 65 66 67 68'), {
    next: ICMPV6,
    source: hex('fe80 0000 0000 0000 0000 0000 0000 0001'),
    destination: hex('fe80 0000 0000 0000 0000 0000 0000 0002'),
  });
  assert.equal(checksum(echo), 0xdee5);
});

test('the checksum is what the other way gives, for any length and any bytes', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 300 }),
      fc.uint8Array({ minLength: 16, maxLength: 16 }),
      (payload, source) => {
        const bytes = packet(payload, { next: ICMPV6, source: Buffer.from(source) });
        assert.ok(sameSum(checksum(bytes), plainChecksum(bytes)));
      },
    ),
    { numRuns: 400, interruptAfterTimeLimit: 800 },
  );
});

test('the longest packet, all ones, does not overflow the sum', () => {
  const bytes = packet(Buffer.alloc(0xffff, 0xff), {
    next: ICMPV6,
    source: Buffer.alloc(16, 0xff),
    destination: Buffer.alloc(16, 0xff),
  });
  assert.ok(sameSum(checksum(bytes), plainChecksum(bytes)));
});

test('an error is a whole ICMPv6 packet to the sender, quoting as much as fits into 1280 bytes', () => {
  for (const payloadLength of [0, 1, 7, 8, 100, 1191, 1192, 1193, 1240, 1460, 9000, 0xffff]) {
    for (const code of Object.values(UNREACHABLE)) {
      const about = packet(noise(payloadLength, payloadLength + 1), { source: HOST });
      const answer = unreachable(FROM, code, about);
      assert.equal(answer.length, Math.min(48 + about.length, 1280));
      assert.equal(answer.readUInt32BE(0) >>> 28, 6);
      assert.equal(answer.readUInt16BE(4), answer.length - 40);
      assert.equal(answer[6], ICMPV6);
      assert.ok((answer[7] ?? 0) >= 1, 'hop limit');
      assert.deepEqual(answer.subarray(8, 24), THEIRS);
      assert.deepEqual(answer.subarray(24, 40), HOST);
      assert.deepEqual([answer[40], answer[41]], [1, code]);
      assert.equal(answer.readUInt32BE(44), 0, 'four unused bytes');
      assert.deepEqual(answer.subarray(48), about.subarray(0, answer.length - 48));

      assert.equal(checksum(answer), 0, 'over the whole, checksum included');
      const without = Buffer.from(answer);
      without.writeUInt16BE(0, 42);
      assert.equal(answer.readUInt16BE(42), plainChecksum(without));
      assert.equal(mayAnswer(answer), false, 'nobody answers an answer');
    }
  }
});

test('the codes are those of RFC 4443, section 3.1', () => {
  assert.deepEqual(UNREACHABLE, { noRoute: 0, address: 3, sourcePolicy: 5 });
});

test('of an absent host only a TCP segment without SYN hears that there is no route, and hears it at once', () => {
  const segment = (flags: number) =>
    packet(Buffer.concat([noise(13, 1), Buffer.from([flags]), noise(6, 2)]), { next: 6 });
  const codes: ReadonlyArray<readonly [name: string, bytes: Buffer, code: number]> = [
    ['a segment of a connection that stands', segment(0x10), 0],
    ['with all flags but SYN', segment(0xfd), 0],
    ['its end', segment(0x11), 0],
    ['an attempt to connect', segment(0x02), 3],
    ['one with ECN', segment(0xc2), 3],
    ['the answer to one', segment(0x12), 3],
    ['TCP that is cut off before its flags', packet(noise(13, 3), { next: 6 }), 3],
    ['UDP', packet(noise(20, 4), { next: 17 }), 3],
    ['an echo request', packet(noise(20, 5), { next: ICMPV6 }), 3],
    ['TCP behind options', packet(noise(40, 6), { next: 60 }), 3],
  ];
  for (const [name, bytes, code] of codes) {
    assert.equal(codeForAbsence(bytes, 'expired-last'), code, name);
    assert.equal(codeForAbsence(bytes, 'queued'), code === 0 ? 0 : undefined, name);
    assert.equal(codeForAbsence(bytes, 'expired'), code === 0 ? undefined : code, name);
  }
});

test('an answer does not change the packet that it is about', () => {
  const about = packet(noise(100, 1));
  const before = Buffer.from(about);
  unreachable(FROM, 0, about);
  assert.deepEqual(about, before);
});

const UNSPECIFIED = Buffer.alloc(16);
const LOOPBACK = hex('0000 0000 0000 0000 0000 0000 0000 0001');

const ANSWERED: ReadonlyArray<readonly [name: string, bytes: Buffer, answered: boolean]> = [
  ['UDP', packet(noise(8, 1), { next: 17 }), true],
  ['TCP', packet(noise(20, 2), { next: 6 }), true],
  ['an unknown protocol', packet(noise(5, 3), { next: 253 }), true],
  ['a payload of nothing', packet(Buffer.alloc(0), { next: 17 }), true],
  ['a fragment', packet(hex('11 00 00 01 00 00 00 01 00'), { next: 44 }), true],
  ['an echo request', packet(hex('80 00 00 00'), { next: ICMPV6 }), true],
  ['an echo reply', packet(hex('81 00 00 00'), { next: ICMPV6 }), true],
  ['a destination unreachable', packet(hex('01 00 00 00'), { next: ICMPV6 }), false],
  ['a packet too big', packet(hex('02 00 00 00'), { next: ICMPV6 }), false],
  ['a time exceeded', packet(hex('03 00 00 00'), { next: ICMPV6 }), false],
  ['a parameter problem', packet(hex('04 00 00 00'), { next: ICMPV6 }), false],
  ['an error of an unknown type', packet(hex('7f 00 00 00'), { next: ICMPV6 }), false],
  ['type 0', packet(hex('00 00 00 00'), { next: ICMPV6 }), false],
  ['a redirect', packet(hex('89 00 00 00'), { next: ICMPV6 }), false],
  ['ICMPv6 without even a type', packet(Buffer.alloc(0), { next: ICMPV6 }), false],
  ['an error behind hop-by-hop options', packet(hex('3a 00 01 04 00 00 00 00 01 00 00 00'), { next: 0 }), false],
  ['an echo request behind them', packet(hex('3a 00 01 04 00 00 00 00 80 00 00 00'), { next: 0 }), true],
  [
    'an error behind a routing header and longer options',
    packet(hex(`3c 00 ${'00 '.repeat(6)} 3a 01 ${'00 '.repeat(14)} 03 00`), { next: 43 }),
    false,
  ],
  [
    'an error behind an authentication header',
    packet(hex(`3a 04 ${'00 '.repeat(22)} 01 00 00 00`), { next: 51 }),
    false,
  ],
  ['a redirect in a first fragment', packet(hex('3a 00 00 01 00 00 00 01 89 00'), { next: 44 }), false],
  ['a later fragment of ICMPv6, whatever it is', packet(hex('3a 00 00 08 00 00 00 01 80 00'), { next: 44 }), false],
  ['a later fragment of UDP', packet(hex('11 00 00 08 00 00 00 01 01 00'), { next: 44 }), true],
  ['UDP behind options', packet(hex('11 00 01 04 00 00 00 00 01 00 00 00'), { next: 60 }), true],
  ['an extension header that is cut off', packet(hex('3a 01 01 04 00 00 00 00'), { next: 0 }), false],
  ['more extension headers than anybody needs', packet(hex('3c 00 01 04 00 00 00 00'.repeat(9)), { next: 60 }), false],
  ['from ::', packet(noise(8, 4), { source: UNSPECIFIED }), false],
  ['from a multicast address', packet(noise(8, 5), { source: hex('ff02 0000 0000 0000 0000 0000 0000 0001') }), false],
  [
    'to a multicast address',
    packet(noise(8, 6), { destination: hex('ff02 0000 0000 0000 0000 0000 0000 00fb') }),
    false,
  ],
  [
    'an echo request to a multicast address',
    packet(hex('80 00 00 00'), { next: ICMPV6, destination: hex('ff0e 0000 0000 0000 0000 0000 0000 0001') }),
    false,
  ],
  ['from ::1, which is not ::', packet(noise(8, 7), { source: LOOPBACK }), true],
  ['shorter than a header', packet(Buffer.alloc(0)).subarray(0, 39), false],
  ['nothing', Buffer.alloc(0), false],
];

for (const [name, bytes, answered] of ANSWERED) {
  test(`${name} is ${answered ? '' : 'not '}answered`, () => {
    assert.equal(mayAnswer(bytes), answered);
  });
}

test('whether the sender is one of ours does not matter here', () => {
  assert.equal(
    mayAnswer(packet(noise(8, 8), { source: OURS })),
    mayAnswer(packet(noise(8, 8), { source: hex('2001 0db8 0000 0000 0000 0000 0000 0001') })),
  );
});

/** The one derivation of addresses: fixed vectors, several of them printed by OnionCat 4.11 itself. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  ADDRESS_LENGTH,
  addressesOf,
  addressKey,
  addressOfShortName,
  formatAddress,
  inPrefix,
  PREFIX,
  parseIpv6,
  shortNameOf,
  toAddress,
} from '../../../../src/wire/i2p/address.ts';
import { parseB32 } from '../../../../src/wire/i2p/destination.ts';
import { gateError, hex } from '../../kit/support.ts';
import { plainBase32 } from './fixtures.ts';

test('the vector that everything else hangs on', () => {
  const { oc, ocat4 } = addressesOf(parseB32('ktmhezukbp6jyuldedcjmso6p4e6aegeikqli2mne67hnttgmvfa'));
  assert.equal(formatAddress(oc), 'fd60:db4d:ddb5:54d8:7266:8a0b:fc9c:5163');
  assert.equal(formatAddress(ocat4), 'fd60:db4d:ddb5:4698:d27b:e76c:e666:54a0');
  assert.equal(shortNameOf(oc), 'ktmhezukbp6jyuld');
  assert.equal(shortNameOf(ocat4), 'i2mne67hnttgmvfa');
});

/** What `ocat -I -i NAME` and `ocat -I -o ADDRESS` say. */
const ONIONCAT: ReadonlyArray<readonly [b32: string, ocat4: string, short: string]> = [
  [
    'ktmhezukbp6jyuldedcjmso6p4e6aegeikqli2mne67hnttgmvfa',
    'fd60:db4d:ddb5:4698:d27b:e76c:e666:54a0',
    'i2mne67hnttgmvfa',
  ],
  [
    'udhdrtrcetjm5sxzskjyr5ztpeszydbh4dpl3pl4utgqqw2v4jna',
    'fd60:db4d:ddb5:dbd7:ca4c:d085:b55e:25a0',
    '3pl4utgqqw2v4jna',
  ],
  [
    'j3dtidfppd6mkxecq6cz7raw44auavkmihlvuqb4fea7qcwuqtua',
    'fd60:db4d:ddb5:a403:c290:1f80:ad48:4e80',
    'uqb4fea7qcwuqtua',
  ],
  [
    'frtqmwskz5wdqjhwk4mljdavu7u524qa2fze5a3ypoxefnsvl4dq',
    'fd60:db4d:ddb5:e837:87ba:e42b:6555:f070',
    '5a3ypoxefnsvl4dq',
  ],
  [
    'cmo4x6eyae7yzdu2fvbitazowbpomnf4lviaccu6ytausctvvgeq',
    'fd60:db4d:ddb5:10a9:ec4c:1490:a75a:9890',
    'ccu6ytausctvvgeq',
  ],
];

for (const [b32, text, short] of ONIONCAT) {
  test(`OnionCat 4.11: ${short}`, () => {
    const { oc, ocat4 } = addressesOf(parseB32(b32));
    assert.equal(formatAddress(ocat4), text);
    assert.equal(shortNameOf(ocat4), short);
    assert.deepEqual(addressOfShortName(short), ocat4);
    assert.equal((ocat4[15] ?? 1) & 0x0f, 0, 'the low 4 bits of an ocat4 address are 0');
    assert.equal(shortNameOf(oc), b32.slice(0, 16));
    assert.deepEqual(addressOfShortName(b32.slice(0, 16)), oc);
  });
}

test("the three made-up nodes of OnionCat's notes are base32 of sha256 of their labels", async () => {
  const { createHash } = await import('node:crypto');
  const names = ['oc-a', 'oc-b', 'oc-c'].map((label) => plainBase32(createHash('sha256').update(label).digest()));
  assert.deepEqual(
    names,
    ONIONCAT.slice(2).map(([b32]) => b32),
  );
});

const SHORT_NAMES: ReadonlyArray<readonly [short: string, address: string]> = [
  ['aaaaaaaaaaaaaaaa', 'fd60:db4d:ddb5::'],
  ['7777777777777777', 'fd60:db4d:ddb5:ffff:ffff:ffff:ffff:ffff'],
  ['aerukz4jvpg66ajd', 'fd60:db4d:ddb5:123:4567:89ab:cdef:123'],
  ['aaaaaaaaadpk3pxp', 'fd60:db4d:ddb5::dead:beef'],
  ['aaaaaaaaad7o3pxp', 'fd60:db4d:ddb5::feed:beef'],
];

for (const [short, text] of SHORT_NAMES) {
  test(`${short} is ${text}`, () => {
    const address = addressOfShortName(short);
    assert.equal(formatAddress(address), text);
    assert.equal(shortNameOf(address), short);
    assert.deepEqual(addressOfShortName(short.toUpperCase()), address);
    assert.deepEqual(parseIpv6(text), address);
  });
}

for (const text of [
  '',
  'aaaaaaaaaaaaaaa',
  'aaaaaaaaaaaaaaaaa',
  'aaaaaaaaaaaaaaa0',
  'aaaaaaaaaaaaaaa1',
  'aaaaaaaaaaaaaaa8',
  'aaaaaaaaaaaaaaa9',
  'aaaaaaaa.aaaaaaa',
  'aaaaaaaaaaaaaaa ',
  '\u212aaaaaaaaaaaaaaaa',
]) {
  test(`not a short name: ${JSON.stringify(text)}`, () => {
    gateError('name-invalid', () => addressOfShortName(text));
  });
}

test('the prefix is recognised at its place, whole, and nowhere else', () => {
  const packet = Buffer.concat([Buffer.alloc(8, 0xaa), hex('fd60 db4d ddb5 0000 0000 0000 0000 0001')]);
  assert.equal(inPrefix(packet, 8), true);
  assert.equal(inPrefix(packet, 7), false);
  assert.equal(inPrefix(packet, 9), false);
  for (let bit = 0; bit < 48; bit += 1) {
    const other = Buffer.from(packet);
    const at = 8 + (bit >> 3);
    other[at] = (other[at] ?? 0) ^ (0x80 >> (bit & 7));
    assert.equal(inPrefix(other, 8), false, `bit ${bit}`);
  }
  assert.equal(inPrefix(PREFIX.subarray(0, 5), 0), false, 'cut off');
  assert.equal(inPrefix(Buffer.alloc(0), 0), false);
});

test('bytes become an address only inside the /48 and only as 16 bytes', () => {
  const good = hex('fd60 db4d ddb5 ffff ffff ffff ffff ffff');
  assert.deepEqual(toAddress(good), good);
  for (const wrong of [
    '',
    'fd60 db4d ddb5',
    `${good.toString('hex')} 00`,
    'fd60 db4d ddb4 0000 0000 0000 0000 0001',
    '0000 fd60 db4d ddb5 0000 0000 0000 0001',
    '2001 0db8 0000 0000 0000 0000 0000 0001',
  ]) {
    gateError('name-invalid', () => toAddress(hex(wrong)));
  }
});

test('two addresses have one key exactly when they are the same, wherever they stand', () => {
  const tail = fc.uint8Array({ minLength: 10, maxLength: 10 });
  fc.assert(
    fc.property(tail, tail, fc.integer({ min: 0, max: 60 }), (one, other, offset) => {
      const address = Buffer.concat([PREFIX, one]);
      const inside = Buffer.concat([Buffer.alloc(offset, 0x5a), address, Buffer.alloc(3)]);
      assert.equal(addressKey(inside, offset), addressKey(address));
      assert.equal(
        addressKey(address) === addressKey(Buffer.concat([PREFIX, other])),
        Buffer.compare(one, other) === 0,
      );
      const short = shortNameOf(toAddress(address));
      assert.equal(short, plainBase32(one));
      assert.deepEqual(addressOfShortName(short), address);
      assert.deepEqual(parseIpv6(formatAddress(address)), address);
    }),
    { numRuns: 200, interruptAfterTimeLimit: 800 },
  );
});

const CANONICAL: ReadonlyArray<readonly [text: string, canonical: string]> = [
  ['FD60:DB4D:DDB5::1', 'fd60:db4d:ddb5::1'],
  ['fd60:db4d:ddb5:0000:0000:0000:0000:0001', 'fd60:db4d:ddb5::1'],
  ['fd60:db4d:ddb5:0:1:0:0:1', 'fd60:db4d:ddb5:0:1::1'],
  ['fd60:db4d:ddb5:1:0:1:0:1', 'fd60:db4d:ddb5:1:0:1:0:1'],
  ['fd60:db4d:ddb5:1:2:3:4:0', 'fd60:db4d:ddb5:1:2:3:4:0'],
  ['::', '::'],
  ['::1', '::1'],
  ['1::', '1::'],
  ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
];

for (const [text, canonical] of CANONICAL) {
  test(`${text} is written ${canonical}`, () => {
    const bytes = parseIpv6(text);
    assert.equal(bytes?.length, ADDRESS_LENGTH);
    assert.equal(formatAddress(bytes ?? Buffer.alloc(0)), canonical);
  });
}

const NOT_IPV6 = [
  '',
  ':',
  ':::',
  '1',
  '1:2:3:4:5:6:7',
  '1:2:3:4:5:6:7:8:9',
  '1::2::3',
  '12345::',
  'g::',
  'fe80::1%eth0',
  'fd60:db4d:ddb5::1%25eth0',
  'fd60:db4d:ddb5::/48',
  '[::1]',
  ' ::1',
  '::1 ',
  '::1\n',
  '::1\0',
  '127.0.0.1',
  '2130706433',
  '0x7f000001',
  '::1.2.3',
  '::256.1.1.1',
  '1:2:3:4:5:6:7:1.2.3.4',
  'fd60:db4d:ddb5::１',
  'localhost',
  '-1::',
  '+1::',
  '0x1::',
];

for (const text of NOT_IPV6) {
  test(`not an IPv6 address: ${JSON.stringify(text)}`, () => {
    assert.equal(parseIpv6(text), undefined);
  });
}

/** What a text that names a host stands for. Everything that is not plainly I2P must be told from it here. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { GateError } from '../../../../src/kit/errors.ts';
import { formatAddress } from '../../../../src/wire/i2p/address.ts';
import { classifyHost } from '../../../../src/wire/i2p/hostname.ts';
import { madeUp } from './fixtures.ts';

const B32 = 'ktmhezukbp6jyuldedcjmso6p4e6aegeikqli2mne67hnttgmvfa';
const B33 = `${'a'.repeat(55)}q`;
const NODE = madeUp(1);
const RSA = madeUp(2, `05 0184 0006 0000 ${'ab'.repeat(384)}`);

/** In short: the class, and what is in it. */
function classOf(text: string): string {
  let host: ReturnType<typeof classifyHost>;
  try {
    host = classifyHost(text);
  } catch (error) {
    assert.ok(error instanceof GateError && error.kind === 'name-invalid', String(error));
    return 'invalid';
  }
  switch (host.kind) {
    case 'b32':
      return `b32 ${host.b32}`;
    case 'b33':
    case 'address-book':
      return `${host.kind} ${host.host}`;
    case 'peer':
      return `peer ${host.name}`;
    case 'address':
      return `address ${formatAddress(host.address)}`;
    case 'destination':
      return `destination ${host.destination.b32}`;
    case 'foreign':
      return `foreign ${host.form}`;
    default:
      return host satisfies never;
  }
}

const CLASSES: Readonly<Record<string, readonly string[]>> = {
  // Names that the address book of the router knows.
  'address-book x.i2p': ['x.i2p', 'X.I2P', 'x.I2P.', 'x.i2p.'],
  'address-book a.b.c.i2p': ['a.b.c.i2p'],
  'address-book xn--mnchen-3ya.i2p': ['xn--mnchen-3ya.i2p', 'XN--MNCHEN-3YA.i2p'],
  'address-book i2p.i2p': ['i2p.i2p'],
  'address-book 127.0.0.1.i2p': ['127.0.0.1.i2p'],
  'address-book example.com.i2p': ['example.com.i2p'],

  // Hashes.
  [`b32 ${B32}`]: [`${B32}.b32.i2p`, `${B32.toUpperCase()}.B32.I2P`, `${B32}.b32.i2p.`],
  [`b33 ${B33}.b32.i2p`]: [`${B33}.b32.i2p`, `${B33.toUpperCase()}.b32.i2p`],

  // Peers by the names in the config.
  'peer alice': ['alice.peer.b32.i2p', 'Alice.Peer.B32.I2P.'],
  'peer bob.at_home-2': ['bob.at_home-2.peer.b32.i2p'],
  'peer peer': ['peer.peer.b32.i2p'],
  'peer x.oc': ['x.oc.peer.b32.i2p'],
  'address-book alice.peer.i2p': ['alice.peer.i2p'],
  'address-book peer.i2p': ['peer.i2p'],

  // Addresses in both of their forms.
  'address fd60:db4d:ddb5:54d8:7266:8a0b:fc9c:5163': [
    'ktmhezukbp6jyuld.oc.b32.i2p',
    'KTMHEZUKBP6JYULD.OC.B32.I2P.',
    'fd60:db4d:ddb5:54d8:7266:8a0b:fc9c:5163',
    'FD60:DB4D:DDB5:54D8:7266:8A0B:FC9C:5163',
    '[fd60:db4d:ddb5:54d8:7266:8a0b:fc9c:5163]',
  ],
  'address fd60:db4d:ddb5::': ['aaaaaaaaaaaaaaaa.oc.b32.i2p', 'fd60:db4d:ddb5::', 'fd60:db4d:ddb5:0:0:0:0:0'],

  // Whole destinations.
  [`destination ${NODE.b32}`]: [NODE.base64],
  [`destination ${RSA.b32}`]: [RSA.base64],

  // IPv4 in every spelling that some resolver takes.
  'foreign ipv4': [
    '127.0.0.1',
    '127.0.0.1.',
    '10.0.0.1',
    '0.0.0.0',
    '0.0.0.1',
    '255.255.255.255',
    '0177.0.0.1',
    '0177.0.0.01',
    '00000177.0.0.1',
    '2130706433',
    '017700000001',
    '0x7f000001',
    '0X7F000001',
    '0x7f.1',
    '0x7f.0.0.1',
    '0x7f.0x0.0x0.0x1',
    '127.1',
    '127.0.1',
    '1',
    '0',
    '256.256.256.256',
    '999999999999',
    '169.254.169.254',
    '224.0.0.1',
  ],
  'foreign ipv6': [
    '::1',
    '[::1]',
    '::',
    'fd00::1',
    'fe80::1',
    'ff02::1',
    '2001:db8::1',
    '::ffff:127.0.0.1',
    '::ffff:7f00:1',
    '::127.0.0.1',
    '64:ff9b::7f00:1',
    'fd60:db4d:ddb4::1',
    'fd60:db4d:ddb6::1',
    'fd60:db4d::1',
    '0:fd60:db4d:ddb5::1',
    '::fd60:db4d:ddb5',
  ],
  'foreign name': [
    'example.com',
    'example.i2p.com',
    'example.com.',
    'x.onion',
    'localhost',
    'localhost.',
    'LOCALHOST',
    'localhost.localdomain',
    'i2p',
    'i2p.',
    'I2P',
    'xi2p',
    'x.i2pp',
    'x.i2p2',
    'x-i2p',
    'x.oc.b32.i2p.com',
    `${B32}.b32.i2p.onion`,
    'b32',
    'router',
    'a_b',
    '1.2.3.4.5',
    '1.2.3.4.com',
    '0x',
    '0xg.1',
    '1.2.3.0xg',
  ],
  invalid: [
    '',
    '.',
    '..',
    '.i2p',
    '..i2p',
    'x..i2p',
    'x.i2p..',
    '.x.i2p',
    '.example.com',
    // Never a name for DNS nor for I2P; some of these would be taken apart by a parser behind us.
    'x.i2p\0',
    'x\0.i2p',
    'x.com\0.i2p',
    'x.i2p\n',
    'x.i2p\r\n',
    'x\nNAMING LOOKUP.i2p',
    ' x.i2p',
    'x.i2p ',
    'x y.i2p',
    'x\t.i2p',
    'http://x.i2p',
    'x.i2p/',
    'x.i2p:80',
    'user@x.i2p',
    'x"y.i2p',
    'x\\y.i2p',
    'x=y.i2p',
    'x,y.i2p',
    'x;y.i2p',
    "x'y.i2p",
    '*.i2p',
    'x%00.i2p',
    'x%2ei2p',
    // Anything that is not ASCII: names from people come in their xn-- form.
    'münchen.i2p',
    'x。i2p',
    'x．i2p',
    'x.i２p',
    'x.\u0131 2p',
    '\u212aey.i2p',
    'x.\u212a.i2p',
    'x\u200b.i2p',
    '１２７.0.0.1',
    // Brackets and zones.
    'fe80::1%eth0',
    '[fe80::1%eth0]',
    'fd60:db4d:ddb5::1%eth0',
    'fd60:db4d:ddb5::/48',
    '[::1',
    '::1]',
    '[::1]:80',
    '[[::1]]',
    '[]',
    '[x.i2p]',
    '[127.0.0.1]',
    ':',
    '1:2:3',
    // Not quite b32.
    'b32.i2p',
    'x.b32.i2p',
    'peer.b32.i2p',
    '.peer.b32.i2p',
    'a..b.peer.b32.i2p',
    '.b32.i2p',
    'oc.b32.i2p',
    '.oc.b32.i2p',
    'x.oc.b32.i2p',
    `${B32.slice(0, -1)}.b32.i2p`,
    `${B32}a.b32.i2p`,
    `${B32}aa.b32.i2p`,
    `${B32}aaa.b32.i2p`,
    `${B32.slice(0, -1)}b.b32.i2p`,
    `${B32.slice(0, -1)}7.b32.i2p`,
    `${'1'.repeat(51)}a.b32.i2p`,
    `${'0'.repeat(52)}.b32.i2p`,
    `${'a'.repeat(55)}1.b32.i2p`,
    `${'a'.repeat(55)}_.b32.i2p`,
    `${'a'.repeat(55)}-.b32.i2p`,
    `www.${B32}.b32.i2p`,
    `www.${B33}.b32.i2p`,
    `${B32}.oc.b32.i2p`,
    'ktmhezukbp6jyul.oc.b32.i2p',
    'ktmhezukbp6jyulda.oc.b32.i2p',
    'ktmhezukbp6jyul1.oc.b32.i2p',
    'www.ktmhezukbp6jyuld.oc.b32.i2p',
    'ktmhezukbp6jyuld.b32.i2p',
    // Not quite a destination.
    NODE.base64.slice(0, -1),
    NODE.base64.slice(4),
    NODE.base64.slice(0, 400),
    `${NODE.base64}AAAA`,
    `${NODE.base64}.i2p`,
    'A'.repeat(520),
  ],
};

for (const [wanted, texts] of Object.entries(CLASSES)) {
  test(`${wanted.slice(0, 60)}: ${texts.length} texts`, () => {
    for (const text of texts) assert.equal(classOf(text), wanted, JSON.stringify(text));
  });
}

test('255 characters are a name, 256 are none', () => {
  const label = 'a'.repeat(49);
  const name = `${label}.${label}.${label}.${label}.${'a'.repeat(51)}.i2p`;
  assert.equal(name.length, 255);
  assert.equal(classOf(name), `address-book ${name}`);
  assert.equal(classOf(`a${name}`), 'invalid');
  assert.equal(classOf('a'.repeat(255)), 'foreign name');
  assert.equal(classOf('a'.repeat(256)), 'invalid');
  assert.equal(classOf(`${'a.'.repeat(125)}a.i2p`), `address-book ${'a.'.repeat(125)}a.i2p`);
  assert.equal(classOf(`${'a.'.repeat(126)}a.i2p`), 'invalid');
});

test('an error about a name never quotes it', () => {
  for (const text of ['secret-name..i2p', 'secret name.i2p', `secret${'x'.repeat(300)}`, 'www.secret.b32.i2p']) {
    try {
      classifyHost(text);
      assert.fail('nothing was thrown');
    } catch (error) {
      assert.ok(error instanceof GateError && !error.message.includes('secret'), String(error));
    }
  }
});

test('what goes to the router for any text is lower case, ends in .i2p, and has nothing in it that SAM could mistake', () => {
  const letter = fc.constantFrom(
    ...'aZ09-_.:[]%/ "=\\\n\0ü\u212a\u0130x2q',
    '.i2p',
    '.b32.i2p',
    '.oc',
    'xn--',
    '0x',
    'fd60:db4d:ddb5::',
    B32,
    '127.0.0.1',
  );
  fc.assert(
    fc.property(fc.array(letter, { maxLength: 12 }), (letters) => {
      const text = letters.join('');
      let host: ReturnType<typeof classifyHost>;
      try {
        host = classifyHost(text);
      } catch (error) {
        assert.ok(error instanceof GateError && error.kind === 'name-invalid');
        return;
      }
      if (host.kind === 'address-book' || host.kind === 'b33') {
        assert.match(host.host, /^[a-z0-9._-]+\.i2p$/);
        assert.equal(host.host, text.replace(/[A-Z]/g, (upper) => upper.toLowerCase()).replace(/\.$/, ''));
      }
      if (host.kind === 'foreign') assert.doesNotMatch(text, /\.i2p\.?$/i);
    }),
    { numRuns: 4000, interruptAfterTimeLimit: 1500 },
  );
});

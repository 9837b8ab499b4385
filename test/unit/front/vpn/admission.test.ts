import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Origin } from '../../../../src/core/inbound/switch.ts';
import { PacketAdmission, type PacketVerdict } from '../../../../src/front/vpn/admission.ts';
import { covers, type Prefix, parsePrefix } from '../../../../src/wire/packet/prefix.ts';
import { own, peer } from '../../core/support.ts';
import { packet } from './packets.ts';

function prefixes(...texts: readonly string[]): readonly Prefix[] {
  return texts.map((text) => parsePrefix(text) ?? assert.fail(text));
}

const me = own(1).addresses;
const networks = prefixes('fd98:1::/48', '2001:db8:7::/64');
const alice = peer(2, { routes: prefixes('fd12::/32', 'fd98::/16', 'fd60:db4d::/32') });
const bob = peer(3, { routes: prefixes('fd12:0:1::/48') });
const carol = peer(4);
const peers = [alice, bob, carol];
const admission = new PacketAdmission(me, peers, networks);

/** Every kind of address that a liar could think of. */
const ADDRESSES = [
  ...[me, ...peers.map(({ addresses }) => addresses)].flatMap(({ oc, ocat4 }) => [oc, ocat4]),
  peer(9).addresses.oc,
  ...[
    '::',
    '::1',
    '::ffff:7f00:1',
    'fe80::1',
    'ff02::1',
    'fd12::5',
    'fd12:0:1::5',
    'fd12:0:2::5',
    'fd98:1::5',
    'fd98:2::5',
    'fd60:db4d:1::1',
    'fd60:db4d:ddb5::',
    '2001:db8:7::7',
    '2001:db8:8::7',
    '2606:4700::1111',
  ].map((text) => prefixes(`${text}/128`)[0]?.bytes ?? assert.fail(text)),
];

function isVpn(address: Buffer): boolean {
  return address.toString('hex').startsWith('fd60db4dddb5');
}

/** The same question put slowly. */
function ownerOf(address: Buffer): string | undefined {
  const is = ({ oc, ocat4 }: typeof me) => address.equals(oc) || address.equals(ocat4);
  if (isVpn(address)) return is(me) ? 'here' : peers.find((one) => is(one.addresses))?.name;
  const behind = [
    ...networks.map((prefix) => ({ prefix, owner: 'here' })),
    ...peers.flatMap(({ name, routes }) => routes.map((prefix) => ({ prefix, owner: name }))),
  ];
  return behind
    .filter(({ prefix }) => covers(prefix, { bytes: address, bits: 128 }))
    .toSorted((one, other) => other.prefix.bits - one.prefix.bits)[0]?.owner;
}

test('every pair of addresses is judged as the slow way judges it', () => {
  for (const from of peers) {
    for (const origin of ['verified', 'unverified'] satisfies Origin[]) {
      for (const source of ADDRESSES) {
        for (const destination of ADDRESSES) {
          const bytes = Buffer.concat([Buffer.alloc(3), packet(source, destination, 1)]);
          const isSource = ownerOf(source) === from.name && (origin === 'verified' || isVpn(source));
          const refusal = isSource ? 'foreignDestination' : 'foreignSource';
          const wanted: PacketVerdict = isSource && ownerOf(destination) === 'here' ? 'admit' : refusal;
          assert.equal(admission.judgeInbound(from, origin, bytes, 3, bytes.length), wanted);
        }
      }
    }
  }
});

test('what lies behind whom is said alike on the way out', () => {
  for (const address of ADDRESSES) {
    assert.equal(admission.isOurs(address, 0), ownerOf(address) === 'here', address.toString('hex'));
    const owner = ownerOf(address);
    if (!isVpn(address)) assert.equal(admission.peerBehind(address, 0)?.name, owner === 'here' ? undefined : owner);
  }
});

/** An ICMPv6 message behind extension headers: [kind, further units of 8 bytes]. */
function icmp(
  type: number,
  extensions: readonly (readonly [number, number])[],
  quoted: Buffer = Buffer.alloc(0),
): Buffer {
  const bytes = packet(carol.addresses.oc, me.oc, 0, 0);
  const kinds = [...extensions.map(([kind]) => kind), 58];
  bytes[6] = kinds[0] ?? 58;
  const headers = extensions.map(([kind, units], at) => {
    const header = Buffer.alloc(kind === 44 ? 8 : 8 + (kind === 51 ? 4 : 8) * units);
    header[0] = kinds[at + 1] ?? 58;
    header[1] = kind === 44 ? 0 : units;
    return header;
  });
  const whole = Buffer.concat([bytes, ...headers, Buffer.from([type, 0, 0, 0, 0, 0, 0, 0]), quoted]);
  whole.writeUInt16BE(whole.length - 40, 4);
  return whole;
}

test('messages of one link are refused, also behind extension headers', () => {
  const LINK = [130, 131, 132, 133, 134, 135, 136, 137, 143];
  const judge = (bytes: Buffer) => admission.judgeInbound(carol, 'verified', bytes, 0, bytes.length);
  const extension = fc.tuple(fc.constantFrom(0, 43, 44, 51, 60), fc.integer({ min: 0, max: 3 }));
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 255 }), fc.array(extension, { maxLength: 8 }), (type, extensions) => {
      const quoted = packet(me.oc, carol.addresses.oc, 1);
      assert.equal(judge(icmp(type, extensions, quoted)), LINK.includes(type) ? 'linkMessage' : 'admit');
    }),
  );
  assert.equal(
    judge(
      icmp(
        128,
        Array.from({ length: 9 }, () => [60, 0] as const),
      ),
    ),
    'linkMessage',
  );
});

test('what begins behind the first fragment is taken for what it could be', () => {
  const first = icmp(1, [
    [44, 0],
    [60, 1],
  ]);
  for (const length of [48, 64]) {
    const cut = first.subarray(0, length);
    assert.equal(admission.judgeInbound(carol, 'verified', cut, 0, cut.length), 'linkMessage', `${length}`);
  }
  const later = Buffer.concat([first]);
  later[43] = 8;
  assert.equal(admission.judgeInbound(carol, 'verified', later, 0, later.length), 'admit');
});

test('an error is let in only about what was sent to whom it comes from, also behind extension headers', () => {
  const judge = (from: typeof carol, origin: Origin, bytes: Buffer) => {
    const error = Buffer.concat([bytes]);
    from.addresses.oc.copy(error, 8);
    return admission.judgeInbound(from, origin, error, 0, error.length);
  };
  const about = (to: Buffer) => packet(me.oc, to, 1);
  const behindAlice = prefixes('fd12::5/128')[0]?.bytes ?? assert.fail();
  const fragment = [[44, 0]] as const;
  for (const type of [1, 2, 3, 4, 100, 127]) {
    for (const extensions of [[], [[60, 1]], fragment] as const) {
      const judged = (from: typeof carol, to: Buffer, origin: Origin = 'verified') =>
        judge(from, origin, icmp(type, extensions, about(to)));
      assert.equal(judged(carol, carol.addresses.oc), 'admit');
      assert.equal(judged(carol, carol.addresses.ocat4), 'admit');
      assert.equal(judged(carol, bob.addresses.oc), 'foreignQuote');
      assert.equal(judged(carol, me.oc), 'foreignQuote');
      assert.equal(judged(carol, behindAlice), 'foreignQuote');
      assert.equal(judged(alice, behindAlice), 'admit');
      assert.equal(judged(alice, behindAlice, 'unverified'), 'foreignQuote');
      // What it is about may stand in the next fragment.
      for (const length of [0, 8, 39]) {
        const cut = icmp(type, extensions, about(carol.addresses.oc).subarray(0, length));
        assert.equal(judge(carol, 'verified', cut), 'foreignQuote');
      }
    }
  }
  assert.equal(judge(carol, 'verified', icmp(128, [], about(bob.addresses.oc))), 'admit');
});

test('no bytes make the judge throw', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 0, maxLength: 80 }), fc.nat(255), (tail, next) => {
      const bytes = Buffer.concat([packet(carol.addresses.oc, me.oc, 0, 0), tail]);
      bytes[6] = next;
      const verdict = admission.judgeInbound(carol, 'verified', bytes, 0, bytes.length);
      assert.ok(verdict === 'admit' || verdict === 'linkMessage' || verdict === 'foreignQuote');
    }),
  );
});

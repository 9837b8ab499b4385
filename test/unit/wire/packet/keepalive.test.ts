/** The keepalive: byte for byte OnionCat's as far as an OnionCat looks, and what we say to our own kind behind it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { addressesOf } from '../../../../src/wire/i2p/address.ts';
import { parseB32 } from '../../../../src/wire/i2p/destination.ts';
import { flowLabelOf } from '../../../../src/wire/packet/ipv6.ts';
import {
  type Announcement,
  encodeKeepalive,
  isKeepalive,
  parseKeepalive,
} from '../../../../src/wire/packet/keepalive.ts';
import { hex, noise } from '../../kit/support.ts';
import { packet } from './packets.ts';

const A = parseB32('j3dtidfppd6mkxecq6cz7raw44auavkmihlvuqb4fea7qcwuqtua');
const B = parseB32('frtqmwskz5wdqjhwk4mljdavu7u524qa2fze5a3ypoxefnsvl4dq');

/** From A to B, captured from OnionCat 4.11 with -I. */
const ONIONCAT = Buffer.concat([
  hex('60 0e 82 8a  00 3e  3b 01'),
  hex('fd60 db4d ddb5 a403 c290 1f80 ad48 4e80'),
  hex('fd60 db4d ddb5 e837 87ba e42b 6555 f070'),
  hex('01'),
  Buffer.from('j3dtidfppd6mkxecq6cz7raw44auavkmihlvuqb4fea7qcwuqtua.b32.i2p\0'),
]);
/** The same of a node that was started with a 16-character name. */
const BARE = Buffer.concat([hex('60 0e 82 8a  00 00  3b 01'), ONIONCAT.subarray(8, 40)]);
const ANNOUNCEMENT_AT = 102;

const NOTHING: Announcement = { wantsAnswer: false, knowsFlows: false };

function keepalive(announcement: Announcement | undefined): Buffer {
  return encodeKeepalive({
    source: addressesOf(A).ocat4,
    destination: addressesOf(B).ocat4,
    flowLabel: 0xe828a,
    name: A,
    announcement,
  });
}

test('the capture is 102 bytes, as long as its header says', () => {
  assert.equal(ONIONCAT.length, 102);
  assert.equal(ONIONCAT.readUInt16BE(4), 62);
});

test('to an OnionCat ours is the capture, byte for byte', () => {
  assert.equal(keepalive(undefined).toString('hex'), ONIONCAT.toString('hex'));
  assert.equal(flowLabelOf(ONIONCAT), 0xe828a);
});

test('ours is the capture, but for its length and for what stands behind the NUL', () => {
  const ours = keepalive(NOTHING);
  assert.equal(ours.length, 108);
  assert.equal(ours.readUInt16BE(4), 68);
  assert.equal(ours.subarray(0, 4).toString('hex'), ONIONCAT.subarray(0, 4).toString('hex'));
  assert.equal(ours.subarray(6, ANNOUNCEMENT_AT).toString('hex'), ONIONCAT.subarray(6).toString('hex'));
});

const ANNOUNCEMENTS: ReadonlyArray<readonly [announcement: Announcement, bytes: string]> = [
  [NOTHING, '67 67 01 00 00 00'],
  [{ wantsAnswer: true, knowsFlows: false }, '67 67 01 01 00 00'],
  [{ wantsAnswer: false, knowsFlows: true }, '67 67 01 00 00 01'],
  [{ wantsAnswer: true, knowsFlows: true }, '67 67 01 01 00 01'],
  [{ wantsAnswer: true, knowsFlows: true, mtu: 1280 }, '67 67 01 01 00 01 05 00'],
  [{ wantsAnswer: false, knowsFlows: false, mtu: 65_535 }, '67 67 01 00 00 00 ff ff'],
  [{ wantsAnswer: false, knowsFlows: true, takesBig: true, mtu: 1_500 }, '67 67 01 00 00 05 05 dc'],
];

for (const [announcement, bytes] of ANNOUNCEMENTS) {
  test(`announces ${JSON.stringify(announcement)} as ${bytes}, and reads it again`, () => {
    const ours = keepalive(announcement);
    assert.equal(ours.subarray(ANNOUNCEMENT_AT).toString('hex'), hex(bytes).toString('hex'));
    assert.ok(isKeepalive(ours, 0));
    assert.deepEqual(parseKeepalive(ours), { announcement });
  });
}

const MEASUREMENTS: ReadonlyArray<readonly [announcement: Announcement, bytes: string]> = [
  [
    { ...NOTHING, mtu: 1_500, measurement: { stamp: 1, echo: undefined, received: 0 } },
    '67 67 01 00 00 02  05dc  00000001 00000000 000000000000',
  ],
  [
    {
      wantsAnswer: true,
      knowsFlows: true,
      mtu: 1_500,
      measurement: { stamp: 0xfffffffe, echo: 7, received: 0x0123456789ab },
    },
    '67 67 01 03 00 03  05dc  fffffffe 00000007 0123456789ab',
  ],
  [
    { ...NOTHING, takesBig: true, mtu: 1_500, measurement: { stamp: 2, echo: 0, received: 2 ** 48 - 1 } },
    '67 67 01 02 00 06  05dc  00000002 00000000 ffffffffffff',
  ],
];

for (const [announcement, bytes] of MEASUREMENTS) {
  test(`measures as ${bytes}, reads it again, and not when it is cut short`, () => {
    const ours = keepalive(announcement);
    assert.equal(ours.subarray(ANNOUNCEMENT_AT).toString('hex'), hex(bytes).toString('hex'));
    assert.deepEqual(parseKeepalive(ours), { announcement });
    const { measurement, ...others } = announcement;
    assert.ok(measurement !== undefined);
    for (let length = ANNOUNCEMENT_AT + 8; length < ours.length; length += 1) {
      assert.deepEqual(parseKeepalive(ours.subarray(0, length)), { announcement: others });
    }
  });
}

test("an OnionCat's own keepalives are read, with and without a name, and announce nothing", () => {
  for (const theirs of [ONIONCAT, BARE]) {
    assert.ok(isKeepalive(theirs, 0));
    assert.deepEqual(parseKeepalive(theirs), { announcement: undefined });
  }
});

test('the next header is the sole criterion, wherever the packet stands', () => {
  const run = Buffer.concat([
    packet(noise(7, 1)),
    BARE,
    packet(noise(9, 2), { next: 58 }),
    packet(noise(3, 3), { next: 59 }),
  ]);
  assert.deepEqual(
    [0, 47, 87, 136].map((start) => isKeepalive(run, start)),
    [false, true, false, true],
  );
});

test('the flow label is 20 bits and never touches the version', () => {
  for (const flowLabel of [0, 1, 0xfffff, 0x100000, 0xffffffff]) {
    const ours = encodeKeepalive({
      source: addressesOf(A).oc,
      destination: addressesOf(B).oc,
      flowLabel,
      name: A,
      announcement: NOTHING,
    });
    assert.equal(ours.readUInt32BE(0), 0x60000000 + (flowLabel % 0x100000));
  }
});

test('unknown flags and capabilities are ignored; a later version keeps the known fields where they are', () => {
  for (const [bytes, announcement] of [
    ['67 67 01 fe ff f8', NOTHING],
    ['67 67 01 ff ff ff', { wantsAnswer: true, knowsFlows: true, takesBig: true }],
    ['67 67 02 01 00 01 aa bb cc', { wantsAnswer: true, knowsFlows: true, mtu: 0xaabb }],
    ['67 67 ff 00 00 01', { wantsAnswer: false, knowsFlows: true }],
    ['67 67 01 01 00 00 99', { wantsAnswer: true, knowsFlows: false }],
  ] as const) {
    const payload = Buffer.concat([ONIONCAT.subarray(40), hex(bytes)]);
    assert.deepEqual(parseKeepalive(packet(payload, { next: 59 })), { announcement }, bytes);
  }
});

test('what is cut short, or is not our mark, announces nothing', () => {
  const ours = keepalive({ wantsAnswer: true, knowsFlows: true });
  for (let length = 0; length < ours.length; length += 1) {
    assert.deepEqual(parseKeepalive(ours.subarray(0, length)), { announcement: undefined }, `${length} bytes`);
  }
  for (const bytes of ['', '00', '67', '68 67 01 01 00 01', '67 66 01 01 00 01', '00 67 67 01 01 00 01']) {
    const payload = Buffer.concat([ONIONCAT.subarray(40), hex(bytes)]);
    assert.deepEqual(parseKeepalive(packet(payload, { next: 59 })), { announcement: undefined }, bytes);
  }
});

test('without a NUL, or with another payload version, there is no announcement', () => {
  const mark = hex('67 67 01 01 00 01');
  for (const before of [
    hex('01'),
    Buffer.from('\x01name'),
    Buffer.from('\x02name\0'),
    Buffer.from('\0name\0'),
    hex('00'),
  ]) {
    assert.deepEqual(parseKeepalive(packet(Buffer.concat([before, mark.fill(0x67, 3)]), { next: 59 })), {
      announcement: undefined,
    });
  }
});

test('the name says nothing: any other gives the same', () => {
  const announcement = { wantsAnswer: true, knowsFlows: true };
  for (const name of ['', 'x', `${B}.b32.i2p`, 'a'.repeat(1000), '\u001b[31m']) {
    const payload = Buffer.concat([hex('01'), Buffer.from(`${name}\0`), hex('67 67 01 01 00 01')]);
    assert.deepEqual(parseKeepalive(packet(payload, { next: 59 })), { announcement });
  }
});

test('any bytes at all can be read', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      parseKeepalive(Buffer.from(bytes));
      parseKeepalive(packet(Buffer.concat([hex('01'), Buffer.from(bytes)]), { next: 59 }));
      isKeepalive(Buffer.from(bytes), 0);
    }),
    { numRuns: 500, interruptAfterTimeLimit: 800 },
  );
});

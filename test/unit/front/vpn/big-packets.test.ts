/** Who may send rows of packets as one to whom, and from which line on. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { agreedSegment, BigPackets, fits } from '../../../../src/front/vpn/big-packets.ts';
import { LONGEST_PACKET } from '../../../../src/wire/packet/ipv6.ts';
import { FakeClock } from '../../../helpers/fake-clock.ts';
import { peer } from '../../core/support.ts';
import { Network, packet } from './packets.ts';

const OFFER = { takesBig: true, mtu: 1_500 };

test('nothing is agreed unless both sides take them; then what both interfaces carry', () => {
  for (const [ours, theirs, mtu, segment] of [
    [true, true, 1_500, 1_500],
    [true, true, 1_400, 1_400],
    [true, true, 9_000, 1_500],
    [true, true, 0, 1_280],
    [true, false, 1_500, undefined],
    [false, true, 1_500, undefined],
    [false, false, 1_500, undefined],
  ] as const) {
    const offer = { ...OFFER, takesBig: ours };
    assert.equal(agreedSegment(offer, peer(2, { takesBig: theirs, mtu })), segment, `${ours} ${theirs} ${mtu}`);
  }
});

test('both sides mean the same size, whatever their interfaces carry', () => {
  const mtu = fc.integer({ min: 1_280, max: 16_383 });
  fc.assert(
    fc.property(mtu, mtu, (left, right) => {
      const [there, back] = [peer(2, { takesBig: true, mtu: right }), peer(1, { takesBig: true, mtu: left })];
      assert.equal(agreedSegment({ ...OFFER, mtu: left }, there), agreedSegment({ ...OFFER, mtu: right }, back));
    }),
  );
});

test('a packet that is longer than the peer takes fits only where it can be nothing but a row of packets', () => {
  const small = peer(2, { takesBig: true, mtu: 1_280 });
  assert.deepEqual(
    [1_280, 1_281, 1_500, 1_501, LONGEST_PACKET].map((length) => fits(OFFER, small, length)),
    [true, false, false, true, true],
  );
  const old = peer(2, { mtu: 1_280 });
  assert.deepEqual(
    [1_280, 1_501, LONGEST_PACKET].map((length) => fits(OFFER, old, length)),
    [true, false, false],
  );
  assert.equal(fits(OFFER, peer(2), LONGEST_PACKET), true, 'who has said nothing yet may take anything');
});

test('they are sent from the line on that carries the longest one in a moment, until it carries half of it', () => {
  const big = new BigPackets(OFFER, peer(2, { takesBig: true, mtu: 1_500 }));
  const seen = [
    0,
    LONGEST_PACKET - 1,
    LONGEST_PACKET,
    LONGEST_PACKET / 2,
    LONGEST_PACKET / 2 - 1,
    LONGEST_PACKET - 1,
  ].map((momentBytes) => {
    big.noteMomentBytes(momentBytes);
    return [big.state, big.segment];
  });
  const [agreed, sending] = [
    ['agreed', undefined],
    ['sending', 1_500],
  ];
  assert.deepEqual(seen, [agreed, agreed, sending, sending, agreed, agreed]);
});

test('a peer that takes them no longer gets none, however quick the line is', () => {
  const them = peer(2, { takesBig: true, mtu: 1_500 });
  const big = new BigPackets(OFFER, them);
  big.noteMomentBytes(10 * LONGEST_PACKET);
  assert.equal(big.state, 'sending');
  them.takesBig = false;
  assert.deepEqual([big.state, big.segment], ['off', undefined]);
});

/** 200 MB/s on a line without any delay; keepalives that measure it go with what is sent. */
async function flood(clock: FakeClock, { nodes: { left, right } }: Network): Promise<void> {
  for (let ms = 0; ms < 100; ms += 1) {
    for (let tag = 0; tag < 140; tag += 1) left.link.send(packet(left.address, right.address, tag, 1_400));
    await clock.advance(1);
  }
}

test('on a quick line two links that both take them begin to send, and one that knows none changes nothing', async () => {
  for (const [left, right, state] of [
    [true, true, 'sending'],
    [true, false, 'off'],
    [false, true, 'off'],
  ] as const) {
    const clock = new FakeClock();
    const network = new Network(clock, { left: 'always', right: 'demand' }, [1, 2], { left, right });
    network.start();
    await clock.advance(1_100);
    await flood(clock, network);
    const { bigPackets } = network.nodes.left.link.report();
    assert.equal(bigPackets, state, `${left} and ${right}`);
    assert.equal(network.nodes.left.link.segment, state === 'sending' ? 1_500 : undefined);
    assert.equal(network.nodes.right.segments.has(state === 'sending' ? 1_500 : undefined), true);
    assert.equal(network.nodes.right.segments.size, 1);
    await network.stop();
    await clock.settle();
  }
});

test('when the stream is gone rows are cut again', async () => {
  const clock = new FakeClock();
  const network = new Network(clock, { left: 'always', right: 'demand' }, [1, 2], { left: true, right: true });
  network.start();
  await clock.advance(1_100);
  await flood(clock, network);
  const { left, right } = network.nodes;
  assert.equal(left.link.report().bigPackets, 'sending');
  assert.equal(left.cuts, 0);
  left.link.send(packet(left.address, right.address, 77, 40_000));
  await clock.advance(1);
  assert.equal(right.delivered.at(-1)?.length, 40_040);
  for (const one of network.lines) one.destroy();
  await clock.settle();
  assert.equal(left.cuts, 1);
  assert.equal(left.link.segment, undefined);
  await network.stop();
  await clock.settle();
});

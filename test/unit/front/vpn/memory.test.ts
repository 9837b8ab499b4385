/** What peers cost: idle ones, and ones that take nothing under a flood. The formula is that of docs/limits.md. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeKeepalive } from '../../../../src/wire/packet/keepalive.ts';
import { FakeClock } from '../../../helpers/fake-clock.ts';
import { heldMemory } from '../../../helpers/held-memory.ts';
import { line, own } from '../../core/support.ts';
import { type Node, node, packet, QUEUE } from './packets.ts';

const KIB = 1024;
/** Queue, first piece, batch, socket, packet that has not come whole. */
const STALLED_PEER = (256 + 64 + 32 + 160 + 64) * KIB;

test('500 peers that are configured and idle cost some megabytes', async () => {
  const clock = new FakeClock();
  await heldMemory();
  const before = await heldMemory();
  const nodes = Array.from({ length: 500 }, (_, index) => node({ clock, me: 1, them: index + 2 }));
  for (const { link } of nodes) link.start();
  await clock.advance(10_000);
  const grown = (await heldMemory()) - before;
  assert.ok(grown < 20 * KIB * KIB, `${(grown / KIB / KIB).toFixed(1)} MiB`);
  await Promise.all(nodes.map(({ link }) => link.stop()));
});

test('50 peers that read nothing under a flood hold what the formula says, and go on dropping', async () => {
  const clock = new FakeClock();
  const before = await heldMemory();
  const nodes: Node[] = [];
  for (let seed = 2; seed < 52; seed += 1) {
    const one = node({ clock, me: 1, them: seed });
    nodes.push(one);
    one.link.start();
    const [ours, theirs] = line({ halfClose: false });
    one.link.accept(ours, 'verified');
    theirs.write(
      encodeKeepalive({
        source: one.peer.addresses.oc,
        destination: own(1).addresses.oc,
        flowLabel: 1,
        name: one.peer.b32,
        announcement: { wantsAnswer: false, knowsFlows: true },
      }),
    );
  }
  await clock.settle();
  const run = (one: Node, tag: number) =>
    Buffer.concat(Array.from({ length: 20 }, () => packet(one.address, one.peer.addresses.oc, tag, 1_400)));
  for (let round = 0; round < 60; round += 1) {
    for (const one of nodes) one.link.send(run(one, round % 3));
    await clock.advance(200);
  }
  const grown = (await heldMemory()) - before;
  const bound = nodes.length * STALLED_PEER;
  assert.ok(grown < bound, `${(grown / KIB / KIB).toFixed(1)} of ${(bound / KIB / KIB).toFixed(1)} MiB`);
  for (const { link } of nodes) {
    const { queued, drops, traffic } = link.report();
    assert.ok(queued.bytes <= QUEUE.bytes && queued.packets <= QUEUE.packets);
    const lost = drops.queueOverflow + drops.queueAge + drops.queueCongestion + drops.queueTooBig;
    assert.equal(lost + queued.packets + traffic.packetsOut, 60 * 20);
    assert.ok(lost > 600, `${lost} of ${60 * 20} dropped`);
  }
  await Promise.all(nodes.map(({ link }) => link.stop()));
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { RelayEnd } from '../../../../src/core/dial/target.ts';
import { encodeKeepalive, isKeepalive, parseKeepalive } from '../../../../src/wire/packet/keepalive.ts';
import { FakeClock } from '../../../helpers/fake-clock.ts';
import { type LineEnd, line, peer } from '../../core/support.ts';
import { Network, type Node, node, onionCatKeepalive, packet, QUEUE, split, tagOf } from './packets.ts';

const IDLE_MS = 180_000;
const UNHEARD_MS = 30_000;

/** A link whose dials the test answers itself, and the far ends of the streams. */
function manual(options: { readonly connect?: 'always' | 'demand'; readonly queue?: typeof QUEUE } = {}) {
  const clock = new FakeClock();
  const far: LineEnd[] = [];
  const dials: Array<{
    open(): LineEnd;
    fail(error: Error): void;
    readonly signal: AbortSignal;
    readonly isUrgent: () => boolean;
  }> = [];
  const labels: Array<readonly [label: number, openedAt: number]> = [];
  const me = node({
    clock,
    me: 1,
    them: 2,
    ...options,
    labelHeard: (_peer, label, openedAt) => void labels.push([label, openedAt]),
    dial: (_peer, signal, isUrgent) =>
      new Promise<RelayEnd>((resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason), { once: true });
        dials.push({
          signal,
          isUrgent,
          open: () => {
            const [ours, theirs] = line({ halfClose: false });
            far.push(theirs);
            resolve({ stream: ours, halfClose: false });
            return theirs;
          },
          fail: reject,
        });
      }),
  });
  const them = me.peer.addresses;
  /** Packets that came out of a far end since the last call. */
  const sent = (end: LineEnd): Buffer[] => {
    const bytes: unknown = end.read();
    return bytes instanceof Buffer ? split(bytes) : [];
  };
  /** A stream that the peer opens, with something said on it. */
  const arrives = (...said: Buffer[]): LineEnd => {
    const [ours, theirs] = line({ halfClose: false });
    far.push(theirs);
    if (said.length > 0) theirs.write(Buffer.concat(said));
    me.link.accept(ours, 'verified');
    return theirs;
  };
  const keepalive = (wantsAnswer: boolean, flowLabel = 1) =>
    encodeKeepalive({
      source: them.oc,
      destination: own().oc,
      flowLabel,
      name: me.peer.b32,
      announcement: { wantsAnswer, knowsFlows: true },
    });
  /** Of a peer that measures. @param echo the stamp of the keepalive that it answers */
  const measured = (wantsAnswer: boolean, echo?: number) =>
    encodeKeepalive({
      source: them.oc,
      destination: own().oc,
      flowLabel: 1,
      name: me.peer.b32,
      announcement: { wantsAnswer, knowsFlows: true, mtu: 1_500, measurement: { stamp: 7, echo, received: 0 } },
    });
  const own = () => peer(1).addresses;
  return { clock, me, link: me.link, them, own: own(), dials, far, sent, arrives, keepalive, measured, labels };
}

/** The stamps of the keepalives among what was sent that ask for an answer. */
function questions(packets: readonly Buffer[]): number[] {
  return packets.flatMap((one) => {
    const announcement = isKeepalive(one, 0) ? parseKeepalive(one).announcement : undefined;
    return announcement?.wantsAnswer === true ? (announcement.measurement?.stamp ?? []) : [];
  });
}

async function checkStopped(clock: FakeClock, one: Node, streams: readonly LineEnd[] = []): Promise<void> {
  await one.link.stop();
  await clock.settle();
  assert.equal(clock.pending, 0);
  assert.equal(one.relay.active, 0);
  for (const stream of streams) {
    stream.resume();
    await clock.settle();
    assert.equal(stream.readableEnded || stream.destroyed, true);
  }
}

test('a packet makes the link dial; what waits meanwhile is delivered in order', async () => {
  const clock = new FakeClock();
  const network = new Network(clock, { left: 'demand', right: 'demand' });
  network.start();
  assert.equal(network.nodes.left.link.report().state.kind, 'idle');
  for (let tag = 0; tag < 50; tag += 1) network.send('left', tag);
  assert.equal(network.nodes.left.link.report().state.kind, 'dialing');
  assert.equal(network.nodes.left.link.report().queued.packets, 50);
  await clock.advance(1_100);
  assert.deepEqual(
    network.tags('right'),
    Array.from({ length: 50 }, (_, tag) => tag),
  );
  network.send('right', 1_000);
  await clock.advance(10);
  assert.deepEqual(network.tags('left'), [1_000]);
  const { left, right } = network.nodes;
  assert.deepEqual(left.link.report().state, { kind: 'up', direction: 'out' });
  assert.deepEqual(right.link.report().state, { kind: 'up', direction: 'in' });
  const { packetsOut, packetsIn, dials } = left.link.report().traffic;
  assert.deepEqual([packetsOut, packetsIn, dials], [50, 1, 1]);
  assert.equal(right.link.report().traffic.dials, 0);
  assert.equal(left.peer.knowsFlows, true);
  assert.equal(right.peer.knowsFlows, true);
  await network.stop();
  await clock.settle();
  assert.deepEqual([clock.pending, network.open], [0, 0]);
});

test('a stream that the peer has opened carries packets when it has answered us there, and brings some before', async () => {
  const { clock, me, link, own, them, sent, arrives, measured, dials } = manual();
  link.start();
  link.send(packet(own.oc, them.oc, 1));
  // Given up by the peer long ago, and brought by the routers only now.
  const old = arrives(measured(true), packet(them.oc, own.oc, 2));
  const stream = arrives(measured(true), packet(them.oc, own.oc, 3));
  await clock.settle();
  assert.deepEqual(me.delivered.map(tagOf), [2, 3]);
  assert.equal(questions(sent(old)).length, 1);
  const said = sent(stream);
  const [stamp] = questions(said);
  assert.equal(said.length, 1, 'it answers, and asks in the same breath');
  assert.deepEqual([link.report().state.kind, link.report().queued.packets, dials.length], ['dialing', 1, 1]);
  stream.write(measured(false, ((stamp ?? 0) ^ 1) >>> 0));
  await clock.settle();
  assert.deepEqual(sent(stream), [], 'a stamp that was never sent proves nothing');
  stream.write(measured(false, stamp));
  await clock.settle();
  assert.deepEqual(link.report().state, { kind: 'up', direction: 'in' });
  assert.deepEqual(sent(stream).map(tagOf), [1]);
  assert.deepEqual(sent(old), []);
  await checkStopped(clock, me, [old, stream]);
});

test('a doubted stream carries packets again when the peer has answered what was asked since', async () => {
  const { clock, me, link, own, them, sent, arrives, measured } = manual();
  link.start();
  const stream = arrives(measured(true));
  await clock.settle();
  stream.write(measured(false, questions(sent(stream))[0]));
  await clock.settle();
  assert.equal(link.report().state.kind, 'up');
  await clock.advance(100);
  link.send(packet(own.oc, them.oc, 1));
  await clock.advance(UNHEARD_MS + 2_000);
  assert.notEqual(link.report().state.kind, 'up');
  const [probe] = questions(sent(stream));
  link.send(packet(own.oc, them.oc, 2));
  stream.write(measured(false, probe));
  await clock.settle();
  assert.notEqual(link.report().state.kind, 'up', 'that was asked before, and says nothing of the way as it is now');
  const said = sent(stream);
  assert.equal(said.length, 1);
  stream.write(measured(false, questions(said)[0]));
  await clock.settle();
  assert.deepEqual(link.report().state, { kind: 'up', direction: 'in' });
  assert.deepEqual(sent(stream).map(tagOf), [2]);
  await checkStopped(clock, me, [stream]);
});

test('keepalives never reach the TUN and are no traffic', async () => {
  const { clock, me, link, arrives, keepalive, them, own } = manual();
  link.start();
  arrives(keepalive(true), packet(them.oc, own.oc, 1), keepalive(false), packet(them.oc, own.oc, 2), keepalive(true));
  await clock.settle();
  assert.deepEqual(me.delivered.map(tagOf), [1, 2]);
  assert.equal(link.report().traffic.packetsIn, 2);
  await checkStopped(clock, me);
});

test('spoofed packets are dropped and counted exactly, their good neighbours delivered', async () => {
  const { clock, me, link, arrives, keepalive, them, own } = manual();
  link.start();
  const stranger = peer(3).addresses;
  const loopback = Buffer.from(`${'00'.repeat(15)}01`, 'hex');
  const linkLocal = Buffer.from(`fe80${'00'.repeat(13)}01`, 'hex');
  const global = Buffer.from(`20010db8${'00'.repeat(11)}01`, 'hex');
  const stream = arrives(
    keepalive(true),
    packet(them.oc, own.oc, 1),
    packet(stranger.oc, own.oc, 101),
    packet(them.ocat4, own.ocat4, 2),
    packet(own.oc, own.oc, 102),
    packet(loopback, own.oc, 103),
    packet(linkLocal, own.oc, 104),
    packet(global, own.oc, 105),
    packet(them.oc, own.oc, 3),
    packet(them.oc, stranger.oc, 106),
    packet(them.oc, global, 107),
    packet(them.oc, them.oc, 108),
    packet(them.oc, own.oc, 4),
    // A keepalive in another's name is no sign of life and announces nothing.
    encodeKeepalive({
      source: stranger.oc,
      destination: own.oc,
      flowLabel: 1,
      name: me.peer.b32,
      announcement: { wantsAnswer: true, knowsFlows: false },
    }),
  );
  await clock.settle();
  assert.deepEqual(me.delivered.map(tagOf), [1, 2, 3, 4]);
  const { foreignSource, foreignDestination } = link.report().drops;
  assert.deepEqual([foreignSource, foreignDestination], [6, 3]);
  assert.equal(me.peer.knowsFlows, true);
  assert.equal(stream.destroyed, false);
  await checkStopped(clock, me);
});

test('a stream on which only spoofed packets come is never used', async () => {
  const { clock, me, link, arrives, own, sent, dials } = manual();
  link.start();
  const stream = arrives(packet(peer(3).addresses.oc, own.oc, 1));
  await clock.settle();
  link.send(packet(own.oc, me.peer.addresses.oc, 7));
  await clock.settle();
  assert.deepEqual(sent(stream), []);
  assert.equal(link.report().state.kind, 'dialing');
  await clock.advance(UNHEARD_MS + 3_000);
  assert.equal(stream.readableEnded || stream.read() === null, true);
  link.send(packet(own.oc, me.peer.addresses.oc, 8));
  await clock.advance(2_000);
  assert.equal(dials.length, 1);
  await checkStopped(clock, me);
});

test('whatever the pieces in which packets arrive, each is delivered once and whole', async () => {
  const pieces = fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1, maxLength: 20 });
  await fc.assert(
    fc.asyncProperty(pieces, async (sizes) => {
      const { clock, me, link, arrives, keepalive, them, own } = manual();
      const packets = Array.from({ length: 30 }, (_, tag) => packet(them.oc, own.oc, tag, 4 + ((tag * 37) % 400)));
      const stream = arrives(keepalive(false));
      const bytes = Buffer.concat(packets);
      for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
        const size = sizes[turn % sizes.length] ?? 1;
        stream.write(bytes.subarray(at, at + size));
        at += size;
        if (turn % 5 === 0) await clock.settle();
      }
      await clock.settle();
      assert.deepEqual(me.delivered, packets);
      await link.stop();
    }),
    { numRuns: 20 },
  );
});

test('bytes that are no packet close the stream, and the link dials again', async () => {
  const { clock, me, link, arrives, keepalive, them, own, dials } = manual({ connect: 'always' });
  const stream = arrives(keepalive(false), packet(them.oc, own.oc, 1), Buffer.from('45 00 rubbish'));
  link.start();
  await clock.settle();
  assert.deepEqual(me.delivered.map(tagOf), [1]);
  assert.equal(link.report().lastError?.error.code, 'packet.framing');
  stream.resume();
  await clock.settle();
  assert.equal(stream.destroyed, true);
  assert.equal(dials.length, 0);
  await clock.advance(2_500);
  assert.equal(dials.length, 1);
  await checkStopped(clock, me);
});

test('the queue drops its oldest packets, without a word, when it overflows', async () => {
  const { clock, me, link, own, them, dials, sent, keepalive } = manual({ queue: { ...QUEUE, packets: 10 } });
  link.start();
  for (let tag = 0; tag < 25; tag += 1) link.send(packet(own.oc, them.oc, tag));
  assert.equal(link.report().drops.queueOverflow, 15);
  const far = dials[0]?.open();
  assert.ok(far !== undefined);
  await clock.settle();
  const [first, ...others] = sent(far);
  assert.ok(first !== undefined && isKeepalive(first, 0) && parseKeepalive(first).announcement?.wantsAnswer === true);
  assert.deepEqual(others, []);
  far.write(keepalive(false));
  await clock.settle();
  assert.deepEqual(sent(far).map(tagOf), [15, 16, 17, 18, 19, 20, 21, 22, 23, 24]);
  assert.deepEqual(me.undeliverable, []);
  await checkStopped(clock, me, [far]);
});

test('of packets for a peer that is away is told when they begin to wait, and of each that was too old', async () => {
  const { clock, me, link, own, them } = manual();
  link.start();
  const [one, other] = [packet(own.oc, them.oc, 1), packet(own.oc, them.oc, 2)];
  link.send(Buffer.concat([one, one, other]));
  assert.deepEqual(me.told, ['queued', 'queued'], 'once for a row');
  await clock.advance(QUEUE.ageMs);
  assert.equal(me.undeliverable.length, 0);
  await clock.advance(2_100);
  assert.deepEqual(me.undeliverable.map(tagOf), [1, 1, 2]);
  assert.deepEqual(me.told.slice(2), ['expired', 'expired-last', 'expired-last']);
  assert.equal(link.report().drops.queueAge, 3);
  assert.equal(link.report().queued.packets, 0);
  await checkStopped(clock, me);
});

test('the memory of a packet run may be used again at once', async () => {
  const { clock, me, link, own, them, dials, sent, keepalive } = manual();
  link.start();
  const run = packet(own.oc, them.oc, 42);
  link.send(run);
  run.fill(0xff);
  const far = dials[0]?.open();
  assert.ok(far !== undefined);
  far.write(keepalive(false));
  await clock.settle();
  assert.deepEqual(sent(far).slice(1).map(tagOf), [42]);
  await checkStopped(clock, me);
});

test('failed dials are repeated with growing pauses, only while somebody wants the peer', async () => {
  const { clock, me, link, own, them, dials } = manual();
  link.start();
  const sendUntil = async (count: number) => {
    for (let second = 0; second < 200 && dials.length < count; second += 1) {
      link.send(packet(own.oc, them.oc, 1));
      await clock.advance(100);
    }
  };
  const at: number[] = [];
  for (let count = 1; count <= 4; count += 1) {
    await sendUntil(count);
    at.push(clock.now());
    dials.at(-1)?.fail(new Error('no'));
    await clock.settle();
    assert.equal(link.report().state.kind, 'waiting');
  }
  const pauses = at.slice(1).map((time, index) => Math.round((time - (at[index] ?? 0)) / 1_000));
  assert.deepEqual(pauses, [1, 2, 4]);
  await clock.advance(60_000);
  assert.equal(dials.length, 4);
  assert.equal(link.report().state.kind, 'idle');
  await checkStopped(clock, me);
});

test('when the session stands anew a pause ends at once, and the next one is short again', async () => {
  const { clock, me, link, dials } = manual({ connect: 'always' });
  link.start();
  const fails = async () => {
    dials.at(-1)?.fail(new Error('no session'));
    await clock.settle();
    assert.equal(link.report().state.kind, 'waiting');
  };
  await fails();
  await clock.advance(3_000);
  await fails();
  await clock.advance(3_000);
  await fails();
  assert.equal(dials.length, 3);
  link.sessionStands();
  assert.equal(link.report().state.kind, 'dialing');
  assert.equal(dials.length, 4);
  await fails();
  await clock.advance(1_000);
  assert.equal(dials.length, 5);
  await checkStopped(clock, me);
});

test('a new session makes no link dial that nobody wants, nor one that is up', async () => {
  const { clock, me, link, arrives, keepalive, dials } = manual();
  link.start();
  link.sessionStands();
  arrives(keepalive(false));
  await clock.settle();
  link.sessionStands();
  await clock.advance(1_000);
  assert.equal(dials.length, 0);
  await checkStopped(clock, me);
});

test('the flow label of each keepalive is told, with the age of its stream, also of one that is late', async () => {
  const { clock, me, arrives, keepalive, labels } = manual();
  const old = arrives(keepalive(false, 7));
  await clock.advance(1_000);
  const anew = arrives(keepalive(false, 8));
  await clock.settle();
  old.write(keepalive(false, 7));
  await clock.settle();
  assert.deepEqual(labels, [
    [7, 0],
    [8, 1_000],
    [7, 0],
  ]);
  await checkStopped(clock, me, [old, anew]);
});

test('the flow label of an OnionCat says nothing', async () => {
  const clock = new FakeClock();
  const me = node({ clock, me: 1, them: 2, onionCat: { inbound: [] }, labelHeard: () => assert.fail() });
  const [ours, theirs] = line({ halfClose: false });
  theirs.write(onionCatKeepalive(me.peer, peer(1).addresses.ocat4));
  me.link.accept(ours, 'verified');
  await clock.settle();
  assert.equal(me.link.report().state.kind, 'up');
  await checkStopped(clock, me, [theirs]);
});

test('a dial is urgent from the first packet on, until nobody has wanted the peer for a while', async () => {
  const { clock, me, link, own, them, dials } = manual({ connect: 'always' });
  link.start();
  await clock.settle();
  assert.deepEqual(
    dials.map(({ isUrgent }) => isUrgent()),
    [false],
  );
  link.send(packet(own.oc, them.oc, 1));
  assert.equal(dials[0]?.isUrgent(), true);
  await clock.advance(61_000);
  assert.equal(dials[0]?.isUrgent(), false);
  await checkStopped(clock, me);
});

test('a stream that opens and stays silent is dead, and another is dialled', async () => {
  const clock = new FakeClock();
  const network = new Network(clock, { left: 'always', right: 'demand' });
  network.weather.left = 'silent';
  network.start();
  await clock.advance(1_100);
  assert.equal(network.nodes.left.link.report().state.kind, 'dialing');
  await clock.advance(UNHEARD_MS + 2_100);
  assert.equal(network.nodes.left.link.report().traffic.deadStreams, 1);
  assert.equal(network.nodes.left.link.report().lastError?.error.code, 'link.silent');
  network.weather.left = 'open';
  await clock.advance(5_000);
  assert.equal(network.nodes.left.link.report().state.kind, 'up');
  assert.equal(network.nodes.left.link.report().lastError, undefined);
  await network.stop();
});

for (const [latencyLeft, latencyRight] of [
  [1_000, 1_000],
  [1_000, 1_500],
  [4_000, 1_000],
] as const) {
  for (const seeds of [[1, 2] as const, [2, 1] as const]) {
    test(`dialled at once (${latencyLeft}, ${latencyRight}, ${seeds}): one stream stays, and no packet is lost`, async () => {
      const clock = new FakeClock();
      const network = new Network(clock, { left: 'always', right: 'always' }, seeds);
      network.latencyMs = { left: latencyLeft, right: latencyRight };
      network.start();
      const sent: number[] = [];
      for (let tag = 0; tag < 600; tag += 1) {
        network.send('left', tag);
        network.send('right', tag);
        sent.push(tag);
        await clock.advance(100);
      }
      await clock.advance(60_000);
      assert.deepEqual(
        [...network.tags('left')].sort((a, b) => a - b),
        sent,
      );
      assert.deepEqual(
        [...network.tags('right')].sort((a, b) => a - b),
        sent,
      );
      assert.equal(network.open, 1);
      const states = [network.nodes.left, network.nodes.right].map((one) => one.link.report().state);
      assert.equal(
        states
          .map((state) => (state.kind === 'up' ? state.direction : state.kind))
          .sort()
          .join(),
        'in,out',
      );
      const dials = network.nodes.left.link.report().traffic.dials + network.nodes.right.link.report().traffic.dials;
      assert.ok(dials <= 2, `${dials} dials`);
      await network.stop();
      await clock.settle();
      assert.deepEqual([clock.pending, network.open], [0, 0]);
    });
  }
}

for (const restarted of ['left', 'right'] as const) {
  const survivor = restarted === 'left' ? 'right' : 'left';
  test(`the ${restarted} side dies without a word and comes back: packets flow again both ways`, async () => {
    const clock = new FakeClock();
    const network = new Network(clock, { left: 'always', right: 'always' });
    network.start();
    await clock.advance(60_000);
    network.restart(restarted);
    let flowsAt: number | undefined;
    for (let second = 0; second < 120; second += 1) {
      network.send('left', second);
      network.send('right', second);
      await clock.advance(1_000);
      const both = network.tags('left').includes(second) && network.tags('right').includes(second);
      if (both) flowsAt ??= second;
      else flowsAt = undefined;
    }
    assert.ok(flowsAt !== undefined && flowsAt <= 45, `both ways after ${flowsAt} s`);
    await clock.advance(120_000);
    assert.equal(network.open - network.lines.filter((one) => one.destroyed).length <= 1, true);
    assert.equal(network.nodes[survivor].link.report().state.kind, 'up');
    await network.stop();
    await clock.settle();
    assert.equal(clock.pending, 0);
  });
}

test('a quiet link whose peer is gone is found out by a probe', async () => {
  const clock = new FakeClock();
  const network = new Network(clock, { left: 'always', right: 'demand' });
  network.start();
  await clock.advance(5_000);
  // Probes keep a living link up, whoever is quiet.
  await clock.advance(600_000);
  assert.equal(network.nodes.left.link.report().traffic.dials, 1);
  assert.equal(network.open, 1);
  for (const one of network.lines) one.silence();
  await clock.advance(90_000);
  assert.equal(network.nodes.left.link.report().traffic.deadStreams, 1);
  assert.equal(network.nodes.left.link.report().traffic.dials, 2);
  assert.equal(network.nodes.left.link.report().state.kind, 'up');
  await network.stop();
});

test('an idle link on demand closes; the next packet dials at once and arrives', async () => {
  const clock = new FakeClock();
  const network = new Network(clock, { left: 'demand', right: 'demand' });
  network.start();
  network.send('left', 1);
  await clock.advance(2_000);
  await clock.advance(IDLE_MS + 2_100);
  assert.equal(network.nodes.left.link.report().state.kind, 'idle');
  // The old stream is still being closed.
  network.send('left', 2);
  await clock.advance(1_100);
  assert.deepEqual(network.tags('right'), [1, 2]);
  network.send('right', 3);
  await clock.advance(100);
  assert.deepEqual(network.tags('left'), [3]);
  await clock.advance(100_000);
  assert.equal(network.open, 1);
  await clock.advance(IDLE_MS + 100_000);
  assert.equal(network.open, 0);
  assert.deepEqual(
    [network.nodes.left, network.nodes.right].map((one) => one.link.report().state.kind),
    ['idle', 'idle'],
  );
  assert.equal(network.nodes.left.link.report().lastError, undefined);
  await network.stop();
  await clock.settle();
  assert.equal(clock.pending, 0);
});

test('keepalives alone do not keep a link on demand', async () => {
  const { clock, me, link, own, them, dials, keepalive, sent } = manual();
  link.start();
  link.send(packet(own.oc, them.oc, 1));
  const far = dials[0]?.open();
  assert.ok(far !== undefined);
  for (let round = 0; round < 5; round += 1) {
    if (!far.readableEnded) far.write(keepalive(true));
    await clock.advance(50_000);
    sent(far);
    await clock.settle();
  }
  assert.equal(far.readableEnded, true);
  assert.equal(link.report().state.kind, 'idle');
  await checkStopped(clock, me);
});

test('an OnionCat that dials back is served on its own stream, and kept alive', async () => {
  const { clock, me, link, own, them, dials, sent, arrives } = manual({ connect: 'always' });
  link.start();
  const ours = dials[0]?.open();
  assert.ok(ours !== undefined);
  await clock.settle();
  assert.equal(sent(ours).length, 1);
  link.send(packet(own.ocat4, them.ocat4, 1));
  await clock.advance(500);
  assert.deepEqual(sent(ours), [], 'not a packet before the peer has been heard');
  const theirs = arrives(onionCatKeepalive(me.peer, own.ocat4), packet(them.ocat4, own.ocat4, 9));
  await clock.settle();
  assert.deepEqual(me.delivered.map(tagOf), [9]);
  assert.deepEqual(sent(theirs).map(tagOf), [1]);
  assert.equal(me.peer.knowsFlows, false);
  const keepalives: number[] = [];
  for (let second = 0; second < 600; second += 1) {
    await clock.advance(1_000);
    if (second % 200 === 0) theirs.write(packet(them.ocat4, own.ocat4, 10));
    for (const one of sent(theirs)) {
      assert.equal(isKeepalive(one, 0), true);
      assert.equal(parseKeepalive(one).announcement?.wantsAnswer, false);
      keepalives.push(second);
    }
  }
  // Below the 180 s after which an OnionCat closes.
  assert.ok(keepalives.length >= 5 && keepalives.length <= 12, `${keepalives.length} keepalives`);
  assert.equal(link.report().traffic.dials, 1);
  assert.equal(link.report().state.kind, 'up');
  assert.equal(link.report().lastError, undefined);
  ours.resume();
  await clock.settle();
  assert.equal(ours.destroyed, true, 'the stream on which it never speaks was given up');
  link.send(packet(own.ocat4, them.ocat4, 2));
  await clock.settle();
  assert.deepEqual(sent(theirs).map(tagOf), [2]);
  await checkStopped(clock, me);
});

test('an OnionCat that is not heard for minutes is dialled again', async () => {
  const { clock, me, link, own, them, dials, sent, arrives } = manual({ connect: 'always' });
  const theirs = arrives(onionCatKeepalive(me.peer, own.ocat4));
  link.start();
  for (let second = 0; second < 330 && dials.length === 0; second += 1) {
    link.send(packet(own.ocat4, them.ocat4, second));
    await clock.advance(1_000);
    sent(theirs);
  }
  assert.equal(dials.length, 1);
  assert.ok(clock.now() >= 300_000);
  await checkStopped(clock, me);
});

test('an idle link on demand leaves the stream of an OnionCat alone, so that it can close it', async () => {
  const { clock, me, link, own, sent, arrives } = manual({ connect: 'demand' });
  const theirs = arrives(onionCatKeepalive(me.peer, own.ocat4));
  link.start();
  await clock.advance(IDLE_MS + 2_100);
  sent(theirs);
  await clock.advance(100_000);
  assert.deepEqual(sent(theirs), []);
  await checkStopped(clock, me);
});

test('an OnionCat that closes its idle stream is dialled again when the link is to be up', async () => {
  const { clock, me, link, own, dials, arrives } = manual({ connect: 'always' });
  const theirs = arrives(onionCatKeepalive(me.peer, own.ocat4));
  link.start();
  await clock.settle();
  assert.equal(link.report().state.kind, 'up');
  assert.equal(dials.length, 0);
  theirs.resume();
  theirs.end();
  await clock.advance(3_000);
  assert.equal(dials.length, 1);
  await checkStopped(clock, me);
});

test('our own dial is dropped when the peer that may dial has dialled', async () => {
  const clock = new FakeClock();
  for (const seeds of [[1, 2] as const, [2, 1] as const]) {
    const network = new Network(clock, { left: 'always', right: 'always' }, seeds);
    network.latencyMs = { left: 1_000, right: 100_000 };
    network.start();
    await clock.advance(2_100);
    const leftIsPreferred = network.nodes.right.peer.b32 < network.nodes.left.peer.b32;
    assert.deepEqual(network.nodes.right.link.report().state, { kind: 'up', direction: 'in' });
    await clock.advance(200_000);
    assert.equal(network.lines.length, leftIsPreferred ? 1 : 2);
    assert.equal(network.open, 1);
    await network.stop();
  }
});

test('of too many streams the newest stay, and after the stop none is taken', async () => {
  const { clock, me, link, arrives, far } = manual();
  link.start();
  const ends = Array.from({ length: 20 }, () => arrives());
  for (const end of ends) end.resume();
  await clock.settle();
  assert.equal(me.relay.active, 8);
  assert.deepEqual(
    ends.map((end) => end.readableEnded || end.destroyed),
    ends.map((_, index) => index < 12),
  );
  await checkStopped(clock, me, far);
  const late = arrives();
  late.resume();
  await clock.settle();
  assert.equal(late.readableEnded, true);
  link.send(packet(me.address, me.peer.addresses.oc, 1));
  await clock.settle();
  assert.equal(clock.pending, 0);
});

test('a peer that reads nothing makes the queue drop, and only the queue', async () => {
  const { clock, me, link, own, them, arrives, keepalive } = manual();
  link.start();
  const far = arrives(keepalive(false));
  await clock.settle();
  const size = 1_240;
  let sent = 0;
  for (let round = 0; round < 40; round += 1) {
    const run = Array.from({ length: 50 }, (_, index) => packet(own.oc, them.oc, sent + index, size));
    sent += run.length;
    link.send(Buffer.concat(run));
    await clock.advance(100);
  }
  const { drops, traffic, queued } = link.report();
  assert.ok(drops.queueOverflow > 0);
  assert.ok(queued.bytes <= QUEUE.bytes && queued.packets <= QUEUE.packets);
  const underWay = traffic.packetsOut * (size + 40);
  assert.ok(underWay <= 300 * 1024, `${underWay} bytes under way`);
  assert.equal(traffic.packetsOut + drops.queueOverflow + drops.queueAge + queued.packets, sent);
  assert.deepEqual(me.told, [], 'the peer was never away');
  far.destroy();
  await checkStopped(clock, me);
});

test('a peer that asks faster than it reads gets few answers', async () => {
  const { clock, me, link, arrives, keepalive, far } = manual();
  link.start();
  const stream = arrives();
  for (let round = 0; round < 2_000; round += 1) stream.write(keepalive(true));
  await clock.settle();
  // What is read by nobody: the line's capacity and the buffers on both of our ends, never the 2000 answers.
  const bytes = me.relay.counters().bytesOut;
  assert.ok(bytes < 300_000, `${bytes} bytes of answers`);
  await checkStopped(clock, me, far);
});

test('can be stopped at any moment, and then nothing moves', async () => {
  const moments = fc.array(fc.constantFrom('send', 'open', 'fail', 'arrive', 'end', 'time'), { maxLength: 15 });
  await fc.assert(
    fc.asyncProperty(moments, async (events) => {
      const { clock, me, link, own, them, dials, arrives, keepalive, far } = manual();
      link.start();
      for (const event of events) {
        if (event === 'send') link.send(packet(own.oc, them.oc, 1));
        if (event === 'open') dials.at(-1)?.open();
        if (event === 'fail') dials.at(-1)?.fail(new Error('no'));
        if (event === 'arrive') arrives(keepalive(true));
        if (event === 'end') far.at(-1)?.end();
        if (event === 'time') await clock.advance(3_000);
        assert.ok(me.relay.active <= 8);
      }
      await checkStopped(clock, me);
      const count = dials.length;
      await clock.advance(600_000);
      assert.equal(dials.length, count);
    }),
    { numRuns: 60 },
  );
});

test('whoever watches is told of a stream that opens late, also when the peer says nothing on it', async () => {
  const { clock, me, link, dials, far } = manual({ connect: 'always' });
  link.start();
  const seen: number[] = [];
  const unwatch = link.watch(() => seen.push(link.report().streams));
  dials[0]?.open();
  await clock.settle();
  assert.equal(seen.at(-1), 1);
  unwatch();
  await checkStopped(clock, me, far);
});

/**
 * The link to a peer that runs OnionCat: what it says in the old form, and what it believes of a stream whose opener
 * nobody can name.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RelayEnd } from '../../../../src/core/dial/target.ts';
import type { Origin } from '../../../../src/core/inbound/switch.ts';
import type { OnionCatSettings } from '../../../../src/core/peers/table.ts';
import { GateError } from '../../../../src/kit/errors.ts';
import { flowLabelOf } from '../../../../src/wire/packet/ipv6.ts';
import { encodeKeepalive, isKeepalive } from '../../../../src/wire/packet/keepalive.ts';
import { FakeClock } from '../../../helpers/fake-clock.ts';
import { type LineEnd, line, own, peer } from '../../core/support.ts';
import { node, onionCatKeepalive, packet, split, tagOf } from './packets.ts';

const ME = own(1);
const THEM = peer(2).addresses;

function setting(inbound: OnionCatSettings['inbound'], connect: 'always' | 'demand' = 'demand') {
  const clock = new FakeClock();
  const dialled: LineEnd[] = [];
  let refuses = false;
  const me = node({
    clock,
    me: 1,
    them: 2,
    connect,
    onionCat: { inbound },
    dial: async (): Promise<RelayEnd> => {
      if (refuses) throw new GateError('peer-unreachable', 'test.refused', 'nobody is there');
      const [ours, theirs] = line({ halfClose: false });
      dialled.push(theirs);
      return { stream: ours, halfClose: false };
    },
  });
  me.link.start();
  const arrives = (origin: Origin, ...said: Buffer[]): LineEnd => {
    const [ours, theirs] = line({ halfClose: false });
    if (said.length > 0) theirs.write(Buffer.concat(said));
    me.link.accept(ours, origin);
    return theirs;
  };
  const stop = async () => {
    await me.link.stop();
    await clock.settle();
    assert.deepEqual([clock.pending, me.relay.active], [0, 0]);
  };
  /** From now on the router opens no stream to the peer. */
  const refuse = () => {
    refuses = true;
  };
  return { clock, me, link: me.link, dialled, arrives, refuse, stop };
}

function sent(end: LineEnd | undefined): Buffer[] {
  const bytes: unknown = end?.read();
  return bytes instanceof Buffer ? split(bytes) : [];
}

const KEEPALIVE = onionCatKeepalive(peer(2), ME.addresses.ocat4);

test('speaks first on its own stream, byte for byte as an OnionCat, from ocat4 to ocat4', async () => {
  const { clock, dialled, stop } = setting([], 'always');
  await clock.settle();
  const [said] = sent(dialled[0]);
  assert.ok(said !== undefined);
  const expected = encodeKeepalive({
    source: ME.addresses.ocat4,
    destination: THEM.ocat4,
    flowLabel: flowLabelOf(said),
    name: ME.b32,
    announcement: undefined,
  });
  assert.equal(said.toString('hex'), expected.toString('hex'));
  await stop();
});

test('an unverified stream brings packets with the source of the peer, and no others', async () => {
  const { clock, me, link, arrives, stop } = setting('unverified');
  const theirs = arrives(
    'unverified',
    KEEPALIVE,
    packet(THEM.ocat4, ME.addresses.ocat4, 1),
    packet(peer(3).addresses.ocat4, ME.addresses.ocat4, 2),
    packet(ME.addresses.ocat4, ME.addresses.ocat4, 3),
    packet(THEM.oc, ME.addresses.oc, 4),
  );
  await clock.settle();
  assert.deepEqual(me.delivered.map(tagOf), [1, 4]);
  assert.equal(link.report().drops.foreignSource, 2);
  assert.deepEqual(sent(theirs), []);
  await stop();
});

test('answers go out on a stream that we opened to the peer, never on an unverified one', async () => {
  const { clock, link, dialled, arrives, stop } = setting('unverified');
  const liar = arrives('unverified', KEEPALIVE);
  await clock.settle();
  assert.equal(dialled.length, 0, 'a stranger makes us open nothing');
  link.send(packet(ME.addresses.ocat4, THEM.ocat4, 7));
  await clock.settle();
  assert.equal(dialled.length, 1);
  const ours = sent(dialled[0]);
  assert.ok(ours[0] !== undefined && isKeepalive(ours[0], 0));
  assert.deepEqual(ours.slice(1).map(tagOf), [7]);
  assert.deepEqual(link.report().state, { kind: 'up', direction: 'out' });
  for (let minute = 0; minute < 3; minute += 1) {
    await clock.advance(59_000);
    link.send(packet(ME.addresses.ocat4, THEM.ocat4, 8));
    liar.write(packet(THEM.ocat4, ME.addresses.ocat4, 9));
  }
  await clock.settle();
  assert.deepEqual(sent(liar), []);
  assert.equal(sent(dialled[0]).filter((one) => one[6] === 17).length, 3);
  await stop();
});

test('a link is up when the stream that an OnionCat opens in return has been heard, and not before', async () => {
  const { clock, link, dialled, arrives, stop } = setting('unverified', 'always');
  await clock.settle();
  link.send(packet(ME.addresses.ocat4, THEM.ocat4, 1));
  await clock.settle();
  assert.equal(link.report().state.kind, 'dialing');
  assert.deepEqual(sent(dialled[0]).slice(1), []);
  arrives('unverified', KEEPALIVE);
  await clock.settle();
  assert.equal(link.report().state.kind, 'up');
  assert.deepEqual(sent(dialled[0]).map(tagOf), [1]);
  await stop();
});

test('strangers can neither push our stream aside, nor keep theirs, nor slow down our dials', async () => {
  const { clock, link, dialled, arrives, stop } = setting('unverified', 'always');
  await clock.settle();
  const strangers = Array.from({ length: 30 }, () => arrives('unverified', KEEPALIVE));
  await clock.settle();
  for (const one of strangers) one.resume();
  await clock.settle();
  assert.equal(dialled[0]?.destroyed, false);
  assert.ok(strangers.filter(({ readableEnded, destroyed }) => !readableEnded && !destroyed).length <= 7);
  assert.equal(link.report().state.kind, 'up');
  for (const one of strangers.slice(-3)) one.destroy();
  await clock.advance(1_000);
  assert.deepEqual([link.report().state.kind, dialled.length], ['up', 1]);
  await clock.advance(210_000);
  assert.ok(
    strangers.every(({ readableEnded, destroyed }) => readableEnded || destroyed),
    'idle ones are ended',
  );
  await stop();
});

/** Ours goes to the peer each second; a stranger speaks in the peer's name once in so many. */
async function converse(
  { clock, link }: ReturnType<typeof setting>,
  seconds: number,
  stranger: LineEnd,
  every: number,
) {
  for (let second = 0; second < seconds; second += 1) {
    link.send(packet(ME.addresses.ocat4, THEM.ocat4, second));
    if (second % every === 0) stranger.write(packet(THEM.ocat4, ME.addresses.ocat4, 1));
    await clock.advance(1_000);
  }
}

test('whatever strangers say of a peer that is gone, it is dialled again every five minutes', async () => {
  const all = setting('unverified', 'always');
  const { clock, dialled, arrives, link, stop } = all;
  await clock.settle();
  const liar = arrives('unverified', KEEPALIVE);
  await clock.settle();
  const at: number[] = [];
  for (let minute = 0; minute < 30; minute += 1) {
    await converse(all, 60, liar, 60);
    for (const end of dialled.slice(at.length)) {
      at.push(minute);
      end.resume();
    }
  }
  assert.deepEqual(at, [0, 5, 10, 15, 20, 25]);
  assert.equal(link.report().state.kind, 'up');
  assert.ok(dialled.slice(0, -1).every(({ readableEnded, destroyed }) => readableEnded || destroyed));
  await stop();
});

test('where the router says that the peer cannot be reached, no word of strangers keeps the link up', async () => {
  const all = setting('unverified', 'always');
  const { clock, arrives, link, refuse, stop } = all;
  await clock.settle();
  const liar = arrives('unverified', KEEPALIVE);
  await clock.settle();
  refuse();
  await converse(all, 299, liar, 10);
  assert.equal(link.report().state.kind, 'up');
  await converse(all, 10, liar, 10);
  assert.equal(link.report().state.kind, 'waiting');
  await stop();
});

test('an OnionCat that is there loses nothing when its stream is replaced, and none is while nothing is sent', async () => {
  const all = setting('unverified', 'always');
  const { clock, dialled, arrives, stop } = all;
  await clock.settle();
  const theirs = arrives('unverified', KEEPALIVE);
  await clock.settle();
  const heard: number[] = [];
  for (let minute = 0; minute < 11; minute += 1) {
    await converse(all, 60, theirs, 20);
    heard.push(...dialled.flatMap((end) => sent(end)).flatMap((one) => (one[6] === 17 ? [tagOf(one)] : [])));
  }
  assert.deepEqual([heard.length, dialled.length], [11 * 60, 3]);
  for (let minute = 0; minute < 20; minute += 1) {
    theirs.write(packet(THEM.ocat4, ME.addresses.ocat4, 1));
    await clock.advance(60_000);
  }
  assert.equal(dialled.length, 3);
  await stop();
});

test('what was said long before a stream was opened says nothing about it', async () => {
  for (const [seconds, kind] of [
    [30, 'up'],
    [31, 'dialing'],
  ] as const) {
    const { clock, link, arrives, stop } = setting('unverified');
    arrives('unverified', KEEPALIVE);
    await clock.settle();
    await clock.advance(seconds * 1_000);
    link.send(packet(ME.addresses.ocat4, THEM.ocat4, 1));
    await clock.settle();
    assert.equal(link.report().state.kind, kind, `${seconds} s`);
    await stop();
  }
});

test('an OnionCat whose own destination is known is answered on the stream that it opened', async () => {
  const { clock, link, dialled, arrives, stop } = setting([]);
  const theirs = arrives('verified', KEEPALIVE);
  await clock.settle();
  link.send(packet(ME.addresses.ocat4, THEM.ocat4, 5));
  await clock.settle();
  assert.deepEqual(sent(theirs).map(tagOf), [5]);
  assert.equal(dialled.length, 0);
  // More often than every 180 s, after which it would close.
  const quiet: number[] = [];
  for (let second = 0; second < 400; second += 1) {
    await clock.advance(1_000);
    if (second % 100 === 0) link.send(packet(ME.addresses.ocat4, THEM.ocat4, 6));
    if (sent(theirs).length > 0) quiet.push(second);
  }
  for (const [index, at] of quiet.entries()) assert.ok(at - (quiet[index - 1] ?? 0) < 120, `${at}`);
  await stop();
});

/** What the lists of a listener let through: the same destination under all of its names. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DialTarget } from '../../../../src/core/dial/target.ts';
import { createPeerTable } from '../../../../src/core/peers/table.ts';
import { createAccess, DENIED } from '../../../../src/front/socks/access.ts';
import { type AccessList, type HostRule, parseHostRule } from '../../../../src/wire/access/rules.ts';
import { formatAddress } from '../../../../src/wire/i2p/address.ts';
import { type PortRange, parsePortRange } from '../../../../src/wire/packet/port-range.ts';
import { destination, own, peer } from '../../core/support.ts';
import { spaced } from '../../wire/socks/feed.ts';
import { DIALECTS, fakeDialer, settle, world } from './fakes.ts';

const PEER = peer(2);
const SITE = destination(9);
const ALL = { allow: [], deny: [] };
const PEERS = createPeerTable([PEER, peer(3)], own(1).addresses);

function rules(...texts: readonly string[]): readonly HostRule[] {
  return texts.map((text) => parseHostRule(text) ?? assert.fail(text));
}

function access(allow: readonly string[], deny: readonly string[], ports: AccessList<PortRange> = ALL) {
  return createAccess({ clients: ALL, ports, destinations: { allow: rules(...allow), deny: rules(...deny) } }, PEERS);
}

const TARGETS = {
  peerByB32: { kind: 'b32', b32: PEER.b32 },
  peerByName: { kind: 'peer', name: 'peer2' },
  peerByOc: { kind: 'address', address: PEER.addresses.oc },
  peerByOcat4: { kind: 'address', address: PEER.addresses.ocat4 },
  peerWhole: { kind: 'destination', destination: destination(2) },
  siteByB32: { kind: 'b32', b32: SITE.b32 },
  siteWhole: { kind: 'destination', destination: SITE },
  host: { kind: 'host', host: 'www.forum.i2p' },
  secret: { kind: 'b33', host: `${'a'.repeat(56)}.b32.i2p` },
} as const satisfies Record<string, DialTarget>;

const PEER_NAMES = ['peerByB32', 'peerByName', 'peerByOc', 'peerByOcat4', 'peerWhole'];
const EVERYTHING = Object.keys(TARGETS);

/** Those of the targets that get through. */
function through(allow: readonly string[], deny: readonly string[] = []): readonly string[] {
  const { objection } = access(allow, deny);
  return Object.entries(TARGETS).flatMap(([name, target]) => (objection(target, 80) === undefined ? [name] : []));
}

const without = (...names: readonly string[]) => EVERYTHING.filter((name) => !names.includes(name));

for (const [what, found, expected] of [
  ['empty lists let all through', through([]), EVERYTHING],
  ['a denied peer is denied by every name that it has', through([], ['peer2.peer.b32.i2p']), without(...PEER_NAMES)],
  ['so is a denied hash', through([], [`${PEER.b32}.b32.i2p`]), without(...PEER_NAMES)],
  ['so is a denied address', through([], [formatAddress(PEER.addresses.oc)]), without(...PEER_NAMES)],
  ['so is the other one', through([], [formatAddress(PEER.addresses.ocat4)]), without(...PEER_NAMES)],
  ['so are all peers by their network', through([], ['fd60:db4d:ddb5::/48']), without(...PEER_NAMES)],
  [
    'a denied site is denied by hash and whole',
    through([], [`${SITE.b32}.b32.i2p`]),
    without('siteByB32', 'siteWhole'),
  ],
  ['a denied name is', through([], ['www.forum.i2p']), without('host')],
  ['a denied suffix is', through([], ['.forum.i2p']), without('host')],
  ['a suffix begins at a dot', through([], ['.rum.i2p', '.ww.forum.i2p', 'forum.i2p']), EVERYTHING],
  ['a suffix is a name itself', through([], ['.www.forum.i2p']), without('host')],
  ['.b32.i2p is all that is asked for as such', through([], ['.b32.i2p']), ['host']],
  ['.i2p is all', through([], ['.i2p']), []],
  ['only peers, and a name that may be one', through(['fd60:db4d:ddb5::/48']), [...PEER_NAMES, 'host']],
  ['only names', through(['.forum.i2p']), ['host']],
  ['deny wins', through(['.i2p'], ['peer2.peer.b32.i2p', '.forum.i2p']), ['siteByB32', 'siteWhole', 'secret']],
  ['deny wins over a name that may be a peer', through(['peer2.peer.b32.i2p'], ['.forum.i2p']), PEER_NAMES],
] as const) {
  test(what, () => assert.deepEqual([...found].sort(), [...expected].sort()));
}

test('a name is judged again by what it turned out to be', () => {
  const verdict = (allow: readonly string[], deny: readonly string[], b32 = SITE.b32) =>
    access(allow, deny).objectionTo('www.forum.i2p', b32)?.code;
  assert.equal(verdict([], []), undefined);
  assert.equal(verdict([], [`${SITE.b32}.b32.i2p`]), DENIED);
  assert.equal(verdict([`${SITE.b32}.b32.i2p`], []), undefined);
  assert.equal(verdict([`${SITE.b32}.b32.i2p`], [], destination(8).b32), DENIED);
  assert.equal(verdict(['.forum.i2p'], [], destination(8).b32), undefined);
  assert.equal(verdict(['.forum.i2p'], ['fd60:db4d:ddb5::/48'], PEER.b32), DENIED);
  assert.equal(verdict(['peer2.peer.b32.i2p'], [], PEER.b32), undefined);
});

test('ports are allowed and denied, where one is asked for', () => {
  const range = (text: string) => parsePortRange(text) ?? assert.fail(text);
  const { objection } = access([], [], { allow: [range('80'), range('8000-8999')], deny: [range('8080')] });
  const asked = [79, 80, 8000, 8080, 8999, 9000, undefined].map((port) => objection(TARGETS.host, port)?.code);
  assert.deepEqual(asked, [DENIED, undefined, undefined, DENIED, undefined, DENIED, undefined]);
});

test('a client is refused with 02 and counted, at once or when the name has been looked up', async () => {
  const dialer = fakeDialer();
  const lists = access([], ['.forum.i2p', `${SITE.b32}.b32.i2p`]);
  const { listener, counts } = await world({}, dialer, lists);
  const denied = listener.connect();
  denied.stream.write(DIALECTS.SOCKS5.ask('www.forum.i2p'));
  await settle();
  assert.equal(spaced(denied.received()), `05 00 ${DIALECTS.SOCKS5.reply('02')}`);
  assert.equal(dialer.dials.length, 0);

  const named = listener.connect();
  named.stream.write(DIALECTS.SOCKS5.ask('other.i2p'));
  await settle();
  const dial = dialer.only();
  try {
    dial.options.permit('other.i2p', SITE.b32);
    assert.fail('it was permitted');
  } catch (error) {
    dial.fail(error);
  }
  await settle();
  assert.equal(spaced(named.received()), `05 00 ${DIALECTS.SOCKS5.reply('02')}`);
  assert.deepEqual(counts(), { accepted: 2, policyRefused: 2 });
});

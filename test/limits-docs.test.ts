/**
 * docs/limits.md keeps its word: every bound has a test that drives it to its limit, every bound in the sources is
 * accounted for, and the sums are those of the numbers in force.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { defaultConfig } from '../src/config/decode.ts';
import { SYSTEM_PATHS } from '../src/io/paths.ts';
import { assertShown, readDocument } from './helpers/shown-by.ts';

const SOURCE = join(import.meta.dirname, '../src');
const KIB = 1024;

const [table = '', ...sections] = readDocument('docs/limits.md').split('\n## ');
const rows = rowsOf(table, 4);

function rowsOf(text: string, columns: number): readonly (readonly string[])[] {
  return text
    .split('\n')
    .map((line) => line.split('|').map((cell) => cell.trim()))
    .filter(([before, what = '', ...cells]) => before === '' && cells.length === columns && !/^(-+|what)$/.test(what))
    .map(([, ...cells]) => cells);
}

test('there are bounds', () => assert.ok(rows.length > 25));

for (const [what, bound, whenFull, shown = ''] of rows) {
  test(`${what} has a bound, and a test that reaches it`, () => {
    assert.ok(bound !== '' && whenFull !== '');
    assertShown(shown);
  });
}

/** Constants that bound what is held, by file and name, with the row that has them. */
const BOUNDS: Readonly<Record<string, string>> = {
  'app/gateway.ts ACCEPTS_OF_CLIENTS': 'STREAM ACCEPTs that wait at the router',
  'app/gateway.ts FLOWS_PER_PEER': 'flows of one peer',
  'app/ping.ts MOST_PINGS': 'pings',
  'config/network-rules.ts MOST_NETWORKS': 'networks behind gateways, all peers together',
  'config/values.ts LONGEST_LIST': 'the config file',
  'control/protocol.ts LONGEST_ANSWER': 'a line at the control socket',
  'control/protocol.ts LONGEST_REQUEST': 'a line at the control socket',
  'core/datagram/attachments.ts REMEMBERED':
    'destinations of which a session for datagrams knows who wrote to them last',
  'core/datagram/session.ts MOST_WAITING_ON_CONTROL':
    'datagrams that wait for a router that takes them on the control connection only',
  'core/datagram/sessions.ts BUILDS_AT_ONCE': 'sessions that are built at a time',
  'core/dial/dialer.ts LINK_DIALS_AT_ONCE': 'dials for links of peers',
  'core/inbound/binder.ts MOST_AWAITED': 'streams that clients await',
  'core/inbound/switch.ts UNDECIDED_MOST': 'streams of a peer without a first byte',
  'core/naming/identity-caches.ts MOST_PER_IDENTITY': 'names remembered',
  'core/naming/identity-caches.ts MOST_IDENTITIES': 'names remembered',
  'core/naming/resolver.ts LOOKUPS_AT_ONCE': 'name lookups under way',
  'core/session/manager.ts BUILDS_AT_ONCE': 'sessions that are built at a time',
  'front/dns/server.ts QUERIES_BURST': 'questions of an OnionCat for names',
  'front/dns/server.ts QUERIES_PER_SECOND': 'questions of an OnionCat for names',
  'front/flow/server.ts REFUSALS_PER_PEER': 'flows of one peer',
  'front/socks/authentication.ts CHECKS_AT_ONCE': 'checks of passwords',
  'front/socks/authentication.ts REMEMBERED_AT_MOST': 'checks of passwords',
  'front/socks/udp/association.ts CORRESPONDENTS':
    'correspondents that a client may answer to, and addresses of the VPN that it has sent to',
  'front/socks/udp/association.ts WAITED_FOR': 'datagrams of a client that wait for one name',
  'front/socks/udp/association.ts WAITING_FOR_ONE': 'datagrams of a client that wait for one name',
  'front/socks/udp/association.ts ROUTES': 'targets of which an association remembers the route',
  'front/socks/udp/attached-sessions.ts MOST': 'sessions for datagrams',
  'front/vpn/fair-queue.ts MOST_LEAVING':
    'flows to one peer that have nothing waiting and keep their turn in the queue once more',
  'front/vpn/icmp-errors.ts ANSWERS_BURST': 'ICMPv6 errors to local senders',
  'front/vpn/icmp-errors.ts ANSWERS_PER_SECOND': 'ICMPv6 errors to local senders',
  'front/vpn/gateway.ts SPARE_BLOCKS': 'spare memory for packets',
  'front/vpn/in-flight.ts HIGHEST_LIMIT': 'bytes under way to one peer of our kind',
  'front/vpn/in-flight.ts MOST_ASKS': 'answers that a peer owes of those that we asked for',
  'front/vpn/link-streams.ts LONGEST_LIST': 'streams of one link',
  'front/vpn/own-echo.ts HELD_MOST': 'echoes that the stream to ourselves does not take',
  'front/vpn/own-echo.ts WAITING_MOST': 'echo requests to ourselves that wait for their stream',
  'io/config-file.ts LARGEST_FILE': 'the config file',
  'io/control-socket.ts MOST_CONNECTIONS': 'connections of the control socket',
  'io/key-file.ts LARGEST_FILE': 'a key file',
  'io/launcher.ts MOST_RUNS': "starts of garligate's own i2pd of which nobody has heard",
  'io/launcher.ts LONGEST_LINE': "a line that garligate's own i2pd prints",
  'io/native-socket.ts MOST_READS': 'reads of one stream socket in a turn of the event loop',
  'io/nft-program.ts LONGEST_OUTPUT': 'what nft prints',
  'io/read-buffers.ts KEPT': 'large buffers for reading',
  'io/sockets.ts BACKLOG': 'clients that wait to be accepted',
  'io/udp.ts MOST_QUEUED': 'datagrams that wait in a UDP socket',
  'wire/sam/line.ts LONGEST_LINE': 'a SAM line',
  'wire/socks/http-connect.ts LONGEST_HEAD': 'the head of a request of HTTP',
};

/** What sounds like one, and bounds nothing that is held. */
const NO_BOUNDS: Readonly<Record<string, string>> = {
  'cli/ping.ts LONGEST_TIMEOUT': 'how long a command waits',
  'cli/ping.ts MOST_PINGS': 'how often a command asks, one after the other',
  'cli/status-text.ts MOST_SHOWN': 'what is printed',
  'config/decode.ts MOST_PROBLEMS': 'what is printed',
  'config/endpoint.ts LONGEST_UNIX_PATH': 'what the kernel takes as an address',
  'config/nearest.ts MOST_EDITS': 'how alike two words are',
  'config/problem.ts LONGEST_QUOTE': 'what is printed',
  'core/datagram/session.ts LARGEST': 'a form of the wire',
  'core/datagram/session.ts LARGEST_ON_CONTROL_OF_I2PD': 'a form of the wire',
  'front/vpn/base-round-trip.ts KEPT_ROUND_TRIPS': 'how long a measurement holds',
  'front/vpn/base-round-trip.ts MOST_ROUND_TRIPS': 'how long a measurement takes',
  'front/vpn/in-flight.ts ASKS_PER_LIMIT': 'how often is asked',
  'io/control-socket.ts MOST_CALLS': 'one of each connection, of which there is a row',
  'io/launcher.ts LONGEST_REASON': 'what is printed',
  'io/socket-set.ts MOST_CLIENTS': 'work of one turn: the kernel holds the others',
  'io/socket-set.ts MOST_EVENTS': 'work of one turn: the kernel holds the others',
  'wire/dns/ptr.ts LONGEST_MESSAGE': 'a form of the wire, checked before it is read',
  'wire/flow/frames.ts LONGEST_FRAME': 'a form of the wire, passed on in pieces',
  'wire/i2p/destination.ts LONGEST_DESTINATION': 'a form of the wire, within a SAM line',
  'wire/i2p/hostname.ts LONGEST_HOST': 'a form of the wire, within a request',
  'wire/packet/icmpv6.ts LONGEST_ERROR': 'a form of the wire',
  'wire/packet/icmpv6.ts MOST_EXTENSION_HEADERS': 'work on one packet',
  'wire/packet/port-range.ts HIGHEST_PORT': 'a form of the wire',
  'wire/packet/ipv6.ts LONGEST_PACKET': 'the row of an unfinished packet has its number',
  'wire/socks/handshake.ts LONGEST_FIELD': 'a form of the wire, within a request',
  'wire/socks/http-connect.ts LONGEST_CREDENTIAL': 'a form of the wire, within a head',
  'wire/socks/http-connect.ts LONGEST_HOST': 'a form of the wire, within a head',
  'wire/socks/password-hash.ts LONGEST_CREDENTIAL': 'a form of the wire, within a request',
  'wire/socks/password-hash.ts MOST_MEMORY': 'what one check takes, of which two run at a time',
};

/** Times are no stock. */
const SOUNDS_LIKE_A_BOUND = /MOST|LONGEST|LARGEST|HIGHEST|AT_ONCE|_PER_|KEPT|REMEMBERED|BACKLOG|BURST|QUEUED|WAITING/;

/** By file and name, with what stands behind the equals sign. */
const constants = new Map<string, string>(
  readdirSync(SOURCE, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .flatMap((file) =>
      [...readFileSync(join(SOURCE, file), 'utf8').matchAll(/^(?:export )?const ([A-Z][A-Z0-9_]*) = (.*);$/gm)].map(
        ([, name = '', value = '']) => [`${file} ${name}`, value] as const,
      ),
    ),
);

/** Of a product of numbers; undefined for anything else. */
function numberOf(constant: string): number | undefined {
  const factors = constants
    .get(constant)
    ?.split(' * ')
    .map((factor) => Number(factor.replaceAll('_', '')));
  return factors?.some(Number.isNaN) ? undefined : factors?.reduce((product, factor) => product * factor, 1);
}

/** As the document may write it. */
function spellings(value: number): readonly string[] {
  const thousands = value.toLocaleString('en');
  const units = [`${value / KIB} KiB`, `${value / KIB / KIB} MiB`];
  return [String(value), thousands, ...units];
}

test('whatever sounds like a bound in the sources has a row, or a reason to have none', () => {
  const sounding = [...constants.keys()].filter((constant) => {
    const [, name = ''] = constant.split(' ');
    return SOUNDS_LIKE_A_BOUND.test(name) && !name.endsWith('_MS');
  });
  assert.ok(sounding.length > 50);
  assert.deepEqual(
    sounding.filter((constant) => !(constant in BOUNDS) && !(constant in NO_BOUNDS)),
    [],
  );
  // And the other way round, so that these lists have nothing that is gone.
  assert.deepEqual(
    [...Object.keys(BOUNDS), ...Object.keys(NO_BOUNDS)].filter((constant) => !constants.has(constant)),
    [],
  );
});

for (const [constant, what] of Object.entries(BOUNDS)) {
  test(`the row about ${what} has the number of ${constant}`, () => {
    const [, bound = '', whenFull = ''] = rows.find(([title]) => title === what) ?? assert.fail(`no row: ${what}`);
    const value = numberOf(constant) ?? assert.fail(`no number: ${constants.get(constant)}`);
    const words = `${bound}; ${whenFull}`;
    assert.ok(
      spellings(value).some((spelling) => new RegExp(`(^|[^\\d.,])${spelling}($|[^\\d])`).test(words)),
      `${value} is not in: ${words}`,
    );
  });
}

test('what all of it holds at most is the sum of what the limits in force allow', () => {
  const { limits, vpn, socks } = defaultConfig(SYSTEM_PATHS);
  const [listener] = socks;
  assert.ok(listener !== undefined && socks.length === 1);
  const number = (constant: string) => numberOf(constant) ?? assert.fail(constant);
  const [small, large, mark] = [number('io/read-buffers.ts SMALL'), number('io/read-buffers.ts LARGE'), 128 * KIB];
  assert.equal(constants.get('io/sockets.ts STREAM_MARKS'), undefined, 'its mark is read as text below');
  assert.match(
    readFileSync(join(SOURCE, 'io/sockets.ts'), 'utf8'),
    /STREAM_MARKS.* = \{ highWaterMark: 128 \* 1024 \};/,
  );
  const peers = 50;
  const block = number('front/vpn/outbound-packets.ts RUN_BLOCK');
  const batch = 32 * KIB;
  const peerPackets = vpn.queue.bytes + block + batch + (mark + batch) + 64 * KIB;
  const framing = 2 * number('core/flow/framed-stream.ts HIGH_WATER_MARK');
  const pair = 2 * (mark + (mark + large) + large + framing);
  const unjoined = mark + small;
  // A destination, which test/unit/front/socks/udp/memory.test.ts measures.
  const remembered = 6 * KIB;
  const association =
    3 * number('io/udp.ts MOST_QUEUED') +
    number('front/socks/udp/association.ts WAITED_FOR') * listener.udp_queue +
    (number('front/socks/udp/association.ts CORRESPONDENTS') + number('front/socks/udp/association.ts ROUTES')) *
      remembered;
  // Names, and addresses told for them.
  const names =
    2 *
    number('core/naming/identity-caches.ts MOST_IDENTITIES') *
    number('core/naming/identity-caches.ts MOST_PER_IDENTITY');
  const wanted: Array<readonly [what: string, counts: readonly number[], bytes: number]> = [
    ['packets for peers that take nothing', [peers], peerPackets],
    ['spare memory for packets', [number('front/vpn/gateway.ts SPARE_BLOCKS')], block],
    ['joined streams', [limits.streams], pair],
    ['clients that ask or wait', [listener.max_clients], unjoined],
    ['spare buffers for reading', [number('io/read-buffers.ts KEPT')], large],
    ['UDP associations', [Math.min(listener.udp_associations, limits.associations)], association],
    [
      'sessions for datagrams',
      [limits.datagram_sessions],
      number('io/udp.ts MOST_QUEUED') + number('core/datagram/session.ts MOST_WAITING_ON_CONTROL'),
    ],
    ['names and addresses that are remembered', [names], remembered],
    [
      'questions at the control socket',
      [number('io/control-socket.ts MOST_CONNECTIONS')],
      number('control/protocol.ts LONGEST_REQUEST'),
    ],
  ];
  const inMiB = wanted.map(([, counts, bytes]) => counts.reduce((all, count) => all * count, bytes) / KIB / KIB);
  const expected = wanted.map(([what, counts, bytes], index) => [
    what,
    [...counts, `${bytes / KIB} KiB`].join(' x '),
    String(Math.round(inMiB[index] ?? 0)),
    '',
  ]);
  const total = Math.round(inMiB.reduce((sum, one) => sum + one, 0));
  const section = sections.find((text) => text.startsWith('All of it\n')) ?? assert.fail('no section');
  assert.deepEqual(rowsOf(section, 3), [...expected, ['together', '', String(total), '']]);
});

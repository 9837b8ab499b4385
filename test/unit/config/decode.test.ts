import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeConfig, defaultConfig } from '../../../src/config/decode.ts';
import { describeProblem } from '../../../src/config/problem.ts';
import type { Config } from '../../../src/config/schema.ts';

const PATHS = { keyFile: '/k', routerDirectory: '/r', controlSocket: '/c' };
const ALICE = 'ktmhezukbp6jyuldedcjmso6p4e6aegeikqli2mne67hnttgmvfa.b32.i2p';
const BOB = 'j3dtidfppd6mkxecq6cz7raw44auavkmihlvuqb4fea7qcwuqtua.b32.i2p';
/** Shares the first 16 characters with ALICE, hence the oc address. */
const ALIAS = `${ALICE.slice(0, 16)}${'a'.repeat(36)}.b32.i2p`;
/** Its first 16 characters are ALICE's last 16: the oc address of the one is the ocat4 address of the other. */
const CROSSED = `${ALICE.slice(36, 52)}${'a'.repeat(36)}.b32.i2p`;

const ALICES_LINE = `alice:$scrypt$ln=15,r=8,p=1$${'A'.repeat(22)}$${'A'.repeat(43)}`;

function problemsOf(toml: string): readonly string[] {
  const decoded = decodeConfig(toml, PATHS);
  assert.equal(decoded.kind, 'problems');
  return decoded.kind === 'problems' ? decoded.problems.map((problem) => describeProblem('f', problem)) : [];
}

function configOf(toml: string): Config {
  const decoded = decodeConfig(toml, PATHS);
  assert.equal(decoded.kind, 'config', JSON.stringify(decoded));
  return decoded.kind === 'config' ? decoded.config : defaultConfig(PATHS);
}

function peer(name: string, destination: string): string {
  return `[[peer]]\nname = "${name}"\ndestination = "${destination}"\n`;
}

test('an empty file means the defaults', () => {
  assert.deepEqual(configOf(''), defaultConfig(PATHS));
  const { identity, control, router, socks } = defaultConfig(PATHS);
  assert.deepEqual([identity.key_file, control.socket, router.directory], ['/k', '/c', '/r']);
  assert.deepEqual(socks[0]?.listen, { kind: 'tcp', host: '127.0.0.1', port: 9160 });
  assert.equal(socks.length, 1);
});

test('values arrive in the units of the program', () => {
  const config = configOf(`
    socks = [{ listen = "unix:/s", mode = "0600", idle_timeout = "0s", handshake_timeout = "90s" }]
    [router]
    sam = "[::1]:7656"
    [vpn]
    queue = { bytes = "1MiB", age = "250ms" }
    [tunnels]
    inbound.length = 2
    options = { "i2cp.leaseSetEncType" = "4,0" }
    ${peer('alice', ALICE.toUpperCase())}`);
  assert.deepEqual(config.router.sam, { kind: 'tcp', host: '::1', port: 7656 });
  assert.deepEqual(config.vpn.queue, { packets: 1024, bytes: 1_048_576, age: 250 });
  assert.deepEqual(config.tunnels.inbound, { length: 2, quantity: 3 });
  assert.deepEqual(config.tunnels.options, { 'i2cp.leaseSetEncType': '4,0' });
  assert.deepEqual(config.peer[0]?.destination, { kind: 'b32', b32: ALICE.slice(0, 52) });
  const [socks] = config.socks;
  assert.deepEqual([socks?.listen, socks?.mode], [{ kind: 'unix', path: '/s' }, 0o600]);
  assert.deepEqual([socks?.idle_timeout, socks?.handshake_timeout], [0, 90_000]);
  assert.deepEqual(configOf('socks = []').socks, []);
});

for (const [what, toml, expected] of [
  ['a syntax error', '[vpn]\nmtu = \n', [/^f:2: found .* in column 7, wanted TOML/]],
  ['a key twice', '[vpn]\nmtu = 1500\nmtu = 1500', [/^f:3: found /]],
  ['a prototype', '[vpn]\n__proto__ = {}', [/^f:2: found .*unsafe/]],
  [
    'an unknown key near a known one',
    '[router]\nsma = "auto"',
    [/^f:2: router\.sma: .*unknown key, .*did you mean sam\?/],
  ],
  ['an unknown key of another section', '[vpn]\n\nlevel = "info"', [/^f:3: vpn\.level: .*did you mean log\.level\?/]],
  ['a key like no other', '[log]\nwombat = 1', [/^f:2: log\.wombat: found an unknown key, wanted one of level$/]],
  ['an unknown section', '[soks]\n', [/^f:1: soks: found an unknown key.*did you mean socks\?/]],
  [
    'a text for a number',
    '[vpn]\nmtu = "big"',
    [/^f:2: vpn\.mtu: found "big", wanted a whole number from 1280 to 65535$/],
  ],
  ['a fraction', '[vpn]\nmtu = 1400.5', [/^f:2: vpn\.mtu: found 1400\.5, wanted a whole number/]],
  ['nan', '[vpn]\nmtu = nan', [/^f:2: vpn\.mtu: found NaN, wanted a whole number/]],
  ['a number too small', '[vpn]\nmtu = 1279', [/^f:2: vpn\.mtu: found 1279/]],
  ['a number for a flag', '[vpn]\nenabled = 1', [/^f:2: vpn\.enabled: found 1, wanted true or false$/]],
  ['a wrong word', '[log]\nlevel = "loud"', [/^f:2: log\.level: found "loud", wanted one of "trace"/]],
  [
    'a time without unit',
    '[[socks]]\nidle_timeout = "30"',
    [/^f:2: socks\[1\]\.idle_timeout: found "30", wanted a time/],
  ],
  [
    'a size with a wrong unit',
    '[vpn]\nqueue = { bytes = "5KB" }',
    [/^f:2: vpn\.queue\.bytes: found "5KB", wanted a size/],
  ],
  [
    'a queue that two packets fill',
    '[vpn]\nmtu = 9000\n\nqueue = { bytes = "17KiB" }',
    [/^f:4: vpn\.queue\.bytes: found 17408 bytes, wanted at least "18000B", twice vpn\.mtu$/],
  ],
  [
    'a relative path',
    '[identity]\nkey_file = "key"',
    [/^f:2: identity\.key_file: found "key", wanted an absolute path$/],
  ],
  [
    'a table for a list',
    '[socks]\nlisten = "127.0.0.1:1"',
    [/^f:1: socks: found a table, wanted a list of \[\[socks\]\]/],
  ],
  ['a value for a table', 'vpn = 1', [/^f:1: vpn: found 1, wanted a table$/]],
  [
    'a peer without destination',
    '\n[[peer]]\nname = "a"',
    [/^f:2: peer\[1\]\.destination: found nothing, wanted a name/],
  ],
  ['a peer by address book name', peer('a', 'stats.i2p'), [/^f:3: peer\[1\]\.destination: found "stats\.i2p"/]],
  ['a b32 name of wrong length', peer('a', 'abc.b32.i2p'), [/^f:3: peer\[1\]\.destination: found "abc/]],
  [
    'a host name for the bridge',
    '[router]\nsam = "sam.example:7656"',
    [/^f:2: router\.sam: found "sam\.example:7656"/],
  ],
  ['a bridge elsewhere', '[router]\nsam = "10.0.0.1:7656"', [/^f:2: router\.sam: .*loopback.*allow_remote/]],
  ['a user without password', '[router]\nuser = "u"', [/^f:2: router\.user: .*password_file/]],
  ['a password without user', '[router]\npassword_file = "/p"', [/^f:2: router\.password_file: .*router\.user/]],
  ['an open listener', '[[socks]]\nlisten = "0.0.0.0:9160"', [/^f:2: socks\[1\]\.listen: .*open = true/]],
  ...['0.0.0.0:1', '[::]:1', '172.17.0.1:1', '192.0.2.1:1', '[fe80::1]:1', '[fd60:db4d:ddb5::1]:1', '0.0.0.0:0'].map(
    (place) =>
      [
        `a listener at ${place}`,
        `[[socks]]\nlisten = "${place}"`,
        [/^f:2: socks\[1\]\.listen: found ".*", which other machines can reach, wanted a loopback .*open = true/],
      ] as const,
  ),
  ...['[::ffff:0.0.0.0]:1', '[::ffff:172.17.0.1]:1', '[::ffff:127.0.0.1]:1', '[::ffff:7f00:1]:1'].map(
    (place) =>
      [
        `a listener at ${place}`,
        `[[socks]]\nlisten = "${place}"\nopen = true`,
        [
          /^f:2: socks\[1\]\.listen: found ".*", an IPv4 address in the spelling of IPv6, wanted the IPv4 address itself/,
        ],
      ] as const,
  ),
  ...['*:1', ':1', 'localhost.localdomain:1', 'eth0:1', '0:1', '127.1:1', '0x7f.0.0.1:1', '[::1%lo]:1', '[]:1'].map(
    (place) =>
      [
        `a listener at ${place}`,
        `[[socks]]\nlisten = "${place}"`,
        [/^f:2: socks\[1\]\.listen: found ".*", wanted an IP address with a port/],
      ] as const,
  ),
  [
    'a port list with a number too large',
    '[[socks]]\nports.allow = ["80", "1-65536"]',
    [/^f:2: socks\[1\]\.ports\.allow\[2\]: found "1-65536", wanted a port or a range/],
  ],
  [
    'a network with bits behind it',
    '[[socks]]\nclients = { deny = ["192.0.2.1/24"] }',
    [/^f:2: socks\[1\]\.clients\.deny\[1\]: found "192\.0\.2\.1\/24", wanted an IP address or a network/],
  ],
  [
    'a destination outside of I2P',
    '[[socks]]\ndestinations.deny = [".com", ".i2p", "10.0.0.1", "fd60::/16"]',
    [/deny\[1\]: found "\.com", wanted a name or/, /deny\[3\]: found "10/, /deny\[4\]: found "fd60::\/16"/],
  ],
  [
    'a list that is none',
    '[[socks]]\nports.deny = "80"',
    [/^f:2: socks\[1\]\.ports\.deny: found "80", wanted a list, each a port/],
  ],
  [
    'a rule about a peer that is not there',
    '[[socks]]\ndestinations.allow = ["alice.peer.b32.i2p"]',
    [/^f:2: socks\[1\]\.destinations\.allow\[1\]: found "alice.*not there, wanted the name of a \[\[peer\]\]/],
  ],
  [
    'an owner of a TCP port',
    '[[socks]]\ngroup = "tor"',
    [/^f:2: socks\[1\]\.group: found .* TCP .*, wanted none; only/],
  ],
  ['an owner with a blank', '[[socks]]\nowner = "a b"', [/^f:2: socks\[1\]\.owner: found "a b", wanted a name or a/]],
  [
    'addresses of clients for a unix socket',
    '[[socks]]\nlisten = "unix:/s"\nclients.allow = ["::1"]',
    [/^f:3: socks\[1\]\.clients: found addresses .*, wanted none; mode says/],
  ],
  ['an open listener on IPv6', '[[socks]]\nlisten = "[::]:9160"', [/^f:2: socks\[1\]\.listen: .*open = true/]],
  [
    'an identity that is not there',
    '[[socks]]\nidentity = "mail"',
    [/^f:2: socks\[1\]\.identity: found "mail", wanted .*\[identities\.mail\], which is not there$/],
  ],
  ['an identity with a reserved name', '[identities.gateway]', [/^f:1: identities\.gateway: .*and not "gateway"/]],
  ['an identity that is no name', '[[socks]]\nidentity = "a b"', [/^f:2: socks\[1\]\.identity: .*wanted "gateway"/]],
  [
    'an unknown key of an identity',
    '[identities.mail]\nkeyfile = "/k"',
    [/^f:2: identities\.mail\.keyfile: .*did you mean key_file/],
  ],
  [
    'one key for two',
    '[identities.mail]\nkey_file = "/k"\n[identities.web]\nkey_file = "/w"\n[identities.news]\nkey_file = "/w"',
    [/^f:2: identities\.mail\.key_file: .*of the gateway again/, /^f:6: .*news\.key_file: .*of identities\.web again/],
  ],
  [
    'a difference between all clients of a shared destination',
    '[[socks]]\nisolate = ["credentials", "destination"]',
    [/^f:2: socks\[1\]\.isolate: found "destination".*identity = "isolated"/],
  ],
  ['an unknown fact', '[[socks]]\nisolate = ["colour"]', [/^f:2: socks\[1\]\.isolate\[1\]: .*"credentials"/]],
  [
    'tunnels of nobody',
    '[[socks]]\ntunnels.inbound.length = 1',
    [/^f:2: socks\[1\]\.tunnels: .*identity = "isolated"/],
  ],
  [
    'an option with its own key in tunnels of a listener',
    '[[socks]]\nidentity = "isolated"\ntunnels.options = { "inbound.length" = "1" }',
    [/^f:3: socks\[1\]\.tunnels\.options\.\S+ found an option that has a key of its own/],
  ],
  ['sessions ahead of nobody', '[[socks]]\nisolate = []\nahead = 1', [/^f:3: socks\[1\]\.ahead: .*isolates nobody/]],
  [
    'more sessions ahead than there may be',
    '[[socks]]\nahead = 5\n[[socks]]\nlisten = "[::1]:1"\nahead = 4',
    [/^f:2: socks\[1\]\.ahead: found 9 .*isolated_sessions, 8$/],
  ],
  [
    'isolation without a session for it',
    '[[socks]]\nidentity = "isolated"\n[limits]\nisolated_sessions = 0',
    [/^f:2: socks\[1\]\.identity: .*isolated_sessions is 0/],
  ],
  [
    'users that need not say who they are',
    `[[socks]]\nprefer_no_auth = true\nusers = ["${ALICES_LINE}"]`,
    [/^f:2: socks\[1\]\.prefer_no_auth: found true, while only users are served/],
  ],
  ['a user twice', `[[socks]]\nusers = ["${ALICES_LINE}", "${ALICES_LINE}"]`, [/^f:2: .*: found a user again/]],
  ['a listener twice', '[[socks]]\n[[socks]]\nlisten = "localhost:9160"', [/^f:3: socks\[2\]\.listen: .*socks\[1\]/]],
  [
    'a listener at all addresses of a port beside one at a single address',
    '[[socks]]\n[[socks]]\nlisten = "0.0.0.0:9160"\nopen = true',
    [/^f:3: socks\[2\]\.listen: found "0\.0\.0\.0:9160", which excludes "127\.0\.0\.1:9160" of socks\[1\]/],
  ],
  [
    'an option with its own key',
    '[tunnels.options]\n"inbound.length" = "1"',
    [/^f:2: tunnels\.options\.".*tunnels\.inbound/],
  ],
  [
    'words of SAM itself among the options',
    '[tunnels.options]\nDESTINATION = "TRANSIENT"\nsignature_type = "0"\n[identities.mail]\ntunnels.options = { Port = "80" }',
    [
      /^f:2: tunnels\.options\.DESTINATION: found a word of SAM itself/,
      /^f:3: tunnels\.options\.signature_type: /,
      /^f:5: identities\.mail\.tunnels\.options\.Port: /,
    ],
  ],
  ['an option with a blank', '[tunnels]\noptions = { a = "b c" }', [/^f:2: tunnels\.options\.a: found "b c"/]],
  [
    'an option name with a blank',
    '[tunnels]\noptions = { "a b" = "c" }',
    [/^f:2: tunnels\.options\."a b": .*option name/],
  ],
  [
    'a peer name twice',
    `${peer('a', ALICE)}${peer('A', `${'b'.repeat(51)}a.b32.i2p`)}`,
    [/^f:5: peer\[2\]\.name: .*peer\[1\]/],
  ],
  [
    'other destinations of a peer that is no OnionCat',
    `${peer('a', ALICE)}inbound = ["${BOB}"]`,
    [/^f:4: peer\[1\]\.inbound: .*compat = "onioncat4"/],
  ],
  [
    'one destination for two peers',
    `${peer('a', ALICE)}${peer('b', BOB)}compat = "onioncat4"\ninbound = ["${ALICE}"]`,
    [/^f:8: peer\[2\]\.inbound: found a destination of peer\[1\]/],
  ],
  [
    'an origin that is none',
    `${peer('a', ALICE)}compat = "onioncat4"\ninbound = "whoever"`,
    [/^f:5: peer\[1\]\.inbound: found "whoever", wanted a list of destinations.* or "unverified"/],
  ],
  [
    'a destination twice',
    `${peer('a', ALICE)}${peer('b', ALICE)}`,
    [/^f:6: peer\[2\]\.destination: .*peer\[1\] again/],
  ],
  [
    'an address twice',
    `${peer('a', ALICE)}${peer('b', ALIAS)}`,
    [/^f:6: peer\[2\]\.destination: .*address that peer\[1\]/],
  ],
  [
    'an address in its other form',
    `${peer('a', ALICE)}${peer('b', CROSSED)}`,
    [/^f:6: peer\[2\]\.destination: .*address/],
  ],
  ['a peer with a name of dots', peer('a..b', ALICE), [/^f:2: peer\[1\]\.name: found "a\.\.b", wanted 1 to 32/]],
  [
    'an alias without quotes',
    `[names]\nforum.i2p = "${ALICE}"`,
    [/^f:2: names\.forum: found a table, wanted a name under \.i2p in lower case and in quotes/],
  ],
  [
    'an alias outside of I2P',
    `[names]\n"a.com" = "${ALICE}"`,
    [/^f:2: names\."a\.com": found .*, wanted a name under/],
  ],
  ['an alias in capitals', `[names]\n"A.i2p" = "${ALICE}"`, [/^f:2: names\."A\.i2p": .*lower case/]],
  ['an alias that is a b32 name', `[names]\n"${ALICE}" = "${ALICE}"`, [/^f:2: names\.".*": .*no b32 name/]],
  [
    'an alias for another name',
    '[names]\n"a.i2p" = "b.i2p"',
    [/^f:2: names\."a\.i2p": found "b\.i2p", wanted a name of 52/],
  ],
  ['aliases that are no table', 'names = 1', [/^f:1: names: found 1, wanted a table/]],
  [
    'several mistakes, in the order of the lines',
    '[vpn]\nmtu = 1\nenabled = 2\n[log]\nlevel = 3',
    [/^f:2: vpn\.mtu/, /^f:3: vpn\.enabled/, /^f:5: log\.level/],
  ],
] as const) {
  test(`says where and what is wrong with ${what}`, () => {
    const found = problemsOf(toml);
    assert.equal(found.length, expected.length, found.join('\n'));
    for (const [index, pattern] of expected.entries()) assert.match(found[index] ?? '', pattern);
  });
}

test('what stands in the place of a hashed password is not quoted: it may be the password', () => {
  for (const line of [
    'alice:secret',
    'alice',
    ':$scrypt$',
    ALICES_LINE.replace('ln=15', 'ln=1'),
    ALICES_LINE.replace('alice', 'a:b'),
    `${ALICES_LINE}A`,
  ]) {
    for (const users of [`["${line}"]`, `"${line}"`]) {
      const [problem = '', ...more] = problemsOf(`[[socks]]\nusers = ${users}`);
      assert.match(problem, /^f:2: socks\[1\]\.users(\[1\])?: found something else, wanted .*garligate password/);
      assert.deepEqual(more, []);
    }
  }
});

test('what stands in the place of a file with a secret is not quoted: it may be the secret', () => {
  for (const [toml, key] of [
    ['[router]\nuser = "u"\npassword_file = "open sesame"', 'router\\.password_file'],
    ['[identities.mail]\nkey_file = "open sesame"', 'identities\\.mail\\.key_file'],
  ] as const) {
    const wanted = new RegExp(`: ${key}: found something else, wanted an absolute path, or "" for none$`);
    assert.ok(
      problemsOf(toml).some((problem) => wanted.test(problem)),
      toml,
    );
    assert.doesNotMatch(problemsOf(toml).join(), /sesame/);
  }
});

test('identities and users arrive as what they are', () => {
  const { identities, socks } = configOf(`
    [identities.mail]
    key_file = "/m"
    tunnels.outbound.length = 1
    [identities.web]
    [[socks]]
    identity = "mail"
    users = ["${ALICES_LINE}"]
    isolate = []
    [[socks]]
    listen = "unix:/s"
    identity = "isolated"
    isolate = ["client", "destination"]
    tunnels.inbound.length = 2`);
  assert.deepEqual(identities['mail']?.tunnels?.outbound, { length: 1, quantity: 3 });
  assert.deepEqual(identities['web'], { key_file: '' });
  assert.deepEqual(socks[0]?.identity, { kind: 'named', name: 'mail' });
  assert.equal(socks[0]?.users[0]?.name, 'alice');
  assert.doesNotMatch(JSON.stringify(socks), /AAAA/);
  assert.deepEqual(socks[1]?.isolate, ['client', 'destination']);
  assert.equal(socks[1]?.tunnels?.inbound.length, 2);
});

test('what must be said in so many words is then allowed', () => {
  configOf('[[socks]]\nlisten = "0.0.0.0:9160"\nopen = true');
  configOf(`[[socks]]\nlisten = "0.0.0.0:9160"\nusers = ["${ALICES_LINE}"]`);
  configOf('[router]\nsam = "10.0.0.1:7656"\nallow_remote = true');
  configOf('[[socks]]\nlisten = "127.0.0.1:0"\n[[socks]]\nlisten = "127.0.0.1:0"');
});

test('an alias is the hash or the whole destination that it was given', () => {
  const { names } = configOf(`[names]\n"forum.i2p" = "${ALICE.toUpperCase()}"\n"a.b.i2p" = "${ALICE}"`);
  const b32 = { kind: 'b32', b32: ALICE.slice(0, 52) };
  assert.deepEqual(names, { 'forum.i2p': b32, 'a.b.i2p': b32 });
});

test('a secret in the wrong place is not quoted', () => {
  const secret = 'Ab3~'.repeat(200);
  for (const line of problemsOf(peer('a', secret))) assert.ok(!line.includes('Ab3~'), line);
});

test('a file that is wrong all over is told in a bearable number of lines', () => {
  assert.equal(problemsOf(Array.from({ length: 500 }, (_, index) => `zz${index} = 1`).join('\n')).length, 20);
});

test('any text is either a config or a list of problems', () => {
  const word = fc.constantFrom(
    '[',
    ']',
    '[[',
    ']]',
    '{',
    '}',
    '=',
    ',',
    '.',
    '\n',
    '#',
    '"',
    "'",
    '"""',
    'vpn',
    'peer',
    'mtu',
    '1',
    ' ',
    '\\',
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.array(word, { maxLength: 40 }).map((words) => words.join('')),
        fc.string(),
      ),
      (text) => {
        const decoded = decodeConfig(text, PATHS);
        assert.ok(decoded.kind === 'config' || decoded.problems.length > 0);
      },
    ),
    { numRuns: 2000 },
  );
});

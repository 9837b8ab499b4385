/** The verbs that need no running gateway, as people run them. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { generateKeys } from '../../../src/io/key-generate.ts';
import type { Destination } from '../../../src/wire/i2p/destination.ts';
import { ALICE, garligate, inRoot, MAIN, place, WITH_TYPESCRIPT } from './command-kit.ts';

test('says its version, and how it is used', async () => {
  const { version } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8'));
  for (const args of [['version'], ['--version']]) {
    assert.deepEqual(await garligate(...args), { code: 0, out: `${version}\n`, err: '' });
  }
  const help = await garligate('--help');
  assert.equal(help.code, 0);
  for (const verb of ['run', 'check', 'init', 'address', 'status', 'peers', 'version']) {
    assert.match(help.out, new RegExp(`^  ${verb}\\b`, 'm'));
  }
});

for (const args of [[], ['walk'], ['run', '--fast'], ['status', 'now'], ['check', '--config']]) {
  test(`wrong usage ends with 2: ${JSON.stringify(args)}`, async () => {
    const { code, out, err } = await garligate(...args);
    assert.deepEqual([code, out], [2, '']);
    assert.notEqual(err, '');
  });
}

test('init makes what is missing, once, and says what a friend needs', async () => {
  const { config, key } = place('init');
  const first = await garligate('init', '--config', config);
  assert.deepEqual([first.code, first.err], [0, '']);
  const [, b32 = ''] = /^destination = "([a-z2-7]{52})\.b32\.i2p"$/m.exec(first.out) ?? [];
  assert.match(first.out, new RegExp(`^b32 +${b32}\\.b32\\.i2p$`, 'm'));
  assert.match(first.out, /^address +fd60:db4d:ddb5:/m);
  // What a friend pastes is right as it is, and says what would be silence otherwise.
  const [, lines = ''] = /\n(\[\[peer\]\]\n.*)/s.exec(first.out) ?? [];
  assert.match(lines, /^# What this peer may reach .* nothing without this line.*\n#allow = \["icmp"\]$/m);
  const friend = place('friend', lines.replace('#allow', 'allow'));
  assert.equal((await garligate('check', '-c', friend.config)).code, 0);
  assert.equal(statSync(key).mode & 0o777, 0o600);
  assert.ok(!first.out.includes(readFileSync(key, 'utf8').slice(0, 60)));

  const before = [readFileSync(config, 'utf8'), readFileSync(key, 'utf8')];
  const again = await garligate('init', '--config', config);
  assert.equal(again.code, 0);
  assert.ok(again.out.includes(b32));
  assert.deepEqual([readFileSync(config, 'utf8'), readFileSync(key, 'utf8')], before);
  assert.match((await garligate('address', '-c', config)).out, new RegExp(`^b32 +${b32}`, 'm'));
});

if (process.geteuid?.() === 0) {
  test('an ordinary user gets everything below the home directory', async () => {
    const home = mkdtempSync(join(tmpdir(), 'garligate-home-'));
    try {
      const script = `chown nobody "$0" && exec setpriv --reuid=65534 --regid=65534 --clear-groups -- "$@"`;
      const env = { ...process.env, HOME: home, XDG_CONFIG_HOME: '', XDG_STATE_HOME: '', XDG_RUNTIME_DIR: '' };
      const run = (...args: string[]) =>
        new Promise<number | null>((resolve) => {
          const command = ['-c', script, home, process.execPath, ...WITH_TYPESCRIPT, MAIN, ...args];
          spawn('sh', command, { env, cwd: home, stdio: 'ignore' }).once('close', resolve);
        });
      assert.equal(await run('init'), 0);
      assert.deepEqual(readdirSync(join(home, '.config/garligate')), ['garligate.toml']);
      assert.deepEqual(readdirSync(join(home, '.local/state/garligate')), ['identity.key']);
      assert.equal(statSync(join(home, '.config/garligate/garligate.toml')).mode & 0o777, 0o600);
      assert.equal(await run('check'), 0);
    } finally {
      rmSync(home, { recursive: true });
    }
  });
}

/** @param start how its base64 begins */
function destinationWith(start: RegExp): Destination {
  for (;;) {
    const { destination } = generateKeys();
    if (start.test(destination.base64)) return destination;
  }
}

test('address takes a destination that begins like an option', async () => {
  // One that begins with -c, -h or -V needs `--` before it, as everywhere.
  for (const [start, before] of [
    [/^-[^chV-]/, []],
    [/^-/, ['--']],
  ] as const) {
    const { base64, b32 } = destinationWith(start);
    const { code, out } = await garligate('address', ...before, base64);
    assert.equal(code, 0);
    assert.match(out, new RegExp(`^b32 +${b32}\\.b32\\.i2p$`, 'm'));
  }
});

const BOB = `${'b'.repeat(51)}a`;
const CONFIG = `[names]
"forum.i2p" = "${BOB}.b32.i2p"
[[peer]]
name = "Alice"
destination = "${ALICE}"
[[peer]]
name = "bob.example.i2p"
destination = "${BOB}.b32.i2p"
`;
const NAMES_OF_ALICE = [
  `b32      ${ALICE}`,
  'address  fd60:db4d:ddb5:54d8:7266:8a0b:fc9c:5163',
  'name     ktmhezukbp6jyuld.oc.b32.i2p',
  'ocat4    fd60:db4d:ddb5:4698:d27b:e76c:e666:54a0',
].join('\n');

test('address converts in every direction', async () => {
  const { config } = place('directions', CONFIG);
  const { base64, b32 } = destinationWith(/^[^-]/);
  const ofAlice = [
    ALICE,
    ALICE.slice(0, 52).toUpperCase(),
    'alice',
    'ALICE.peer.b32.i2p',
    'ktmhezukbp6jyuld.oc.b32.i2p',
    'FD60:DB4D:DDB5:54D8:7266:8A0B:FC9C:5163',
    'fd60:db4d:ddb5:4698:d27b:e76c:e666:54a0',
  ];
  const ofBob = ['bob.example.i2p', 'bob.example.i2p.peer.b32.i2p', 'forum.i2p'];
  const { code, out, err } = await garligate('address', '-c', config, ...ofAlice, ...ofBob, base64);
  assert.deepEqual([code, err], [0, '']);
  const answers = out.trimEnd().split('\n\n');
  assert.equal(answers.length, ofAlice.length + ofBob.length + 1);
  for (const form of ofAlice) assert.equal(answers.shift(), NAMES_OF_ALICE, form);
  for (const form of ofBob) assert.ok(answers.shift()?.startsWith(`b32      ${BOB}.b32.i2p\n`), form);
  assert.ok(answers.shift()?.startsWith(`b32      ${b32}.b32.i2p\n`));
});

test('address tells no destination of 80 bits that no peer has', async () => {
  const { config } = place('strangers');
  const short = 'address  fd60:db4d:ddb5:54d8:7266:8a0b:fc9c:5163\nname     ktmhezukbp6jyuld.oc.b32.i2p\n';
  for (const form of ['ktmhezukbp6jyuld.oc.b32.i2p', 'fd60:db4d:ddb5:54d8:7266:8a0b:fc9c:5163']) {
    assert.equal((await garligate('address', '-c', config, form)).out, short);
  }
});

test('address needs no config file for what tells everything by itself', async () => {
  const { code, out } = await garligate('address', '-c', inRoot('absent.toml'), ALICE);
  assert.deepEqual([code, out], [0, `${NAMES_OF_ALICE}\n`]);
  assert.equal((await garligate('address', '-c', inRoot('absent.toml'), 'alice')).code, 3);
});

for (const [form, why] of [
  ['example.com', /not a name or address inside I2P, nor the name of a \[\[peer\]\]/],
  ['carol', /not a name or address inside I2P, nor the name of a \[\[peer\]\]/],
  ['carol.peer.b32.i2p', /no \[\[peer\]\] of the config file has this name/],
  ['stats.i2p', /only a router knows/],
  ['::1', /not a name or address inside I2P/],
  [`${'a'.repeat(56)}.b32.i2p`, /encrypted lease set/],
  ['a b', /not a host name/],
] as const) {
  test(`address refuses what has none, with 2: ${form}`, async () => {
    const { config } = place('refused', CONFIG);
    const { code, out, err } = await garligate('address', '-c', config, form);
    assert.deepEqual([code, out], [2, '']);
    assert.match(err, /^garligate: /);
    assert.match(err, why);
  });
}

test('the command of a checkout that is not built says how to build it', async () => {
  const checkout = inRoot('checkout');
  mkdirSync(join(checkout, 'bin'), { recursive: true });
  copyFileSync(new URL('../../../bin/garligate', import.meta.url), join(checkout, 'bin/garligate'));
  writeFileSync(join(checkout, 'package.json'), '{"type":"module"}');
  const command = spawn(join(checkout, 'bin/garligate'), ['version'], { stdio: ['ignore', 'pipe', 'pipe'] });
  const closed = new Promise((resolve) => command.once('close', resolve));
  assert.match(await text(command.stderr), /not built yet.*npm start/);
  assert.equal(await closed, 1);
});

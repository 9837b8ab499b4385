/** The verbs around a running gateway, as people run them. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { copyFileSync, existsSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { dirname } from 'node:path';
import { test } from 'node:test';
import { createMethodRegistry } from '../../../src/control/methods.ts';
import { statusReport } from '../../../src/control/status.ts';
import { systemClock } from '../../../src/io/clock.ts';
import { ControlServer } from '../../../src/io/control-socket.ts';
import { type ErrorKind, GateError } from '../../../src/kit/errors.ts';
import { silentLogger } from '../../../src/kit/log.ts';
import { until } from '../../helpers/until.ts';
import { sampleExposure, samplePing, sampleReload, sampleReport, sampleSubject } from '../control/sample-report.ts';
import { garligate, inRoot, place, start, startAtTerminal } from './command-kit.ts';

test('status and peers of a gateway that does not run end with 1', async () => {
  const { config, socket } = place('down');
  for (const args of [['status'], ['peers'], ['status', '--json']]) {
    const { code, out, err } = await garligate(...args, '-c', config);
    assert.deepEqual([code, out], [1, '']);
    assert.match(err, /^garligate: not running: .*garligate run/);
    assert.ok(err.includes(socket));
  }
});

test('status and peers show what the gateway says', async () => {
  const { config, socket } = place('shown');
  const server = new ControlServer({
    path: socket,
    mode: 0o600,
    methods: createMethodRegistry(sampleSubject),
    clock: systemClock,
    log: silentLogger,
  });
  await server.start();
  try {
    const shown = await garligate('status', '-c', config);
    assert.deepEqual([shown.code, shown.err], [0, '']);
    assert.match(shown.out, /^identity +ktmh…mvfa\.b32\.i2p$/m);
    assert.match(shown.out, /^alice +fd60:/m);
    const json = await garligate('status', '--json', '--reveal', '--socket', socket);
    assert.deepEqual(statusReport.parse(JSON.parse(json.out)), sampleReport());
    const list = await garligate('peers', '--json', '-c', config);
    assert.equal(JSON.parse(list.out)[0].b32, 'bbbb…bbba');
    assert.match((await garligate('peers', '-c', config)).out, /^PEER .*\nalice /);
    assert.equal((await garligate('status', '--strict', '-c', config)).code, 6);
    assert.deepEqual(JSON.parse((await garligate('exposure', '--json', '-c', config)).out), sampleExposure());
    const exposed = await garligate('exposure', '-c', config);
    assert.deepEqual(exposed.out.trimEnd().split('\n'), [
      'PEER   ALLOWED      PING  OPEN HERE  FILTERED HERE',
      'alice  icmp tcp/22  yes   tcp/22     tcp/80 udp/53',
      'bob    -            no    -          tcp/22 tcp/80 udp/53',
      '',
      'behind this host, as far as allowed: fd98:1::/48',
    ]);
    assert.deepEqual(JSON.parse((await garligate('reload', '--json', '-c', config)).out), sampleReload());
    const reloaded = await garligate('reload', '-c', config);
    assert.deepEqual(reloaded.out.trimEnd().split('\n'), [
      'added: b?[31mob',
      'removed: old',
      'replaced: alice',
      'other rules for: carol',
      'changed: log.level',
    ]);
    const ping = await garligate('ping', 'alice', '--config', config, '--timeout', '5');
    assert.equal(ping.code, 12);
    assert.match(ping.out, /^lease set +ok, 12 ms$/m);
    assert.match(ping.out, /^IPv6 +FAILED after 5000 ms: no\?\[31m answer$/m);
    assert.match(ping.out, /^see there$/m);
    const pings = await garligate('ping', 'alice', '--socket', socket, '--json', '-c', '2');
    assert.deepEqual(
      pings.out
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line)),
      [samplePing(), samplePing()],
    );
    for (const [option, value] of [
      ['--timeout', 'soon'],
      ['--timeout', '301'],
      ['--count', '0'],
    ] as const) {
      const wrong = await garligate('ping', 'alice', '--config', config, option, value);
      assert.equal(wrong.code, 2);
      assert.match(wrong.err, /argument '\w+' is invalid. A whole number from 1 to \d+ is wanted\./);
    }

    const watching = start(['status', '--watch', '-c', config]);
    let seen = '';
    watching.stdout?.on('data', (data) => {
      seen += String(data);
    });
    await until('the status came twice', () => seen.split('garligate 1.2.3').length > 2, 20_000);
    watching.kill('SIGINT');
    assert.equal((await watching.ended).code, 0);
  } finally {
    await server.stop();
  }
});

test('what goes wrong in the gateway ends with its own exit code, and its defects with no stack of ours', async () => {
  const { config, socket } = place('failing');
  const fail = (kind: ErrorKind, code: string) => () => Promise.reject(new GateError(kind, code, `wrong: ${code}`));
  const server = new ControlServer({
    path: socket,
    mode: 0o600,
    methods: createMethodRegistry({
      ...sampleSubject,
      reload: fail('config', 'config.invalid'),
      ping: fail('peer-unreachable', 'ping.unknown-peer'),
      exposure: fail('bug', 'bug'),
    }),
    clock: systemClock,
    log: silentLogger,
  });
  await server.start();
  try {
    for (const [args, code, said] of [
      [['reload', '-c', config], 3, 'garligate: wrong: config.invalid\n'],
      [['ping', 'nobody', '--config', config], 7, 'garligate: wrong: ping.unknown-peer\n'],
      [['exposure', '-c', config], 1, 'garligate: an internal error; see the log\n'],
    ] as const) {
      const { code: got, err } = await garligate(...args);
      assert.deepEqual([got, err], [code, said]);
    }
  } finally {
    await server.stop();
  }
});

test('a control socket of another program is called so', async () => {
  const { config, socket } = place('strange');
  await garligate('init', '-c', config);
  const path = inRoot('strange.sock');
  const strange: Server = createServer((client) => client.end('{"id":1,"ok":{"schema":2}}\n').on('error', () => {}));
  await new Promise<void>((resolve) => strange.listen(path, resolve));
  const { code, err } = await garligate('status', '--socket', path);
  assert.deepEqual([code, /another version/.test(err)], [1, true], err);
  assert.equal(existsSync(socket), false);
  strange.close();
});

test('run at a terminal says who it is, and ends at Ctrl-C', async () => {
  const { config } = place('terminal', 'socks = [{ listen = "127.0.0.1:0" }]');
  const running = startAtTerminal(['run', '--socks-only', '--config', config]);
  const ended = once(running, 'exit');
  let said = '';
  running.stdout.on('data', (data) => {
    said += String(data);
  });
  await until('it is up', () => /^router/m.test(said) || running.exitCode !== null, 20_000);
  const own = (await garligate('address', '--config', config)).out;
  const [, b32] = /^b32 +(\S+)$/m.exec(own) ?? assert.fail(own);
  const [, address] = /^address +(\S+)$/m.exec(own) ?? assert.fail(own);
  assert.ok(said.includes(`identity made: ${b32}\r\n`), said);
  assert.ok(said.includes(`vpn is off; peers know this gateway as ${address}\r\n`), said);
  running.stdin.write('\u0003');
  assert.deepEqual(await ended, [0, null]);
});

test('run comes up, says what is there, answers status, and ends clean at a signal', async () => {
  const { config, socket } = place('run', 'socks = [{ listen = "127.0.0.1:0" }]');
  const running = start(['run', '--socks-only', '--config', config]);
  let said = '';
  running.stdout?.on('data', (data) => {
    said += String(data);
  });
  await until('it is up', () => /^router/m.test(said) || running.exitCode !== null, 20_000);
  assert.match(said, /^socks up: 127\.0\.0\.1:\d+/m);
  assert.ok(said.trimEnd().split('\n').length <= 6, said);
  // Where it may be kept, as under systemd, it does not say who it is.
  assert.match(said, /^identity made; `garligate address` and `garligate status --reveal` show it$/m);
  assert.match(said, /^vpn is off$/m);
  assert.doesNotMatch(said, /b32\.i2p|fd60:/);
  const report = statusReport.parse(JSON.parse((await garligate('status', '--json', '-c', config)).out));
  assert.equal(report.vpn, undefined);
  assert.deepEqual(report.router, { kind: 'external', where: '127.0.0.1:1' });

  const second = await garligate('run', '--socks-only', '-c', config);
  assert.deepEqual([second.code, /in use by another gateway/.test(second.err)], [1, true], second.err);

  // On it Node would open a debugger, for every user of this machine.
  running.kill('SIGUSR1');
  assert.equal((await garligate('status', '-c', config)).code, 0);

  const before = performance.now();
  running.kill('SIGTERM');
  const { code, err } = await running.ended;
  assert.equal(code, 0, err);
  assert.ok(performance.now() - before < 5_000);
  assert.equal(existsSync(socket), false);
  assert.doesNotMatch(err, /fd60:|b32\.i2p|[Dd]ebugger/);
});

test('run that cannot come up leaves nothing behind', async () => {
  const occupied = createServer();
  await new Promise<void>((resolve) => occupied.listen(0, '127.0.0.1', resolve));
  const address = occupied.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const { config, socket } = place('occupied', `socks = [{ listen = "127.0.0.1:${port}" }]`);
  const { code, err } = await garligate('run', '--socks-only', '-c', config);
  assert.deepEqual([code, /in use by another program/.test(err)], [1, true], err);
  assert.equal(existsSync(socket), false);
  occupied.close();
});

test('a SOCKS port that other machines can reach is refused at the start, in so many words', async () => {
  const refused = ['0.0.0.0:9160', '[::]:9160', '172.17.0.1:9160', '[::ffff:0.0.0.0]:9160'].map(
    async (listen, index) => {
      const { config, socket } = place(`open-${index}`, `socks = [{ listen = "${listen}" }]`);
      const { code, err } = await garligate('run', '--socks-only', '-c', config);
      assert.deepEqual([code, existsSync(socket)], [3, false], err);
      assert.match(
        err,
        /socks\[1\]\.listen: found ".*", (which other machines can reach|an IPv4 address in the spelling of IPv6)/,
      );
    },
  );
  await Promise.all(refused);
});

test('named identities are made, held and refused like the own one, and the listeners say who they are', async () => {
  const keyFile = inRoot('named', 'mail.key');
  const more = `[identities.mail]
key_file = "${keyFile}"
[[socks]]
listen = "127.0.0.1:0"
identity = "mail"
[[socks]]
listen = "127.0.0.1:0"
identity = "isolated"
`;
  const first = place('named', more);
  const running = start(['run', '--socks-only', '--config', first.config]);
  let said = '';
  running.stdout?.on('data', (data) => {
    said += String(data);
  });
  await until('it is up', () => /^router/m.test(said) || running.exitCode !== null, 20_000);
  assert.match(
    said,
    /^socks up: 127\.0\.0\.1:\d+; sites see the destination of the identity mail, and never the gateway's/m,
  );
  assert.match(
    said,
    /^socks up: 127\.0\.0\.1:\d+; sites see a separate transient destination .* peers are not reached$/m,
  );
  assert.equal(statSync(keyFile).mode & 0o777, 0o600);
  assert.ok(!said.includes(readFileSync(keyFile, 'utf8').slice(0, 40)));

  const report = statusReport.parse(JSON.parse((await garligate('status', '--json', '-c', first.config)).out));
  assert.deepEqual(
    report.socks.map(({ identity }) => identity),
    ['mail', 'isolated'],
  );
  assert.deepEqual(
    report.sessions.map(({ key, name }) => [key, name]),
    [
      ['gateway', undefined],
      ['named', 'mail'],
    ],
  );

  const second = await garligate('run', '--socks-only', '-c', place('other', more).config);
  assert.deepEqual([second.code, /mail\.key is in use by another gateway/.test(second.err)], [1, true], second.err);
  running.kill('SIGTERM');
  assert.equal((await running.ended).code, 0);

  copyFileSync(first.key, inRoot('named', 'copy.key'));
  const copied = place('copied', more.replace(keyFile, inRoot('named', 'copy.key')));
  mkdirSync(dirname(copied.key), { mode: 0o700 });
  copyFileSync(first.key, copied.key);
  const third = await garligate('run', '--socks-only', '-c', copied.config);
  assert.match(third.err, /copy\.key is a copy of another one of this gateway/);
  assert.match((await garligate('check', '-c', first.config)).out, /^identity .*mail\.key: correct$/m);
});

/**
 * Keys, destinations and names that can be told from everything else, and a gateway as people run it, at its most talkative,
 * that has to do with all of them: none appears in what it logs, says of itself, answers, or hands to its children.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SocksClient } from 'socks';
import { generateKeys } from '../../src/io/key-generate.ts';
import { addressesOf, formatAddress } from '../../src/wire/i2p/address.ts';
import type { PrivateKeys } from '../../src/wire/i2p/destination.ts';
import { formatPasswordHash, hashPassword, SALT_LENGTH } from '../../src/wire/socks/password-hash.ts';
import { type Daemon, startDaemon } from '../helpers/daemon.ts';
import { FakeBridge } from '../helpers/fake-bridge/bridge.ts';
import { FakeNetwork } from '../helpers/fake-bridge/network.ts';
import { UdpClient } from '../helpers/udp-client.ts';
import { until } from '../helpers/until.ts';
import { rawPeer } from '../sim/raw-peer.ts';
import { declareScenarios } from './namespace.ts';

/** So many characters in a row of a mark are a leak: enough that nothing else has them by chance. */
const WINDOW = 12;
const SAM_USER = 'marked-router-user-whitebeam';
const SAM_PASSWORD = 'marked-router-password-hawthorn';
/** Of a listener that serves nobody else. */
const SERVED = { user: 'marked-served-damascene', password: 'marked-served-password-greengage' };
const USER = 'marked-user-quince';
const PASSWORD = 'marked-password-mulberry';
const ASKED = 'marked-host-sloe.i2p';
const UNKNOWN = 'marked-unknown-medlar.i2p';
const CLEARNET = 'marked-clearnet-damson.example.com';
const ALIAS = 'marked-alias-bullace.i2p';
/** As encrypted lease sets have them; nobody's. */
const B33 = `${'markedb33cranberry'.repeat(4).slice(0, 56)}.b32.i2p`;
/** The operator's own word for a peer: the log does not have it, whoever may open the control socket sees it. */
const PEER = 'marked-peer-rowan';
/** From nowhere to nowhere, with nothing in it. */
const SPOOFED = Buffer.concat([Buffer.of(0x60, 0, 0, 0, 0, 0, 59, 64), Buffer.alloc(32)]);
const PATIENCE_MS = 20_000;
/** The programs that a gateway runs take longer, nearly all of them. */
const LOOK_EVERY_MS = 5;

interface Mark {
  readonly what: string;
  readonly text: string;
}

await declareScenarios(import.meta.filename, {
  'nothing that was marked is told to anybody': {
    longestMs: 100_000,
    run: async () => {
      const network = new FakeNetwork();
      const bridge = await FakeBridge.start({ network, temperament: 'i2pd-2.45' });
      const keys = generateKeys();
      const peer = await rawPeer(bridge);
      const service = await rawPeer(bridge);
      const [aliased, mail] = [generateKeys(), generateKeys()];
      const hash = formatPasswordHash(await hashPassword(Buffer.from(SERVED.password), randomBytes(SALT_LENGTH)));
      const place = mkdtempSync(join(tmpdir(), 'garligate-secrets-'));
      const [mailKey, samPassword] = [join(place, 'mail.key'), join(place, 'sam-password')];
      writeFileSync(mailKey, `${mail.blob.reveal()}\n`, { mode: 0o600 });
      writeFileSync(samPassword, `${SAM_PASSWORD}\n`, { mode: 0o600 });
      network.addressBook.set(ASKED, service.keys.destination.base64);
      const commandLines = watchCommandLines();
      const daemon = await startDaemon({
        bridge: bridge.address,
        router: `user = "${SAM_USER}"\npassword_file = "${samPassword}"`,
        vpn: true,
        keys,
        socks: 'resolve = true\nidentity = "gateway"\nisolate = ["credentials"]\nconnect_timeout = "3s"',
        config: [
          '[log]\nlevel = "trace"',
          `[names]\n"${ALIAS}" = "${aliased.destination.base64}"`,
          `[identities.mail]\nkey_file = "${mailKey}"`,
          `[[socks]]\nlisten = "127.0.0.1:0"\nidentity = "mail"\nisolate = []\nusers = ["${SERVED.user}:${hash}"]`,
          peerText(PEER, peer.keys),
        ].join('\n'),
      });
      const owners = { gateway: keys, peer: peer.keys, service: service.keys, alias: aliased, mail };
      const marks = [
        ...Object.entries(owners).flatMap(([whose, { destination, blob }]) => [
          { what: `destination (${whose})`, text: destination.base64 },
          { what: `b32 name (${whose})`, text: destination.b32 },
          { what: `private key (${whose})`, text: blob.reveal().slice(destination.base64.length) },
          ...addressMarks(whose, owners[whose as keyof typeof owners]),
        ]),
        ...[USER, PASSWORD, ASKED, UNKNOWN, CLEARNET, ALIAS, B33].map((text) => ({ what: text, text })),
        ...[SAM_USER, SAM_PASSWORD, SERVED.user, SERVED.password, hash].map((text) => ({ what: text, text })),
      ];

      await busy(daemon, async () => {
        const accepting = service.accept();
        await reach(daemon, ASKED);
        const { stream } = await accepting;
        stream.destroy();
      });
      const hostile = await peer.connect(keys.destination.b32);
      hostile.write(Buffer.concat([SPOOFED, Buffer.from('Neither a keepalive nor a packet')]));
      const dialled = await peer.accept();
      dialled.stream.write(SPOOFED);
      await until('a peer lied', async () => sum((await daemon.status()).peerTotals.drops) > 0, PATIENCE_MS);
      const offline = await daemon.command('ping', PEER, '--timeout', '3');

      const served = /^socks up: 127\.0\.0\.1:(\d+); .* mail\b/m.exec(daemon.said())?.[1] ?? assert.fail(daemon.said());
      const service2 = service.accept();
      await reach({ socksPort: Number(served) }, ASKED, SERVED);
      (await service2).stream.destroy();
      await reach({ socksPort: Number(served) }, ASKED, { ...SERVED, password: PASSWORD });

      // Those that nobody has chosen: of clients with credentials, and of their datagrams.
      const known = new Set<string>(Object.values(owners).map(({ destination }) => destination.b32));
      const transient = bridge.sessions.map(({ b32 }) => b32).filter((b32) => !known.has(b32));
      assert.ok(transient.length > 0, 'no session of a client is left to look for');
      marks.push(...transient.map((text) => ({ what: 'b32 name (transient)', text })));

      const told = new Map<string, string>();
      for (const words of [['status'], ['status', '--json'], ['peers'], ['peers', '--json'], ['exposure', '--json']]) {
        told.set(words.join(' '), await daemon.command(...words));
      }
      // Somebody else has the key.
      told.set('run', await daemon.command('run'));
      assert.match(told.get('run') ?? '', /in use by another gateway/);
      told.set('check', await daemon.command('check'));
      for (const [mistake, pattern, write] of mistakes(peer.keys, mail, hash)) {
        const before = daemon.rewrite(write);
        for (const word of ['check', 'reload', 'run']) {
          const said = await daemon.command(word);
          assert.match(said, pattern, `${word} with ${mistake}`);
          told.set(`${word} with ${mistake}`, said);
        }
        daemon.rewrite(() => before);
      }
      daemon.rewrite((text) => `${text}\n${peerText('another', generateKeys())}`);
      for (const words of [['reload'], ['reload', '--json']]) {
        const said = await daemon.command(...words);
        assert.match(said, words.length === 1 ? /added: another/ : /"added":\[\]/);
        told.set(words.join(' '), said);
      }
      told.set('ping', offline);
      assert.match(told.get('status') ?? '', new RegExp(PEER), 'the status was not had');
      assert.ok(leaksIn(await daemon.command('status', '--reveal'), marks).length > 0, 'the watch does not see a leak');
      peer.close();
      service.close();
      // The router goes as well: its errors are told too.
      await bridge.stop();
      await until('the session is lost', () => /session lost/.test(daemon.said()), PATIENCE_MS);
      await reach(daemon, ASKED);
      await daemon.stop();
      rmSync(place, { recursive: true });
      const lines = commandLines.end();
      assert.ok(
        lines.some((line) => line.includes(' run ')),
        'the watch does not see the gateway itself',
      );
      told.set('command lines and environments', lines.join('\n'));
      told.set('log', daemon.said());
      assert.match(told.get('log') ?? '', /"level":"debug"/, 'it was not talkative');

      const leaks = [...told].flatMap(([where, text]) => leaksIn(text, marks).map((leak) => `${where}: ${leak}`));
      assert.deepEqual(leaks, []);
      assert.deepEqual(leaksIn(told.get('log') ?? '', [{ what: PEER, text: PEER }]), []);
    },
  },
});

function addressMarks(whose: string, { destination }: PrivateKeys): readonly Mark[] {
  const { oc, ocat4 } = addressesOf(destination.b32);
  return [oc, ocat4].map((address) => ({
    what: `address (${whose})`,
    // The prefix is everybody's.
    text: formatAddress(address).slice('fd60:db4d:ddb5:'.length),
  }));
}

function peerText(name: string, { destination }: PrivateKeys): string {
  return `[[peer]]\nname = "${name}"\ndestination = "${destination.base64}"`;
}

/** What people write where it does not belong, and what is said of it. */
function mistakes(peer: PrivateKeys, mail: PrivateKeys, hash: string) {
  return [
    ['a peer twice', /the destination of peer\[1\] again/, (text: string) => `${text}\n${peerText('twice', peer)}`],
    [
      'a key in the place of its file',
      /identities\.mail\.key_file: found something else/,
      (text: string) => text.replace(/(mail\]\nkey_file = ").*"/, `$1${mail.blob.reveal()}"`),
    ],
    [
      'a password that is not hashed',
      /users\[1\]: found something else/,
      (text: string) => text.replace(hash, SERVED.password),
    ],
    [
      'a password in the place of its file',
      /password_file: found something else/,
      (text: string) => text.replace(/password_file = ".*"/, `password_file = "${SAM_PASSWORD}"`),
    ],
  ] as const;
}

/** Everything that clients ask for, well and badly. */
async function busy(daemon: Daemon, reachService: () => Promise<void>): Promise<void> {
  await reachService();
  for (const name of [UNKNOWN, CLEARNET, ALIAS, B33, `${'a'.repeat(52)}.b32.i2p`, `${PEER}.peer.i2p`])
    await reach(daemon, name);
  for (const command of [2, 0xf0, 0xf1]) await raw(daemon, request(command, ASKED));
  await raw(daemon, Buffer.concat([Buffer.of(5, 1, 0), Buffer.from(ASKED)]));
  await raw(daemon, Buffer.concat([Buffer.of(4, 1, 0, 80, 0, 0, 0, 1), Buffer.from(`${USER}\0${ASKED}\0`)]));
  await raw(daemon, Buffer.from(`GET http://${ASKED}/ HTTP/1.1\r\nHost: ${ASKED}\r\nX: ${PASSWORD}\r\n\r\n`));
  const udp = await UdpClient.associate(
    { host: '127.0.0.1', port: daemon.socksPort },
    { user: USER, password: PASSWORD },
  );
  for (const name of [ASKED, UNKNOWN, CLEARNET]) {
    const header = Buffer.concat([Buffer.of(0, 0, 0, 3, name.length), Buffer.from(name), Buffer.of(0, 53)]);
    udp.udp.send(Buffer.concat([header, Buffer.from('hello')]), udp.relay.port, udp.relay.address);
  }
  await until(
    'datagrams were refused',
    async () => sum((await daemon.status()).socks[0]?.udp?.counters) >= 3,
    PATIENCE_MS,
  );
  udp.control.destroy();
  udp.udp.close();
}

function sum(counters: Readonly<Record<string, number>> = {}): number {
  return Object.values(counters).reduce((total, one) => total + one, 0);
}

/** As an app with credentials that asks for a name; whether it is answered well is not asked. */
async function reach(
  { socksPort }: Pick<Daemon, 'socksPort'>,
  host: string,
  { user, password } = { user: USER, password: PASSWORD },
): Promise<void> {
  const proxy = { host: '127.0.0.1', port: socksPort, type: 5, userId: user, password } as const;
  const asked = { proxy, command: 'connect', destination: { host, port: 80 }, timeout: PATIENCE_MS } as const;
  await SocksClient.createConnection(asked).then(
    ({ socket }) => socket.destroy(),
    () => {},
  );
}

function request(command: number, host: string): Buffer {
  return Buffer.concat([Buffer.of(5, 1, 0, 5, command, 0, 3, host.length), Buffer.from(host), Buffer.of(0, 80)]);
}

async function raw(daemon: Daemon, bytes: Buffer): Promise<void> {
  const socket = connect({ host: '127.0.0.1', port: daemon.socksPort, timeout: 1_000 });
  socket.on('timeout', () => socket.destroy());
  socket.on('error', () => {});
  socket.resume().write(bytes);
  await once(socket, 'close');
}

/** Of everything that this process starts, and of what that starts, for as long as it is there. */
function watchCommandLines(): { end(): readonly string[] } {
  const lines = new Set<string>();
  const timer = setInterval(() => {
    for (const pid of childrenOf(process.pid)) {
      for (const file of ['cmdline', 'environ']) lines.add(readIfThere(`/proc/${pid}/${file}`).replaceAll('\0', ' '));
    }
  }, LOOK_EVERY_MS);
  return {
    end: () => {
      clearInterval(timer);
      return [...lines];
    },
  };
}

/** And theirs. */
function childrenOf(pid: number): readonly number[] {
  const text = threadsOf(pid).map((thread) => readIfThere(`/proc/${pid}/task/${thread}/children`));
  const children = text.flatMap((line) => line.split(' ')).filter((child) => child !== '');
  return children.flatMap((child) => [Number(child), ...childrenOf(Number(child))]);
}

function threadsOf(pid: number): readonly string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch (error) {
    if (isGone(error)) return [];
    throw error;
  }
}

/** Nothing of a process that has ended meanwhile. */
function readIfThere(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (isGone(error)) return '';
    throw error;
  }
}

function isGone(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ESRCH');
}

/** Which marks stand in the text, whole or in part. */
function leaksIn(text: string, marks: readonly Mark[]): readonly string[] {
  return marks.flatMap(({ what, text: mark }) => {
    for (let at = 0; at + WINDOW <= mark.length; at += 1) {
      const part = mark.slice(at, at + WINDOW);
      const found = text.indexOf(part);
      if (found >= 0) return [`${what}: "${text.slice(Math.max(0, found - 60), found + 60)}"`];
    }
    return [];
  });
}

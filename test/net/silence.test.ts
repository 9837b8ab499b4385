/**
 * No name ever reaches the resolver of the system: the gateway as people run it, under strace, while clients ask for names
 * and addresses of every kind, in a namespace whose only name server is a canary that must hear nothing.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generateKeys } from '../../src/io/key-generate.ts';
import { type Daemon, startDaemon } from '../helpers/daemon.ts';
import { FakeBridge } from '../helpers/fake-bridge/bridge.ts';
import { FakeNetwork } from '../helpers/fake-bridge/network.ts';
import { UdpClient } from '../helpers/udp-client.ts';
import { until } from '../helpers/until.ts';
import { declareScenarios } from './namespace.ts';

const FORBIDDEN_FILES = /"\/etc\/(resolv\.conf|hosts|nsswitch\.conf|host\.conf|gai\.conf)"/;
const DNS_PORT = 53;
/** Only this mount namespace sees it. */
const CANARY_IS_THE_RESOLVER = [
  'mount -t tmpfs tmpfs /mnt',
  'printf "nameserver 127.0.0.1\\noptions timeout:1 attempts:1\\n" > /mnt/resolv.conf',
  'mount --bind /mnt/resolv.conf /etc/resolv.conf',
].join('; ');

const [CONNECT, BIND, RESOLVE, RESOLVE_PTR] = [0x01, 0x02, 0xf0, 0xf1];
const KNOWN = 'known.i2p';
const NAMES = [
  KNOWN,
  'unknown.i2p',
  `${'a'.repeat(52)}.b32.i2p`,
  `${'a'.repeat(56)}.b32.i2p`,
  'nobody.peer.b32.i2p',
  'aaaaaaaaaaaaaaaa.oc.b32.i2p',
  'canary.example.com',
  'canary.example.com.',
  'canary.i2p.example.com',
  'canary.onion',
  'localhost',
  'LOCALHOST.',
  'canary.local',
  'canary',
  '127.0.0.1',
  '192.0.2.1',
  '0177.0.0.1',
  '2130706433',
  '[::1]',
  '2001:db8::1',
  'fe80::1%lo',
  'fd60:db4d:ddb5::1',
  '\u0001\u00ff\u0000 garbage',
  'canary.example.com\u0000.i2p',
];

/** What programs hand over that have asked a name server themselves. */
const ADDRESSES = [
  Buffer.of(5, 1, 0, 5, 1, 0, 1, 192, 0, 2, 1, 0, 80),
  Buffer.of(5, 1, 0, 5, 1, 0, 1, 127, 0, 0, 1, 0, 53),
  Buffer.concat([
    Buffer.of(5, 1, 0, 5, 1, 0, 4),
    Buffer.from('20010db8', 'hex'),
    Buffer.alloc(12, 1),
    Buffer.of(0, 80),
  ]),
  Buffer.of(4, 1, 0, 80, 192, 0, 2, 1, 0),
];

/** What names are asked for, of addresses that stand for somebody, for nobody, and for others than I2P. */
const POINTERS = ['fd60db4dddb500000000000000000001', '20010db8000000000000000000000001'].map((address) =>
  Buffer.concat([Buffer.of(5, 1, 0, 5, RESOLVE_PTR, 0, 4), Buffer.from(address, 'hex'), Buffer.of(0, 0)]),
);

await declareScenarios(import.meta.filename, {
  'the watch sees a program that does ask, and so does the canary': {
    prepare: CANARY_IS_THE_RESOLVER,
    run: async () => {
      const canary = await startCanary();
      const watch = newWatch();
      const script = 'require("node:dns").lookup("canary.example.com", () => {})';
      await once(spawn(watch.command[0] ?? '', [...watch.command.slice(1), process.execPath, '-e', script]), 'exit');
      const offences = (await watch.seen()).flatMap((line) => offenceIn(line, []));
      for (const sign of [/^opens .*resolv\.conf/, /^opens .*hosts/, /htons\(53\)/]) {
        assert.ok(
          offences.some((offence) => sign.test(offence)),
          `${sign}: ${offences.join('\n')}`,
        );
      }
      assert.ok(canary.heard.some((question) => question.includes('canary')));
      canary.stop();
    },
  },
  'the gateway asks nobody but its router, whatever its clients ask for, and nobody at all when that is gone': {
    prepare: CANARY_IS_THE_RESOLVER,
    longestMs: 60_000,
    run: async () => {
      const canary = await startCanary();
      const network = new FakeNetwork();
      network.addressBook.set(KNOWN, generateKeys().destination.base64);
      const bridge = await FakeBridge.start({ network, temperament: 'i2pd-2.45' });
      const router = { ...bridge.address, udpPort: bridge.udpPort };
      const watch = newWatch();
      const socks = [
        'resolve = true\nbind = "anyone"\nhttp_connect = true',
        'handshake_timeout = "5s"\nconnect_timeout = "5s"\nbind_timeout = "5s"',
      ].join('\n');
      const daemon = await startDaemon({ bridge: router, socks, wrapper: watch.command });
      const commands = [CONNECT, BIND, RESOLVE, RESOLVE_PTR];
      const byNames = NAMES.flatMap((name) => [
        ...commands.map((command) => byName(command, name)),
        by4a(name),
        byHttp(name),
      ]);
      const requests = [...byNames, ...ADDRESSES, ...POINTERS];
      for (const request of requests) await answered(daemon.socksPort, request);
      await sendToAll(daemon);
      const { counters, udp } = (await daemon.status()).socks[0] ?? assert.fail('no listener');
      assert.equal(counters['accepted'], requests.length + 1);
      assert.ok((counters['dnsLeak'] ?? 0) >= ADDRESSES.length);
      for (const end of ['dialFailed', 'resolved', 'resolveFailed', 'associated', 'policyRefused'])
        assert.ok((counters[end] ?? 0) > 0, `${end}: ${JSON.stringify(counters)}`);
      for (const end of ['sent', 'policyRefused', 'nameFailed'])
        assert.ok((udp?.counters[end] ?? 0) > 0, `${end}: ${JSON.stringify(udp)}`);
      await bridge.stop();
      // Each waits for the router in vain.
      await Promise.all(requests.map((request) => answered(daemon.socksPort, request)));
      await daemon.stop();

      const lines = await watch.seen();
      const atWork = lines.findIndex((line) => line.includes('connect(') && line.includes(`(${router.port})`));
      const ports = [router.port, router.udpPort];
      assert.ok(atWork >= 0, 'the watch saw the gateway at work');
      assert.deepEqual(
        lines.slice(atWork).flatMap((line) => offenceIn(line, ports)),
        [],
      );
      // Node loads its resolver, which reads how it would have to ask, for any server that listens at an address.
      const before = lines.slice(0, atWork).flatMap((line) => offenceIn(line, ports));
      assert.deepEqual(
        before.filter((offence) => !/^opens .*(resolv|nsswitch)\.conf/.test(offence)),
        [],
      );
      assert.ok(before.length <= 2, before.join('\n'));
      assert.deepEqual(canary.heard, []);
      canary.stop();
    },
  },
});

/** What a line of strace tells of somebody else than the bridge being asked. */
function offenceIn(line: string, bridgePorts: readonly number[]): readonly string[] {
  const [, call, rest = ''] = /^\d+\s+(\w+)\((.*)$/.exec(line) ?? [];
  switch (call) {
    case 'connect':
      return bridgePorts.some((port) => rest.includes(`sin_port=htons(${port}), sin_addr=inet_addr("127.0.0.1")`))
        ? []
        : [`connects ${rest}`];
    case 'sendto':
    case 'sendmsg':
    case 'sendmmsg':
      return /sa_family=AF_|htons\(/.test(rest) ? [`sends ${rest}`] : [];
    case 'open':
    case 'openat':
    case 'openat2':
      return FORBIDDEN_FILES.test(rest) ? [`opens ${rest}`] : [];
    default:
      return [];
  }
}

/** A command that becomes another one and tells of its calls. */
function newWatch() {
  const directory = mkdtempSync(join(tmpdir(), 'garligate-watch-'));
  const file = join(directory, 'trace');
  const calls = 'connect,sendto,sendmsg,sendmmsg,open,openat,openat2';
  return {
    // -D: the process stays the child of whoever started it.
    command: ['strace', '-D', '-f', '-q', '-s', '200', '-o', file, '-e', `trace=${calls}`, '-e', 'signal=none'],
    seen: async (): Promise<readonly string[]> => {
      const first = () => readFileSync(file, 'utf8').split(' ', 1)[0] ?? '';
      const ended = () => new RegExp(`^${first()} +\\+\\+\\+ exited`, 'm').test(readFileSync(file, 'utf8'));
      await until('strace has told all', ended, 10_000);
      const lines = readFileSync(file, 'utf8').split('\n');
      rmSync(directory, { recursive: true });
      return lines;
    },
  };
}

/** The only name server there is. */
async function startCanary() {
  const heard: string[] = [];
  const udp = createSocket('udp4', (question) => heard.push(question.toString('latin1')));
  const tcp = createServer((client) => {
    heard.push('a connection');
    client.destroy();
  });
  udp.bind(DNS_PORT, '127.0.0.1');
  tcp.listen(DNS_PORT, '127.0.0.1');
  await Promise.all([once(udp, 'listening'), once(tcp, 'listening')]);
  const stop = () => {
    udp.close();
    tcp.close();
  };
  return { heard, stop };
}

function byName(command: number, name: string): Buffer {
  const bytes = Buffer.from(name, 'latin1');
  return Buffer.concat([Buffer.of(5, 1, 0, 5, command, 0, 3, bytes.length), bytes, Buffer.of(0, 80)]);
}

function by4a(name: string): Buffer {
  return Buffer.concat([Buffer.of(4, 1, 0, 80, 0, 0, 0, 1, 0), Buffer.from(`${name}\0`, 'latin1')]);
}

function byHttp(name: string): Buffer {
  return Buffer.from(`CONNECT ${name}:80 HTTP/1.1\r\nHost: ${name}\r\n\r\n`, 'latin1');
}

/** A datagram to every name, by one association. Resolves when it is known of each what has become of it. */
async function sendToAll(daemon: Daemon): Promise<void> {
  const client = await UdpClient.associate({ host: '127.0.0.1', port: daemon.socksPort });
  for (const name of NAMES) client.send(name, 53, Buffer.from('canary'));
  const counted = async () => {
    const { counters = {} } = (await daemon.status()).socks[0]?.udp ?? {};
    return Object.values(counters).reduce((sum, count) => sum + count, 0);
  };
  await until('every datagram is counted', async () => (await counted()) === NAMES.length);
  client.close();
}

/** Resolves when the gateway has given its answer: a reply, or the end of the connection. */
async function answered(port: number, request: Buffer): Promise<void> {
  const socket = connect({ host: '127.0.0.1', port });
  const greeting = request[0] === 5 ? 2 : 0;
  let received = 0;
  await new Promise<void>((resolve) => {
    socket.on('error', () => {}); // A reset is an answer too.
    socket.on('close', () => resolve());
    socket.on('data', (data) => {
      received += data.length;
      if (received > greeting) resolve();
    });
    socket.write(request);
  });
  socket.destroy();
}

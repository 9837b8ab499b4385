/**
 * Two sites for tests, each a gateway and a host behind it in namespaces of their own, with a fake bridge between them. The
 * gateways are the whole program, run as people run it:
 *
 *     host a - gateway a ~ bridge ~ gateway b - host b
 */
import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { generateKeys } from '../../src/io/key-generate.ts';
import { addressesOf, formatAddress } from '../../src/wire/i2p/address.ts';
import type { PrivateKeys } from '../../src/wire/i2p/destination.ts';
import { FakeBridge } from '../helpers/fake-bridge/bridge.ts';
import { FakeNetwork } from '../helpers/fake-bridge/network.ts';

const MAIN = new URL('../../src/cli/main.ts', import.meta.url).pathname;
const COMMAND = [process.execPath, '--import', import.meta.resolve('tsx'), MAIN];
/** Until two processes have started on a busy machine and their links stand. */
const UP_MS = 60_000;

const execute = promisify(execFile);

/** For setpriv: the kernel ends it when this process ends, however that comes about. */
const WITH_US = ['--pdeathsig', 'KILL', '--'];

type Letter = 'a' | 'b';

/** A namespace without a name: it lives as long as its process. */
export class Place {
  readonly #holder: ChildProcess;

  constructor() {
    this.#holder = spawn('setpriv', [...WITH_US, 'unshare', '--net', 'sleep', '150'], { stdio: 'ignore' });
  }

  get pid(): number {
    return this.#holder.pid ?? assert.fail();
  }

  /** @returns what it printed. @throws when it fails */
  async run(script: string): Promise<string> {
    // Never synchronously: the fake bridge lives in this process.
    const { stdout } = await execute(...this.command('sh', '-ec', script));
    return stdout;
  }

  succeeds(script: string): Promise<boolean> {
    return this.run(script).then(
      () => true,
      () => false,
    );
  }

  /** It is in our namespace until `unshare` has done its work. */
  async isApart(): Promise<void> {
    const ours = readlinkSync('/proc/self/ns/net');
    while (readlinkSync(`/proc/${this.pid}/ns/net`) === ours) await pause(1);
  }

  command(...words: readonly string[]): [string, string[]] {
    return ['setpriv', [...WITH_US, 'nsenter', `--net=/proc/${this.pid}/ns/net`, ...words]];
  }

  async leave(): Promise<void> {
    this.#holder.kill('SIGKILL');
    await once(this.#holder, 'close');
  }
}

export interface Side {
  readonly host: Place;
  readonly gateway: Place;
  readonly config: string;
  /** The addresses ::1 of the gateway and ::2 of the host. */
  readonly lan: string;
  readonly vpn: string;
}

interface SidePlan {
  readonly letter: Letter;
  readonly number: number;
  /** Of the files. */
  readonly directory: string;
  /** The port of the bridge. */
  readonly sam: string;
  readonly keys: PrivateKeys;
  /** The other side, in the config. */
  readonly peer: string;
  readonly mtu: number;
}

async function makeSide(host: Place, gateway: Place, plan: SidePlan): Promise<Side> {
  const { letter, number, directory, sam, keys, peer, mtu } = plan;
  const lan = `fd0${letter}:1::`;
  const ip = (...args: readonly string[]) => execute('ip', args);
  for (const place of [host, gateway]) await place.isApart();
  await ip('link', 'add', `to-${letter}`, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', `${gateway.pid}`);
  await ip('addr', 'add', `10.77.${number}.1/24`, 'dev', `to-${letter}`);
  await ip('link', 'set', `to-${letter}`, 'up');
  await gateway.run(
    `ip link set lo up; ip addr add 10.77.${number}.2/24 dev eth0; ip link set eth0 up
     ip link add lan0 type veth peer name eth0 netns ${host.pid}
     ip -6 addr add ${lan}1/64 dev lan0 nodad; ip link set lan0 up
     echo 1 > /proc/sys/net/ipv6/conf/all/forwarding`,
  );
  await host.run(
    `ip link set lo up; ip link set eth0 up; ip -6 addr add ${lan}2/64 dev eth0 nodad
     ip -6 route add default via ${lan}1`,
  );
  const config = join(directory, `${letter}.toml`);
  const keyFile = join(directory, `${letter}.key`);
  writeFileSync(keyFile, `${keys.blob.reveal()}\n`, { mode: 0o600 });
  writeFileSync(
    config,
    `socks = []
[router]
sam = "10.77.${number}.1:${sam}"
allow_remote = true
[identity]
key_file = "${keyFile}"
[control]
socket = "${join(directory, `${letter}.sock`)}"
[vpn]
networks = ["${lan}/64"]
mtu = ${mtu}
${peer}`,
    { mode: 0o600 },
  );
  return { host, gateway, config, lan, vpn: formatAddress(addressesOf(keys.destination.b32).oc) };
}

function peerTable(letter: Letter, keys: PrivateKeys, allow: readonly string[]): string {
  return `[[peer]]
name = "${letter}"
destination = "${keys.destination.b32}.b32.i2p"
routes = ["fd0${letter}:1::/64"]
allow = ${JSON.stringify(allow)}
`;
}

export interface Sites {
  readonly a: Side;
  readonly b: Side;
  /** Starts the gateway of a site. */
  start(side: Side): ChildProcess;
  /** Runs a verb of the command with a gateway's config, in its namespace. @returns what it printed */
  verb(side: Side, ...words: readonly string[]): Promise<string>;
}

/**
 * Whatever `work` started and has not ended is ended with it.
 *
 * @param allow what b may reach at a, and a at b; and how long packets to b may be
 */
export async function twoSites(
  allow: { readonly atA: readonly string[]; readonly atB: readonly string[]; readonly mtuOfB?: number },
  work: (sites: Sites) => Promise<void>,
): Promise<void> {
  const undo: (() => unknown)[] = [];
  try {
    const directory = mkdtempSync(join(tmpdir(), 'garligate-sites-'));
    undo.push(() => rmSync(directory, { recursive: true }));
    const bridge = await FakeBridge.start({ network: new FakeNetwork(), temperament: 'i2pd-2.45' });
    undo.push(() => bridge.stop());
    // The fake bridge stays on loopback; the gateways come from elsewhere.
    const way = createServer((client) => {
      const inner = connect(bridge.address.port, '127.0.0.1');
      client.pipe(inner).pipe(client);
      for (const end of [client, inner]) end.on('error', () => [client, inner].map((socket) => socket.destroy()));
    });
    undo.push(() => way.close());
    await new Promise<void>((resolve) => way.listen(0, '0.0.0.0', resolve));
    const address = way.address();
    const sam = String(typeof address === 'object' && address !== null ? address.port : assert.fail());
    const place = () => {
      const made = new Place();
      undo.push(() => made.leave());
      return made;
    };
    const [ofA, ofB] = [generateKeys(), generateKeys()];
    const { atA, atB, mtuOfB = 1500 } = allow;
    const [toA, toB] = [peerTable('a', ofA, atB), peerTable('b', ofB, atA)];
    const [planA, planB] = [
      { letter: 'a', number: 1, directory, sam, keys: ofA, peer: toB, mtu: 1500 },
      { letter: 'b', number: 2, directory, sam, keys: ofB, peer: toA, mtu: mtuOfB },
    ] as const;
    const a = await makeSide(place(), place(), planA);
    const b = await makeSide(place(), place(), planB);
    await work({
      a,
      b,
      start: ({ gateway, config }) => {
        const command = gateway.command(...COMMAND, 'run', '--config', config);
        const program = spawn(...command, { stdio: ['ignore', 'ignore', 'inherit'] });
        const closed = once(program, 'close');
        undo.push(() => {
          program.kill('SIGKILL');
          return closed;
        });
        return program;
      },
      verb: async ({ gateway, config }, ...words) => {
        const { stdout } = await execute(...gateway.command(...COMMAND, ...words, '--config', config));
        return stdout;
      },
    });
  } finally {
    for (const step of undo.reverse()) await step();
  }
}

/** Until it works, at most so long as two processes need to start on a busy machine and their links to stand. */
export async function untilSucceeds(place: Place, script: string, what: string): Promise<void> {
  const late = performance.now() + UP_MS;
  while (!(await place.succeeds(script))) assert.ok(performance.now() < late, `never: ${what}`);
}

export function ping(to: string): string {
  return `ping -6 -n -c 1 -W 2 ${to}`;
}

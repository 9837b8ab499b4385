/**
 * Two networks joined by two whole gateways, each a process in a namespace of its own, with a fake bridge between them:
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
import { declareScenarios } from './namespace.ts';

const MAIN = new URL('../../src/cli/main.ts', import.meta.url).pathname;
const COMMAND = [process.execPath, '--import', import.meta.resolve('tsx'), MAIN];
/** Until two processes have started on a busy machine and their links stand. */
const UP_MS = 60_000;

const execute = promisify(execFile);

/** For setpriv: the kernel ends it when this process ends, however that comes about. */
const WITH_US = ['--pdeathsig', 'KILL', '--'];

type Letter = 'a' | 'b';

/** A namespace without a name: it lives as long as its process. */
class Place {
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

interface Side {
  readonly host: Place;
  readonly gateway: Place;
  readonly config: string;
  /** The addresses ::1 of the gateway and ::2 of the host. */
  readonly lan: string;
  readonly vpn: string;
}

async function makeSide(
  letter: Letter,
  number: number,
  directory: string,
  sam: string,
  keys: PrivateKeys,
  peer: string,
): Promise<Side> {
  const [host, gateway] = [new Place(), new Place()];
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

function run({ gateway, config }: Side): ChildProcess {
  return spawn(...gateway.command(...COMMAND, 'run', '--config', config), { stdio: ['ignore', 'ignore', 'inherit'] });
}

function ping(to: string): string {
  return `ping -6 -n -c 1 -W 2 ${to}`;
}

await declareScenarios(import.meta.filename, {
  'hosts behind two gateways reach each other as far as the rules say, and a killed gateway lets nothing out': {
    longestMs: 120_000,
    run: async () => {
      const directory = mkdtempSync(join(tmpdir(), 'garligate-forwarding-'));
      const bridge = await FakeBridge.start({ network: new FakeNetwork(), temperament: 'i2pd-2.45' });
      // The fake bridge stays on loopback; the gateways come from elsewhere.
      const way = createServer((client) => {
        const inner = connect(bridge.address.port, '127.0.0.1');
        client.pipe(inner).pipe(client);
        for (const end of [client, inner]) end.on('error', () => [client, inner].map((socket) => socket.destroy()));
      });
      await new Promise<void>((resolve) => way.listen(0, '0.0.0.0', resolve));
      const address = way.address();
      const sam = String(typeof address === 'object' && address !== null ? address.port : assert.fail());
      const [ofA, ofB] = [generateKeys(), generateKeys()];
      const a = await makeSide('a', 1, directory, sam, ofA, peerTable('b', ofB, []));
      const b = await makeSide('b', 2, directory, sam, ofB, peerTable('a', ofA, ['icmp']));
      const [gatewayA, gatewayB] = [run(a), run(b)];
      const endedA = once(gatewayA, 'close');
      const endedB = once(gatewayB, 'close');

      const late = performance.now() + UP_MS;
      while (!(await a.host.succeeds(ping(`${b.lan}2`))))
        assert.ok(performance.now() < late, 'host a never reached host b');
      // By its own address, which b's network answers through its gateway.
      assert.ok(await a.gateway.succeeds(ping(`${b.lan}2`)), 'gateway a reaches host b');
      assert.ok(await a.gateway.succeeds(ping(b.vpn)), 'gateway a reaches gateway b');
      assert.equal(await b.host.succeeds(ping(`${a.lan}2`)), false, 'b is allowed nothing');
      assert.equal(await b.gateway.succeeds(ping(a.vpn)), false, 'b is allowed nothing');
      assert.match(await a.gateway.run('nft list counter ip6 garligate denied'), /packets [1-9]/);

      gatewayA.kill('SIGKILL');
      await endedA;
      assert.match(await a.gateway.run(`ip -6 route show ${b.lan}/64`), /^unreachable /);
      assert.match(await a.gateway.run('nft list table ip6 garligate'), /chain from_peers/);
      gatewayB.kill('SIGTERM');
      assert.deepEqual(await endedB, [0, null]);
      assert.equal(await b.gateway.run(`ip -6 route show ${a.lan}/64; nft list tables`), '');

      for (const place of [a.host, a.gateway, b.host, b.gateway]) await place.leave();
      way.close();
      await bridge.stop();
      rmSync(directory, { recursive: true });
    },
  },
});

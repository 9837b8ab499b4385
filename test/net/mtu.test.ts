/**
 * Two gateways whose interfaces carry packets of different sizes, each in a namespace of its own, over a fake bridge.
 * TCP and UDP of every size get through: whoever sends too much is told, and nothing disappears.
 *
 * The far gateway is this file again, in a second namespace; its way to the bridge is a unix socket, which needs no network.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { createTcpBridge } from '../../src/io/bridge-tcp.ts';
import { systemClock } from '../../src/io/clock.ts';
import { generateKeys } from '../../src/io/key-generate.ts';
import { formatAddress } from '../../src/wire/i2p/address.ts';
import { type B32, type PrivateKeys, parsePrivateKeys } from '../../src/wire/i2p/destination.ts';
import { FakeBridge } from '../helpers/fake-bridge/bridge.ts';
import { FakeNetwork } from '../helpers/fake-bridge/network.ts';
import { until } from '../helpers/until.ts';
import { readyLine, tcpRoundTrip, unixBridge, unixDoor } from './far-gateway.ts';
import { startNetGateway } from './gateway-kit.ts';
import { declareScenarios } from './namespace.ts';

const TCP_PORT = 7_000;
const UDP_PORT = 7_001;
const TCP_BYTES = 300_000;
const DATAGRAMS = [1, 1_231, 1_232, 1_233, 1_400, 1_452, 1_453, 8_000, 20_000, 60_000];
/** How often a datagram is sent again before it counts as swallowed: the first one may only bring the news. */
const TRIES = 4;
const PATIENCE_MS = 1_500;

const MTUS: ReadonlyArray<readonly [near: number, far: number]> = [
  [1_280, 1_280],
  [1_280, 65_535],
  [65_535, 1_280],
  [1_500, 1_280],
  [9_000, 1_500],
  [1_500, 9_000],
  [1_281, 1_499],
  [65_535, 65_535],
];

const FAR = 'GARLIGATE_TEST_FAR';

interface FarPlan {
  readonly keys: string;
  readonly near: B32;
  readonly mtu: number;
  readonly bridge: string;
}

function peerLines(b32: B32): string {
  return `[[peer]]\nname = "p"\ndestination = "${b32}.b32.i2p"\n[vpn]\nflows = false\n[vpn.queue]\nbytes = "1MiB"`;
}

/** In the far namespace: a gateway, and services that send back what they get. */
async function beFar({ keys, near, mtu, bridge }: FarPlan): Promise<void> {
  const gateway = await startNetGateway({
    bridge: unixBridge(bridge),
    keys: parsePrivateKeys(keys),
    config: peerLines(near),
    mtu,
  });
  const address = formatAddress(gateway.addresses.oc);
  const server = createServer({ allowHalfOpen: true }, (client) => client.on('error', () => {}).pipe(client));
  server.listen(TCP_PORT, address);
  const socket = createSocket({ type: 'udp6', recvBufferSize: 1_000_000, sendBufferSize: 1_000_000 });
  socket.on('message', (bytes, { address: from, port }) => socket.send(bytes, port, from));
  socket.bind(UDP_PORT, address);
  await Promise.all([once(server, 'listening'), once(socket, 'listening')]);
  process.stdout.write('ready\n');
  await once(process.stdin.resume(), 'end');
  server.close();
  socket.close();
  await gateway.stop();
}

/** The near end of one pair. */
async function sweep(near: number, far: number): Promise<void> {
  const bridge = await FakeBridge.start({ network: new FakeNetwork(), temperament: 'i2pd-2.45' });
  const folder = mkdtempSync(join(tmpdir(), 'garligate-mtu-'));
  const [ours, theirs] = [generateKeys(), generateKeys()];
  const door = await unixDoor(join(folder, 'sam'), bridge);
  const gateway = await startNetGateway({
    bridge: createTcpBridge({ kind: 'tcp', ...bridge.address }, systemClock),
    keys: ours,
    config: peerLines(theirs.destination.b32),
    mtu: near,
  });
  const child = startFar(theirs, { near: ours.destination.b32, mtu: far, bridge: join(folder, 'sam') });
  try {
    await readyLine(child);
    await until('the link is up', () => gateway.gateway.vpn?.links()[0]?.state.kind === 'up', 15_000);
    const address = formatAddress(gateway.gateway.peers.list()[0]?.addresses.oc ?? assert.fail());
    await tcpRoundTrip(address, TCP_PORT, TCP_BYTES);
    for (const size of DATAGRAMS) await datagramRoundTrip(address, size);
    const { tooBig } = gateway.gateway.vpn?.drops() ?? assert.fail();
    assert.equal(tooBig > 0, near > far, `${tooBig} packets were too big`);
  } finally {
    child.stdin?.end();
    await once(child, 'exit');
    door.close();
    await gateway.stop();
    await bridge.stop();
    rmSync(folder, { recursive: true });
  }
}

async function datagramRoundTrip(address: string, size: number): Promise<void> {
  const bytes = randomBytes(size);
  const socket = createSocket({ type: 'udp6', recvBufferSize: 1_000_000, sendBufferSize: 1_000_000 });
  let back: Buffer | undefined;
  socket.on('message', (message) => {
    back = message;
  });
  for (let tries = 0; back === undefined && tries < TRIES; tries += 1) {
    socket.send(bytes, UDP_PORT, address);
    const end = performance.now() + PATIENCE_MS;
    while (back === undefined && performance.now() < end) await pause(5);
  }
  socket.close();
  assert.ok(back?.equals(bytes), `a datagram of ${size} bytes disappeared`);
}

function startFar(keys: PrivateKeys, plan: Omit<FarPlan, 'keys'>): ChildProcess {
  const far: FarPlan = { ...plan, keys: keys.blob.reveal() };
  const { NODE_TEST_CONTEXT: _, ...environment } = process.env;
  // A namespace of its own inside this one: it is gone with the process.
  return spawn(
    'unshare',
    [
      '--net',
      'sh',
      '-c',
      'ip link set lo up; exec "$@"',
      'sh',
      process.execPath,
      ...process.execArgv,
      import.meta.filename,
    ],
    {
      env: { ...environment, [FAR]: JSON.stringify(far) },
      stdio: ['pipe', 'pipe', 'inherit'],
    },
  );
}

const plan = process.env[FAR];
if (plan !== undefined) {
  execFileSync('ip', ['link', 'set', 'lo', 'up']);
  await beFar(JSON.parse(plan));
} else {
  await declareScenarios(
    import.meta.filename,
    Object.fromEntries(
      MTUS.map(([near, far]) => [
        `packets of ${near} bytes towards an interface of ${far}: TCP and UDP of all sizes arrive`,
        { run: () => sweep(near, far) },
      ]),
    ),
  );
}

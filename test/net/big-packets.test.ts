/**
 * Big packets through whole gateways, over a fake bridge that is quick: what arrives is what was sent, at the far gateway and
 * at a host behind it whose network carries less than the interface; and where one side takes none, none are sent.
 *
 *     here, the near gateway ~ bridge ~ far gateway - host
 *
 * The far gateway and the host's service are this file again, in namespaces of their own.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createTcpBridge } from '../../src/io/bridge-tcp.ts';
import { systemClock } from '../../src/io/clock.ts';
import { generateKeys } from '../../src/io/key-generate.ts';
import { formatAddress } from '../../src/wire/i2p/address.ts';
import { type B32, parsePrivateKeys } from '../../src/wire/i2p/destination.ts';
import { FakeBridge } from '../helpers/fake-bridge/bridge.ts';
import { FakeNetwork } from '../helpers/fake-bridge/network.ts';
import { until } from '../helpers/until.ts';
import { readyLine, tcpRoundTrip, unixBridge, unixDoor } from './far-gateway.ts';
import { startNetGateway } from './gateway-kit.ts';
import { declareScenarios } from './namespace.ts';
import { ip, kernelCounter } from './tun-kit.ts';
import { Place } from './two-sites.ts';

const PORT = 7_000;
const BYTES = 20_000_000;
/** Until a line of several GB/s on a quiet machine has shown that it carries 33 MB/s on a busy one. */
const MOST_TRANSFERS = 20;
const HOST = 'fd0c::2';
/** Of the far gateway's interface to it. The host itself does not know, and asks for more. */
const HOST_MTU = 1_300;

const ROLE = 'GARLIGATE_TEST_ROLE';

type Role =
  | { readonly kind: 'host' }
  | { readonly kind: 'far'; readonly keys: string; readonly near: B32; readonly bridge: string; readonly big: boolean };

function config(peer: B32, big: boolean, peerLines = '', vpnLines = ''): string {
  return `[[peer]]\nname = "p"\ndestination = "${peer}.b32.i2p"\n${peerLines}\n[vpn]\nflows = false\nbig_packets = ${big}\n${vpnLines}`;
}

/** Sends back what it gets, until its standard input ends. */
async function serve(address: string): Promise<void> {
  const server = createServer({ allowHalfOpen: true }, (client) => client.on('error', () => {}).pipe(client));
  server.listen(PORT, address);
  await once(server, 'listening');
  process.stdout.write('ready\n');
  await once(process.stdin.resume(), 'end');
  server.close();
}

async function play(role: Role): Promise<void> {
  if (role.kind === 'host') return serve(HOST);
  const gateway = await startNetGateway({
    bridge: unixBridge(role.bridge),
    keys: parsePrivateKeys(role.keys),
    config: config(role.near, role.big, '', 'networks = ["fd0c::/64"]'),
  });
  await serve(formatAddress(gateway.addresses.oc));
  await gateway.stop();
}

function start(place: Place, role: Role): ChildProcess {
  const { NODE_TEST_CONTEXT: _, ...environment } = process.env;
  return spawn(...place.command(process.execPath, ...process.execArgv, import.meta.filename), {
    env: { ...environment, [ROLE]: JSON.stringify(role) },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
}

async function tooBigTold(place: Place): Promise<number> {
  return Number(/^Icmp6OutPktTooBigs\s+(\d+)$/m.exec(await place.run('cat /proc/net/snmp6'))?.[1]);
}

async function checksumErrors(place: Place): Promise<number> {
  const [names, numbers] = (await place.run('grep ^Tcp: /proc/net/snmp')).split('\n').map((line) => line.split(' '));
  return Number(numbers?.[names?.indexOf('InCsumErrors') ?? -1]);
}

async function transfers(near: boolean, far: boolean): Promise<void> {
  const bridge = await FakeBridge.start({ network: new FakeNetwork(), temperament: 'i2pd-2.45' });
  const folder = mkdtempSync(join(tmpdir(), 'garligate-big-'));
  const door = await unixDoor(join(folder, 'sam'), bridge);
  const [ours, theirs] = [generateKeys(), generateKeys()];
  const [gatewayPlace, hostPlace] = [new Place(), new Place()];
  for (const place of [gatewayPlace, hostPlace]) await place.isApart();
  await gatewayPlace.run(
    `ip link set lo up; ip link add lan0 type veth peer name eth0 netns ${hostPlace.pid}
     ip -6 addr add fd0c::1/64 dev lan0 nodad; ip link set lan0 mtu ${HOST_MTU} up
     echo 1 > /proc/sys/net/ipv6/conf/all/forwarding`,
  );
  await hostPlace.run(
    `ip link set lo up; ip -6 addr add ${HOST}/64 dev eth0 nodad; ip link set eth0 up
     ip -6 route add default via fd0c::1 mtu ${HOST_MTU} advmss 1440`,
  );
  const gateway = await startNetGateway({
    bridge: createTcpBridge({ kind: 'tcp', ...bridge.address }, systemClock),
    keys: ours,
    config: config(theirs.destination.b32, near, 'routes = ["fd0c::/64"]'),
  });
  const keys = theirs.blob.reveal();
  const role = { kind: 'far', keys, near: ours.destination.b32, bridge: join(folder, 'sam'), big: far } as const;
  const children = [start(gatewayPlace, role), start(hostPlace, { kind: 'host' })];
  for (const child of children) await readyLine(child);
  const link = () => gateway.gateway.vpn?.links()[0] ?? assert.fail();
  await until('the link is up', () => link().state.kind === 'up', 15_000);

  const peer = formatAddress(link().peer.addresses.oc);
  const isSending = () => link().bigPackets === 'sending';
  const bothWays = async () => {
    await tcpRoundTrip(peer, PORT, BYTES);
    await tcpRoundTrip(HOST, PORT, BYTES);
  };
  await bothWays();
  if (near && far) {
    for (let more = 0; !isSending(); more += 1) {
      assert.ok(more < MOST_TRANSFERS, 'the line was never quick');
      await bothWays();
    }
    const before = link().traffic;
    await tcpRoundTrip(peer, PORT, BYTES);
    const { bytesOut, packetsOut } = link().traffic;
    const mean = (bytesOut - before.bytesOut) / (packetsOut - before.packetsOut);
    assert.ok(mean > 2 * gateway.tun.mtu, `packets of ${mean.toFixed(0)} bytes`);
    // Once more as if the narrow place were new, with rows that come to it whole.
    const told = await tooBigTold(gatewayPlace);
    ip('-6', 'route', 'flush', 'cache');
    await tcpRoundTrip(HOST, PORT, BYTES);
    assert.ok((await tooBigTold(gatewayPlace)) > told, 'the narrow place was not met again');
  } else assert.equal(link().bigPackets, 'off');
  assert.ok((await tooBigTold(gatewayPlace)) > 0, 'the narrow place was never met');
  assert.equal(kernelCounter('TcpInCsumErrors'), 0);
  for (const place of [gatewayPlace, hostPlace]) assert.equal(await checksumErrors(place), 0);

  for (const child of children) {
    child.stdin?.end();
    await once(child, 'exit');
  }
  for (const place of [gatewayPlace, hostPlace]) await place.leave();
  door.close();
  await gateway.stop();
  await bridge.stop();
  rmSync(folder, { recursive: true });
}

const role = process.env[ROLE];
if (role !== undefined) await play(JSON.parse(role));
else {
  await declareScenarios(
    import.meta.filename,
    Object.fromEntries(
      (
        [
          ['both sides take big packets', true, true],
          ['the far one takes none', true, false],
          ['the near one sends none', false, true],
        ] as const
      ).map(([title, near, far]) => [
        `${title}: what arrives at a gateway and behind it is what was sent`,
        { longestMs: 90_000, run: () => transfers(near, far) },
      ]),
    ),
  );
}

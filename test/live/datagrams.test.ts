/**
 * UDP ASSOCIATE on real routers: clients of two gateways exchange datagrams both ways; how large they may be, how long
 * they take and how many are lost is measured and told.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type BackgroundProgram, startInBackground } from '../../scripts/lab/background.ts';
import { waitUntil } from '../../scripts/lab/command.ts';
import { createGateway, type Gateway } from '../../scripts/lab/gateway.ts';
import { type I2pNetwork, startNetwork } from '../../scripts/lab/i2p-network.ts';
import { runInside } from '../../scripts/lab/namespaces.ts';
import { type StatusReport, statusReport } from '../../src/control/status.ts';
import { systemClock } from '../../src/io/clock.ts';
import { connectControl } from '../../src/io/control-socket.ts';
import { addressesOf } from '../../src/wire/i2p/address.ts';
import { parseB32 } from '../../src/wire/i2p/destination.ts';
import type { Measured } from './datagrams/client.ts';

const CLIENT = fileURLToPath(new URL('datagrams/client.ts', import.meta.url));
const CHECKOUT = fileURLToPath(new URL('../..', import.meta.url));
/** 20 s or 40 s for a session, and as long for the other one. */
const SESSION_MS = 120_000;
const CLIENT_MS = 240_000;
const { signal } = new AbortController();

let network: I2pNetwork;
let a: Gateway;
let b: Gateway;
let echo: BackgroundProgram;
let b32OfB: string;

before(
  async () => {
    network = await startNetwork({ signal, reservedKeys: 1 });
    const make = (name: string, number: number, seenFrom: number) =>
      createGateway(network, {
        name,
        address: `198.18.10${number}.1`,
        router: number,
        seenFrom,
        keys: network.reservedKeys(number, 1),
        peers: [],
      });
    [a, b] = await Promise.all([make('a', 1, 2), make('b', 2, 1)]);
    await Promise.all([a.start(signal), b.start(signal)]);
    echo = await startInBackground({
      namespace: b.namespace,
      command: 'env',
      args: ['-C', CHECKOUT, process.execPath, '--import', 'tsx', CLIENT, 'echo', b.socks],
      logFile: join(b.directory, 'echo.log'),
    });
    b32OfB = await untilDatagrams(b);
  },
  { timeout: 400_000 },
);
after(
  async () => {
    await echo?.kill();
    await Promise.all([a?.remove(), b?.remove()]);
    await network?.stop();
  },
  { timeout: 60_000 },
);

describe('datagrams between SOCKS clients of two gateways', () => {
  it('travel both ways with the right sources, whole, in every size', { timeout: CLIENT_MS }, async (context) => {
    const measured: Measured = JSON.parse(await client(a, 'measure', `${b32OfB}.b32.i2p`));
    context.diagnostic(`echoes out of 5, by bytes: ${JSON.stringify(measured.sizes)}`);
    context.diagnostic(`100 bytes there and back: median ${measured.median} ms, 95 % within ${measured.p95} ms`);
    context.diagnostic(
      `of 200 datagrams of 1000 bytes: ${measured.paced} back at 100/s, ${measured.burst} in one burst`,
    );
    assert.equal(measured.echoSeenAs, ocAddress(b32OfB));
    assert.equal(measured.seenByEcho, ocAddress((await untilDatagrams(a)) ?? ''));
    for (const [size, come] of Object.entries(measured.sizes)) assert.ok(come >= 1, `none of ${size} bytes came back`);
    assert.ok(measured.paced >= 150, `${measured.paced} of 200`);
  });

  it('are refused as fragments, as too large ones and from strangers, and each is counted', {
    timeout: CLIENT_MS,
  }, async () => {
    const before = await udpCounters(a);
    assert.equal(await client(a, 'misbehave', `${b32OfB}.b32.i2p`), '1', 'only the one that was in order');
    const now = await udpCounters(a);
    const more = (name: string) => (now[name] ?? 0) - (before[name] ?? 0);
    assert.deepEqual([more('fragment'), more('oversize'), more('foreignSource')], [3, 1, 3]);
  });

  it('go through a program that people use: Python with PySocks', { timeout: CLIENT_MS }, async () => {
    const [host = '', port = ''] = a.socks.split(':');
    const said = await runInside(a.namespace, '/usr/bin/python3', ['-c', PYTHON, host, port, `${b32OfB}.b32.i2p`], {
      signal,
      timeoutMs: CLIENT_MS,
    });
    assert.match(said, /^echo of hello from fd60:db4d:ddb5:/);
  });

  it('end with the connection of their client', { timeout: 60_000 }, async () => {
    assert.equal((await status(b)).socks[0]?.udp?.associations, 1);
    await echo.kill();
    await waitUntil(
      'the association is over',
      async () => ((await status(b)).socks[0]?.udp?.associations === 0 ? true : undefined),
      { timeoutMs: 10_000 },
    );
    assert.equal((await status(a)).socks[0]?.udp?.associations, 0);
  });
});

const PYTHON = `
import socks, sys
host, port, name = sys.argv[1:]
for _ in range(30):
    relay = socks.socksocket(type=socks.socket.SOCK_DGRAM)
    relay.set_proxy(socks.SOCKS5, host, int(port), True)
    relay.settimeout(4)
    relay.sendto(b"hello", (name, 7))
    try:
        answer, source = relay.recvfrom(65535)
    except OSError:
        continue
    print("echo of", answer.decode(), "from", source[0])
    break
`;

async function client(gateway: Gateway, role: string, host: string): Promise<string> {
  const args = ['-C', CHECKOUT, process.execPath, '--import', 'tsx', CLIENT, role, gateway.socks, host];
  return (await runInside(gateway.namespace, 'env', args, { signal, timeoutMs: CLIENT_MS })).trim();
}

/** @returns the destination of the session for datagrams */
function untilDatagrams(gateway: Gateway): Promise<string> {
  const find = async () => (await status(gateway)).datagrams.find(({ state }) => state === 'ready')?.b32;
  return waitUntil(`gateway ${gateway.name} has a session for datagrams`, find, { timeoutMs: SESSION_MS });
}

async function udpCounters(gateway: Gateway): Promise<Readonly<Record<string, number>>> {
  return (await status(gateway)).socks[0]?.udp?.counters ?? {};
}

function ocAddress(b32: string): string {
  return addressesOf(parseB32(b32)).oc.toString('hex');
}

async function status(gateway: Gateway): Promise<StatusReport> {
  const control = await connectControl(gateway.controlSocket, systemClock, signal);
  try {
    return statusReport.parse(await control.request('status', { reveal: true }));
  } finally {
    control.close();
  }
}

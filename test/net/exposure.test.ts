/** What `garligate exposure` says of a running gateway, against what a peer finds that tries: TCP, UDP and ICMP. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { promisify } from 'node:util';
import { type ExposureReport, parseExposure } from '../../src/control/exposure.ts';
import { parseAllowRule, permits } from '../../src/wire/packet/allow-rule.ts';
import { declareScenarios } from './namespace.ts';
import { type Place, ping, type Side, twoSites, untilSucceeds } from './two-sites.ts';

const PORTS = [process.execPath, '--import', import.meta.resolve('tsx'), `${import.meta.dirname}/ports.ts`];
const execute = promisify(execFile);

/** What rules let in of this is closed, open or filtered; the last two of each are beyond every rule. */
const SCANNED = {
  tcp: [7000, 7001, 7002, 7003, 7004, 7005],
  udp: [7001, 7002, 7003, 7004],
} as const;

/** Services of a place, until it is left. */
async function serve(place: Place, ...services: readonly string[]): Promise<ChildProcess> {
  const server = spawn(...place.command(...PORTS, 'serve', ...services), { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(server.stdout, 'data');
  return server;
}

/** What comes back from each port of an address, such as `tcp/7001: open`; and `icmp`, whether it answers a ping. */
async function scan(from: Place, address: string): Promise<ReadonlyMap<string, string>> {
  const words = Object.entries(SCANNED).flatMap(([protocol, ports]) =>
    ports.map((port) => `${protocol}/${address}/${port}`),
  );
  const { stdout } = await execute(...from.command(...PORTS, 'scan', ...words));
  const found: Readonly<Record<string, string>> = JSON.parse(stdout);
  const ports = Object.entries(found).map(([word, state]) => [word.replace(`/${address}/`, '/'), state] as const);
  return new Map([...ports, ['icmp', (await from.succeeds(ping(address))) ? 'open' : 'filtered']]);
}

function named(found: ReadonlyMap<string, string>, state: string): readonly string[] {
  return [...found].flatMap(([name, one]) => (one === state && name !== 'icmp' ? [name] : [])).sort();
}

/** All that one of several addresses of a host gives away is what the host gives away. */
function together(scans: readonly ReadonlyMap<string, string>[]): ReadonlyMap<string, string> {
  const all = new Map<string, string>();
  for (const [name, state] of scans.flatMap((one) => [...one])) if (all.get(name) !== 'open') all.set(name, state);
  return all;
}

function only(report: ExposureReport): ExposureReport['peers'][number] {
  const [peer, ...others] = report.peers;
  assert.equal(others.length, 0);
  return peer ?? assert.fail('no peer');
}

async function exposureOf(
  side: Side,
  verb: (side: Side, ...words: readonly string[]) => Promise<string>,
): Promise<ExposureReport> {
  return parseExposure(JSON.parse(await verb(side, 'exposure', '--json'))) ?? assert.fail('no report');
}

await declareScenarios(import.meta.filename, {
  'what the verb says a peer reaches is what the peer finds, of this host and of the network behind it': {
    longestMs: 150_000,
    run: () =>
      twoSites({ atA: [], atB: ['icmp', 'tcp/7000-7002', 'udp/7001-7002'] }, async ({ a, b, start, verb }) => {
        const everywhere = ['tcp/::/7001', 'tcp/::/7003', 'udp/::/7001', 'udp/::/7003'];
        const servers = [
          // One on the address of the LAN alone, and one that nobody else can reach.
          await serve(b.gateway, ...everywhere, `tcp/${b.lan}1/7002`, `tcp/${b.lan}1/7004`, 'tcp/::1/7000'),
          await serve(b.host, ...everywhere, 'tcp/::/7004'),
          await serve(a.gateway, ...everywhere),
        ];
        const gateways = [start(a), start(b)];
        const ended = gateways.map((gateway) => once(gateway, 'close'));
        await untilSucceeds(a.gateway, ping(b.vpn), 'gateway a reaches gateway b');

        const atB = await exposureOf(b, verb);
        const { open, filtered, icmp, rules } = only(atB);
        assert.equal(atB.firewall, 'on');
        const host = together([await scan(a.gateway, b.vpn), await scan(a.gateway, `${b.lan}1`)]);
        assert.deepEqual(named(host, 'open'), [...open].sort());
        assert.deepEqual(open, ['tcp/7001', 'tcp/7002', 'udp/7001']);
        assert.deepEqual(filtered, ['tcp/7003', 'tcp/7004', 'udp/7003']);
        assert.ok(filtered.every((name) => host.get(name) === 'filtered'));
        assert.equal(host.get('icmp') === 'open', icmp);

        // What listens in the network behind it the gateway cannot know; what would be let through it says.
        assert.deepEqual(atB.networks, [`${b.lan}/64`]);
        const behind = await scan(a.gateway, `${b.lan}2`);
        assert.deepEqual(named(behind, 'open'), ['tcp/7001', 'udp/7001']);
        const parsed = rules.map((rule) => parseAllowRule(rule) ?? assert.fail(rule));
        for (const [protocol, ports] of [
          ['tcp', SCANNED.tcp],
          ['udp', SCANNED.udp],
        ] as const) {
          for (const port of ports) {
            const isLetIn = behind.get(`${protocol}/${port}`) !== 'filtered';
            assert.equal(isLetIn, permits(parsed, { protocol, port }), `${protocol}/${port} behind b`);
          }
        }
        assert.equal(behind.get('icmp'), 'open');

        // The other way nothing is allowed, and everything listens.
        const nothing = only(await exposureOf(a, verb));
        assert.deepEqual(nothing.open, []);
        assert.deepEqual(nothing.filtered, ['tcp/7001', 'tcp/7003', 'udp/7001', 'udp/7003']);
        assert.equal(nothing.icmp, false);
        const found = await scan(b.gateway, a.vpn);
        assert.ok(
          [...found.values()].every((state) => state === 'filtered'),
          JSON.stringify([...found]),
        );

        for (const process of [...gateways, ...servers]) process.kill('SIGTERM');
        assert.deepEqual(await Promise.all(ended), [
          [0, null],
          [0, null],
        ]);
      }),
  },
});

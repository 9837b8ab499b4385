/**
 * The other half of `npm run bench -- socks`: garligate's SOCKS front against that of i2pd, on the same router of the lab's
 * private network, fetching from the same service with the same tunnels. Both are asked from the same namespace, so
 * garligate's way is the longer one: through itself, and then over SAM to the router. What that alone costs shows a proxy
 * beside it that does nothing else (bench/load/bare-proxy.c).
 */

import { generateKeys } from '../scripts/lab/destination-keys.ts';
import { createGateway } from '../scripts/lab/gateway.ts';
import { startNetwork } from '../scripts/lab/i2p-network.ts';
import { inNamespace, runInside } from '../scripts/lab/namespaces.ts';
import { TUNNELS } from '../scripts/lab/sam-client.ts';
import { planStranger, startStranger } from '../scripts/lab/stranger.ts';
import { LARGE_FILE } from '../scripts/lab/web-server.ts';
import { withCleanup } from './lib/cleanup.ts';
import { compileBareProxy } from './lib/compile.ts';
import { atLeast, atMost, type Goal, goalsTable } from './lib/goals.ts';
import { startProgram, untilSaid } from './lib/program.ts';
import { median, ratio, spread } from './lib/statistics.ts';
import { table } from './lib/table.ts';

export interface SocksLabOptions {
  readonly rounds: number;
  readonly note: (text: string) => void;
}

const PROXIES = ['i2pd', 'bare', 'garligate'] as const;
type ProxyName = (typeof PROXIES)[number];

interface LabSample {
  /** Bytes per second of one download. */
  readonly one: number;
  /** Of four at the same time, together. */
  readonly four: number;
  /** Of small GETs, each on a connection of its own. Seconds. */
  readonly gets: readonly number[];
}

export interface SocksLabReport {
  readonly samples: Readonly<Record<ProxyName, readonly LabSample[]>>;
  readonly goals: readonly Goal[];
}

const ROUTER = 1;
const I2PD_SOCKS_PORT = 4447;
const BARE_ADDRESS = '127.0.0.1';
const BARE_SOCKS_PORT = 4448;
/** Its session stands when the tunnels do. */
const BARE_READY_MS = 120_000;
const GATEWAY_ADDRESS = '198.18.101.1';
/** A download is cut off after this long: what counts is how much came until then. */
const DOWNLOAD_SECONDS = 6;
const GETS = 50;
const GET_SECONDS = 60;
/**
 * The first finds the way to the destination, and the others bring both programs to where they are after their first
 * minutes of use: V8 compiles a function well only after it has run some hundred times.
 */
const FIRST_CONTACTS = 300;
const FIRST_CONTACTS_LOST = 3;

export function benchSocksLab({ rounds, note }: SocksLabOptions): Promise<SocksLabReport> {
  return withCleanup(async (cleanup) => {
    const { interrupted: signal } = cleanup;
    const plan = planStranger();
    note('a private I2P network');
    const proxy = {
      router: ROUTER,
      name: 'proxy',
      kind: 'socks',
      keys: generateKeys(),
      port: I2PD_SOCKS_PORT,
    } as const;
    const services = [...plan.network.services, proxy];
    const network = await startNetwork({ ...plan.network, services, reservedKeys: 2, signal });
    cleanup.add(() => network.stop());
    const stranger = await startStranger(network, plan);
    cleanup.add(() => stranger.stop());
    note('a gateway');
    const keys = network.reservedKeys(ROUTER, 1);
    const gatewayPlan = { name: 'a', address: GATEWAY_ADDRESS, router: ROUTER, seenFrom: 2, keys, peers: [] };
    const gateway = await createGateway(network, gatewayPlan);
    cleanup.add(() => gateway.remove());
    await gateway.start(signal);

    note('a bare proxy');
    const router = network.router(ROUTER);
    const bare = startProgram(
      ...inNamespace(gateway.namespace, await compileBareProxy(), [
        ...[router.sam.host, String(router.sam.port), BARE_ADDRESS, String(BARE_SOCKS_PORT)],
        ...[stranger.b32Name, network.reservedKeys(ROUTER, 2).base64, TUNNELS],
      ]),
    );
    cleanup.add(() => bare.stop());
    await untilSaid(bare, /ready/, BARE_READY_MS);

    const proxies: Record<ProxyName, string> = {
      i2pd: `${router.address}:${I2PD_SOCKS_PORT}`,
      bare: `${BARE_ADDRESS}:${BARE_SOCKS_PORT}`,
      garligate: gateway.socks,
    };
    const curl = (name: ProxyName, path: string, seconds: number) =>
      fetchThrough(gateway.namespace, proxies[name], `http://${stranger.b32Name}${path}`, seconds, signal);
    for (const name of PROXIES) {
      note(`${FIRST_CONTACTS} GETs to warm up: ${name}`);
      await warmUp(() => curl(name, '/', GET_SECONDS), note);
      await curl(name, LARGE_FILE.path, DOWNLOAD_SECONDS);
    }
    const samples: Record<ProxyName, LabSample[]> = { i2pd: [], bare: [], garligate: [] };
    for (let round = 1; round <= rounds; round += 1) {
      // Who comes first changes, since a router grows slower or faster over time.
      for (const name of round % 2 === 0 ? PROXIES : PROXIES.toReversed()) {
        note(`lab round ${round} of ${rounds}: ${name}`);
        samples[name].push(await sample((path, seconds) => curl(name, path, seconds)));
      }
    }
    return { samples, goals: judge(samples) };
  });
}

interface Fetched {
  readonly bytes: number;
  readonly seconds: number;
}

/** A GET now and then gets nothing, on i2pd's own proxy too: what counts is measured afterwards. */
async function warmUp(get: () => Promise<Fetched>, note: (text: string) => void): Promise<void> {
  let lost = 0;
  for (let contact = 0; contact < FIRST_CONTACTS; contact += 1) {
    try {
      await get();
    } catch (error) {
      lost += 1;
      if (lost > FIRST_CONTACTS_LOST) throw error;
      note(`a GET got nothing: ${lost} of at most ${FIRST_CONTACTS_LOST}`);
    }
  }
}

async function sample(curl: (path: string, seconds: number) => Promise<Fetched>): Promise<LabSample> {
  const gets: number[] = [];
  for (let get = 0; get < GETS; get += 1) gets.push((await curl('/', GET_SECONDS)).seconds);
  const rate = (all: readonly Fetched[]) =>
    all.reduce((sum, { bytes }) => sum + bytes, 0) / Math.max(...all.map(({ seconds }) => seconds));
  const one = rate([await curl(LARGE_FILE.path, DOWNLOAD_SECONDS)]);
  const four = rate(await Promise.all(Array.from({ length: 4 }, () => curl(LARGE_FILE.path, DOWNLOAD_SECONDS))));
  return { one, four, gets };
}

/** @throws Error when nothing came; a download that takes longer is cut off and counts as far as it came */
async function fetchThrough(
  namespace: string,
  proxy: string,
  url: string,
  seconds: number,
  signal: AbortSignal,
): Promise<Fetched> {
  const args = ['--silent', '--show-error', '--fail', '--max-time', String(seconds), '--proxy', `socks5h://${proxy}`];
  const format = ['--output', '/dev/null', '--write-out', '%{size_download} %{time_total}'];
  // 28: the time was up.
  const script = 'curl "$@" || test $? -eq 28';
  const said = await runInside(namespace, 'sh', ['-c', script, 'curl', ...args, ...format, url], {
    signal,
    timeoutMs: (seconds + 10) * 1000,
  });
  const [bytes = 0, taken = 0] = said.split(' ').map(Number);
  if (bytes === 0) throw new Error(`nothing came from ${url} through ${proxy} within ${seconds} s`);
  return { bytes, seconds: taken };
}

function judge(samples: SocksLabReport['samples']): Goal[] {
  const compare = (figure: (sample: LabSample) => number) =>
    ratio(samples.garligate.map(figure), samples.i2pd.map(figure));
  return [
    atLeast(
      1,
      'one download on the lab against i2pd',
      compare(({ one }) => one),
    ),
    atLeast(
      1,
      'four downloads on the lab against i2pd',
      compare(({ four }) => four),
    ),
    atMost(
      1.1,
      'median small GET on the lab against i2pd',
      median(samples.garligate.flatMap(({ gets }) => gets)) / median(samples.i2pd.flatMap(({ gets }) => gets)),
    ),
  ];
}

export function printSocksLabReport({ samples, goals }: SocksLabReport): string {
  const heading = ['on the lab', 'one, MB/s', 'spread', 'four, MB/s', 'spread', 'GET median, ms', 'spread'];
  const rows = PROXIES.map((name) => {
    const megabytes = (rates: readonly number[]) => [
      (median(rates) / 1e6).toFixed(2),
      `${(spread(rates) * 100).toFixed(0)} %`,
    ];
    const gets = samples[name].flatMap((each) => each.gets);
    const middles = samples[name].map((each) => median(each.gets));
    return [
      name,
      ...megabytes(samples[name].map(({ one }) => one)),
      ...megabytes(samples[name].map(({ four }) => four)),
      (median(gets) * 1000).toFixed(1),
      `${(spread(middles) * 100).toFixed(0)} %`,
    ];
  });
  return `${table([heading, ...rows])}\n\n${goalsTable(goals)}\n`;
}

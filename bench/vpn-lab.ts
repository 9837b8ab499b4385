/**
 * `npm run bench -- vpn`, the half on the lab: real routers, with nothing between them or with a line that is like I2P's.
 * TCP through the VPN against a bare SAM stream between the same routers, and what a download does to ping.
 */
import type { Socket } from 'node:net';
import { limit } from '../scripts/lab/command.ts';
import { type Lab, startLab, WEB_PORT } from '../scripts/lab/lab.ts';
import { describeLine, type LineShape } from '../scripts/lab/line-shape.ts';
import { runInside } from '../scripts/lab/namespaces.ts';
import { openSession, type SamSession } from '../scripts/lab/sam-client.ts';
import { LARGE_FILE } from '../scripts/lab/web-server.ts';
import { bareStream } from './lib/bare-stream.ts';
import { withCleanup } from './lib/cleanup.ts';
import { atLeast, atMost, type Goal, goalsTable } from './lib/goals.ts';
import { quietProgress } from './lib/quiet-progress.ts';
import { median, percentile, ratio, spread } from './lib/statistics.ts';
import { table } from './lib/table.ts';

export interface VpnLabOptions {
  readonly rounds: number;
  /** Undefined: the bare lab. */
  readonly line: LineShape | undefined;
  readonly note: (text: string) => void;
}

interface Round {
  /** Bytes per second. */
  readonly bare: number;
  readonly vpn: number;
  /** Milliseconds. */
  readonly idle: readonly number[];
  readonly beside: readonly number[];
}

export interface VpnLabReport {
  readonly line: LineShape | undefined;
  readonly rounds: readonly Round[];
  readonly goals: readonly Goal[];
}

interface Load {
  /** A router's stream needs some tens of round trips until it knows the line. */
  readonly seconds: number;
  readonly pingEverySeconds: number;
}

const SLOW: Load = { seconds: 30, pingEverySeconds: 0.5 };
/** No longer than the file lasts. */
const QUICK: Load = { seconds: 4, pingEverySeconds: 0.1 };
const GRACE_MS = 30_000;
const IDLE_PINGS = 30;
const PIECE = Buffer.alloc(16 * 1024, 1);

export function benchVpnLab({ rounds, line, note }: VpnLabOptions): Promise<VpnLabReport> {
  return withCleanup(async (cleanup) => {
    const load = line === undefined ? QUICK : SLOW;
    const { interrupted: signal } = cleanup;
    const lab = await startLab({ signal, progress: quietProgress(note), line, keys: 'reserved' });
    cleanup.add(() => lab.stop());
    note('bare SAM sessions beside the gateways');
    const bareSession = async (router: number) => {
      const session = await openSession((stop) => lab.network.openBridge(router, stop), 'TRANSIENT', signal);
      cleanup.add(() => session.close());
      return session;
    };
    const [from, to] = await Promise.all([bareSession(2), bareSession(1)]);
    const samples: Round[] = [];
    for (let round = 1; round <= rounds; round += 1) {
      note(`lab round ${round} of ${rounds}`);
      const bare = await sendBare(from, to, load, signal);
      const idle = await ping(lab, IDLE_PINGS, load, signal);
      const [vpn, beside] = await Promise.all([
        download(lab, load, signal),
        ping(lab, load.seconds / load.pingEverySeconds, load, signal),
      ]);
      samples.push({ bare, vpn, idle, beside });
    }
    return { line, rounds: samples, goals: judge(samples, line) };
  });
}

/** From router 2 to router 1 as fast as it goes. @returns what arrived per second, once the stream stood */
async function sendBare(from: SamSession, to: SamSession, { seconds }: Load, signal: AbortSignal): Promise<number> {
  const { from: sender, to: receiver } = await bareStream(from, to, signal);
  const begun = performance.now();
  const stop = limit(seconds * 1000, signal);
  feed(sender, stop);
  let bytes = 0;
  receiver.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
  });
  try {
    await new Promise<void>((resolve, reject) => {
      stop.addEventListener('abort', () => resolve(), { once: true });
      if (stop.aborted) resolve();
      receiver.once('close', () => reject(new Error(`the bare stream ended after ${bytes} bytes`)));
    });
    signal.throwIfAborted();
    return bytes / ((performance.now() - begun) / 1000);
  } finally {
    sender.destroy();
    receiver.destroy();
  }
}

function feed(sender: Socket, stop: AbortSignal): void {
  sender.on('error', () => {}); // The receiver hears of it.
  const fill = () => {
    while (!stop.aborted && !sender.destroyed && sender.write(PIECE));
  };
  sender.on('drain', fill);
  fill();
}

/** From b, which is on router 2, to a. @returns bytes per second */
async function download({ a, b }: Lab, load: Load, signal: AbortSignal): Promise<number> {
  const url = `http://[${b.addresses.oc}]:${WEB_PORT}${LARGE_FILE.path}`;
  const args = ['--silent', '--show-error', '--fail', '--globoff', '--max-time', String(load.seconds), url];
  const format = ['--output', '/dev/null', '--write-out', '%{size_download} %{time_total}'];
  // 28: the time was up.
  const script = 'curl "$@" || test $? -eq 28';
  const timeoutMs = load.seconds * 1000 + GRACE_MS;
  const said = await runInside(a.namespace, 'sh', ['-c', script, 'curl', ...args, ...format], { signal, timeoutMs });
  const [bytes = 0, seconds = 1] = said.split(' ').map(Number);
  return bytes / seconds;
}

async function ping(
  { a, b }: Lab,
  count: number,
  { pingEverySeconds }: Load,
  signal: AbortSignal,
): Promise<readonly number[]> {
  const args = ['-6', '-n', '-i', `${pingEverySeconds}`, '-c', `${count}`, '-W', '20', b.addresses.oc];
  const timeoutMs = count * pingEverySeconds * 1000 + GRACE_MS;
  const said = await runInside(a.namespace, 'ping', args, { signal, timeoutMs });
  return [...said.matchAll(/time=([\d.]+) ms/g)].map(([, time]) => Number(time));
}

/** On the bare lab nothing is promised: its idle round trip of two milliseconds is all processor time. */
function judge(rounds: readonly Round[], line: LineShape | undefined): Goal[] {
  if (line === undefined) return [];
  const beside = rounds.map((round) => median(round.beside) / median(round.idle));
  return [
    atLeast(0.9, 'TCP through the VPN on a line like I2P, against a bare SAM stream', throughput(rounds)),
    atMost(2, 'ping beside a download on a line like I2P, against idle', median(beside)),
  ];
}

/** Of the VPN against the bare stream. */
function throughput(rounds: readonly Round[]): number {
  return ratio(
    rounds.map(({ vpn }) => vpn),
    rounds.map(({ bare }) => bare),
  );
}

export function printVpnLabReport({ line, rounds, goals }: VpnLabReport): string {
  const row = (name: string, values: readonly number[], digits: number) => [
    name,
    median(values).toFixed(digits),
    `${(spread(values) * 100).toFixed(0)} %`,
  ];
  const trips = (name: string, of: (round: Round) => readonly number[]) => [
    row(
      `${name}, p50, ms`,
      rounds.map((round) => median(of(round))),
      0,
    ),
    row(
      `${name}, p99, ms`,
      rounds.map((round) => percentile(of(round), 99)),
      0,
    ),
  ];
  const rows = [
    row(
      'bare SAM stream, kB/s',
      rounds.map(({ bare }) => bare / 1e3),
      1,
    ),
    row(
      'TCP through the VPN, kB/s',
      rounds.map(({ vpn }) => vpn / 1e3),
      1,
    ),
    ['the same, against the bare stream', throughput(rounds).toFixed(2), ''],
    ...trips('ping idle', ({ idle }) => idle),
    ...trips('ping beside the download', ({ beside }) => beside),
  ];
  const where = line === undefined ? 'nothing between the routers' : describeLine(line);
  const parts = [`On the lab: ${where}`, table([['', 'median', 'spread'], ...rows])];
  return `${[...parts, ...(goals.length > 0 ? [goalsTable(goals)] : [])].join('\n\n')}\n`;
}

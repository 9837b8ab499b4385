/**
 * What the lab tries with ordinary programs and sockets, from inside a namespace: ping, curl, TCP, UDP. Each has a deadline,
 * answers with a text about how well it went, and fails with one that says what was wanted and what came.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { lastLines, limit, messageOf, waitUntil } from './command.ts';
import { describeRate, type LineShape } from './line-shape.ts';
import type { NamespaceHelper } from './namespace-helper.ts';
import { inNamespace, runInside } from './namespaces.ts';
import type { RoundTrips } from './tasks.ts';
import { PAGE_TEXT, type ServedFile } from './web-server.ts';

const PING_COUNT = 10;
const SHORTEST_PING_INTERVAL_MS = 200;
const PING_MS = 60_000;
const PAGE_MS = 60_000;
/** 20 MB take 6 to 10 s here when the machine has nothing else to do. */
const DOWNLOAD_MS = 180_000;
const TALK = { messages: 200, length: 48, timeoutMs: 60_000 };
const DATAGRAMS = { messages: 100, length: 1000, everyMs: 10, timeoutMs: 30_000 };
/** The share of a line's rate that datagrams may take: I2P wraps each of them in packets of its own. */
const DATAGRAM_SHARE = 0.2;
/** I2P repeats on its own what the line loses, and takes so many round trips for a message at most, on the average. */
const TRIPS_PER_MESSAGE = 3;

/** Waits until an address answers one ping, at most `timeoutMs`. */
export async function untilPingable(
  namespace: string,
  address: string,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<void> {
  const args = ['-6', '-n', '-c', '1', '-W', '2', address];
  const look = async () => {
    await runInside(namespace, 'ping', args, { signal, timeoutMs: 10_000 });
    return true;
  };
  await waitUntil(`${address} answers a ping from ${namespace}`, look, { timeoutMs, signal, everyMs: 500 });
}

/** Ten echo requests; every one must be answered. */
export async function ping(
  namespace: string,
  address: string,
  line: LineShape | undefined,
  signal: AbortSignal,
): Promise<string> {
  const interval = Math.max(SHORTEST_PING_INTERVAL_MS, line?.roundTripMs ?? 0) / 1000;
  // After its last request ping waits for no more than twice the longest round trip that it has seen, which on a quick line
  // is a moment: one more than counts is sent, so that those that do have at least an interval.
  const args = ['-6', '-n', '-c', `${PING_COUNT + 1}`, '-i', `${interval}`, '-W', '10', address];
  const said = await runInside(namespace, 'ping', args, { signal, timeoutMs: PING_MS });
  const answered = new Set([...said.matchAll(/icmp_seq=(\d+) ttl/g)].map(([, number]) => Number(number)));
  const received = Array.from({ length: PING_COUNT }, (_, at) => answered.has(at + 1)).filter(Boolean).length;
  if (received !== PING_COUNT) throw new Error(`${received} of ${PING_COUNT} pings came back: ${lastLines(said, 3)}`);
  const [, average = '?', worst = '?'] = /= [\d.]+\/([\d.]+)\/([\d.]+)/.exec(said) ?? [];
  return `${received} of ${PING_COUNT}, mean ${average} ms, worst ${worst} ms`;
}

/** The small page of the lab's web server, unchanged. */
export async function fetchPage(
  namespace: string,
  curlArgs: readonly string[],
  url: string,
  signal: AbortSignal,
): Promise<string> {
  const args = ['--silent', '--show-error', '--fail', '--globoff', '--max-time', `${PAGE_MS / 1000}`, ...curlArgs, url];
  const page = await runInside(namespace, 'curl', args, { signal, timeoutMs: PAGE_MS + 5_000 });
  if (page !== PAGE_TEXT) throw new Error(`another page came: ${JSON.stringify(page.slice(0, 200))}`);
  return `${page.length} bytes`;
}

/** A service that is there must not be reached: curl gives up within `seconds`, saying `words`. */
export async function failsToFetch(
  namespace: string,
  curlArgs: readonly string[],
  url: string,
  { seconds, words }: { readonly seconds: number; readonly words: RegExp },
  signal: AbortSignal,
): Promise<string> {
  const args = ['--silent', '--show-error', '--globoff', '--max-time', `${seconds}`, ...curlArgs, url];
  let page: string;
  try {
    page = await runInside(namespace, 'curl', args, { signal, timeoutMs: seconds * 1000 + 10_000 });
  } catch (error) {
    signal.throwIfAborted();
    const said = lastLines(messageOf(error), 1);
    if (words.test(said)) return said;
    throw new Error(`it failed otherwise than wanted (${words}): ${said}`, { cause: error });
  }
  throw new Error(`it was reached: ${JSON.stringify(page.slice(0, 200))}`);
}

export type ExpectedFile = ServedFile & { readonly sha256: string };

/** A file that must come whole and unchanged. */
export async function download(
  namespace: string,
  curlArgs: readonly string[],
  url: string,
  expected: ExpectedFile,
  signal: AbortSignal,
): Promise<string> {
  const start = performance.now();
  const got = await curlToHash(namespace, [...curlArgs, url], limit(DOWNLOAD_MS, signal));
  if (got.length !== expected.length) throw new Error(`${got.length} of ${expected.length} bytes came`);
  if (got.sha256 !== expected.sha256) throw new Error(`SHA-256 is ${got.sha256} instead of ${expected.sha256}`);
  const seconds = (performance.now() - start) / 1000;
  return `${describeRate(got.length / seconds)}, SHA-256 equal`;
}

async function curlToHash(
  namespace: string,
  curlArgs: readonly string[],
  signal: AbortSignal,
): Promise<Omit<ExpectedFile, 'path'>> {
  const args = ['--silent', '--show-error', '--fail', '--globoff', ...curlArgs];
  const child = spawn(...inNamespace(namespace, 'curl', args), { stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = once(child, 'close');
  const stop = () => child.kill('SIGKILL');
  signal.addEventListener('abort', stop, { once: true });
  const hash = createHash('sha256');
  let length = 0;
  let complaint = '';
  child.stdout.on('data', (chunk: Buffer) => {
    hash.update(chunk);
    length += chunk.length;
  });
  child.stderr.on('data', (chunk: Buffer) => {
    complaint += chunk.toString();
  });
  try {
    const [code] = await ended;
    if (signal.aborted) throw new Error(`no end after ${length} bytes: ${messageOf(signal.reason)}`);
    if (code !== 0) throw new Error(`after ${length} bytes: exit code ${code}: ${lastLines(complaint, 3)}`);
  } finally {
    signal.removeEventListener('abort', stop);
  }
  return { length, sha256: hash.digest('hex') };
}

/**
 * A long dialogue of short messages on one TCP connection, as at a remote shell. On a line with a long way it is as long as
 * the time allows.
 */
export async function talk(
  from: NamespaceHelper,
  host: string,
  port: number,
  line: LineShape | undefined,
): Promise<string> {
  const fitting = TALK.timeoutMs / (TRIPS_PER_MESSAGE * (line?.roundTripMs ?? 0));
  const messages = Math.min(TALK.messages, Math.max(1, Math.floor(fitting)));
  const times = await from.perform({ kind: 'talk', host, port, ...TALK, messages });
  return `${times.length} round trips, ${describeTimes(times)}`;
}

/**
 * Datagrams at a steady pace. The tunnel's streams lose nothing, but UDP promises nothing and each queue on the way may
 * drop, so a few may be missing.
 */
export async function sendDatagrams(
  from: NamespaceHelper,
  host: string,
  port: number,
  line: LineShape | undefined,
): Promise<string> {
  const rate = line === undefined || line.bytesPerSecond === 0 ? Number.POSITIVE_INFINITY : line.bytesPerSecond;
  const everyMs = Math.max(DATAGRAMS.everyMs, (1000 * DATAGRAMS.length) / (rate * DATAGRAM_SHARE));
  const messages = Math.min(DATAGRAMS.messages, Math.floor(DATAGRAMS.timeoutMs / 2 / everyMs));
  const times = await from.perform({ kind: 'send-datagrams', host, port, ...DATAGRAMS, messages, everyMs });
  const wanted = messages * 0.95;
  if (times.length < wanted) throw new Error(`${times.length} of ${messages} came back, ${wanted} are wanted`);
  return `${times.length} of ${messages}, ${describeTimes(times)}`;
}

function describeTimes(times: RoundTrips): string {
  const sorted = [...times].sort((one, other) => one - other);
  const at = (part: number) => (sorted[Math.floor((sorted.length - 1) * part)] ?? Number.NaN).toFixed(1);
  return `median ${at(0.5)} ms, 95 % within ${at(0.95)} ms`;
}

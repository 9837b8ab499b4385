/**
 * Watches traffic from one gateway to the other, and says for how long each kind was away while something happened, what
 * was lost of it, and whether anything came that had not been sent.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { I2pNetwork } from '../lab/i2p-network.ts';
import { inNamespace } from '../lab/namespaces.ts';
import { type BareLine, startBareLine } from './bare-line.ts';
import { Meter } from './meter.ts';
import { letHappen } from './outage.ts';
import { startPing } from './ping.ts';
import type { Broken } from './verdict.ts';
import type { Heard, Progress, Stream, WatchOrder } from './watch.ts';

/** What goes from one gateway to the other. */
export const KINDS = ['ping', 'tcp', 'udp', 'download', 'socks'] as const;
export type Kind = (typeof KINDS)[number];
/** Stands beside them: a stream between bare SAM sessions on the same routers. */
type Watched = Kind | 'bare';

export interface Outage {
  /** Longest time without an echo or a byte, in milliseconds; undefined when none came any more. */
  readonly away: Readonly<Record<Kind, number | undefined>>;
  readonly bareAway: number | undefined;
  /** What came and had not been sent. */
  readonly wrong: Readonly<Record<Kind, string | undefined>>;
  /** Connections that ended meanwhile. */
  readonly broken: readonly Broken[];
  /** Questions and datagrams without an answer. */
  readonly lost: Readonly<Record<'ping' | 'udp', number>>;
}

export interface Traffic {
  readonly bare: BareLine;
  /**
   * @param happen returns when what broke has been repaired
   * @param patienceMs how long traffic may take from then on
   */
  during(happen: () => Promise<void>, patienceMs: number): Promise<Outage>;
  /** Gives all connections up. Pings and datagrams go on. */
  hangUp(): void;
  /** To this address from now on, on new connections. */
  goTo(host: string): Promise<void>;
  stop(): void;
}

export interface Way extends WatchOrder {
  readonly network: I2pNetwork;
  readonly namespace: string;
  /** How many bytes of the download of this name the web server has handed over. */
  readonly handedOver: (name: string) => Promise<number>;
  readonly signal: AbortSignal;
}

type End = Heard & { readonly what: 'broken' };

const WATCH = fileURLToPath(new URL('watch.ts', import.meta.url));
const CHECKOUT = fileURLToPath(new URL('../..', import.meta.url));

export async function startTraffic({ network, namespace, handedOver, signal, ...order }: Way): Promise<Traffic> {
  let { host } = order;
  const stopping = new AbortController();
  const over = AbortSignal.any([signal, stopping.signal]);
  const meters = each(() => new Meter(() => performance.now()));
  let broken: End[] = [];
  const latest = new Map<Stream, Progress>();
  let inFlight: ReadonlyMap<string, number> = new Map();

  const hear = (heard: Heard) => {
    switch (heard.what) {
      case 'sent':
        return meters.udp.sent(heard.number);
      case 'udp':
        return meters.udp.heard(heard.number);
      case 'came':
        latest.set(heard.stream, heard);
        return meters[heard.stream].heard();
      case 'wrong':
        return meters[heard.kind].isWrong(heard.why);
      case 'broken':
        return void broken.push(heard);
      default:
        heard satisfies never;
    }
  };
  const missing = async (progress: Progress) => {
    const given = progress.stream === 'tcp' ? progress.sent : await handedOver(progress.name);
    return given - progress.came;
  };
  const tollOf = async (end: End): Promise<Broken> => {
    const { stream, why, name, pace } = end;
    return { stream, why, lost: await missing(end), inFlight: inFlight.get(name) ?? 0, pace };
  };
  const watch = () => {
    const args = ['--import', 'tsx', WATCH, JSON.stringify({ ...order, host })];
    const started = spawn(...inNamespace(namespace, process.execPath, args), {
      cwd: CHECKOUT,
      detached: true,
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    return started.on('message', hear);
  };
  let watcher = watch();
  const ping = startPing(
    namespace,
    () => host,
    (news) => {
      if (news.kind === 'answered') meters.ping.heard(news.number);
      else if (news.kind === 'unanswered') meters.ping.sent(news.number);
      else meters.ping.isWrong(news.why);
    },
    over,
  );
  const bare = startBareLine(network, () => meters.bare.heard(), over);

  return {
    bare,
    during: async (happen, patienceMs) => {
      const start = async () => {
        broken = [];
        const asked = [...latest.values()].map(async (one) => [one.name, await missing(one)] as const);
        inFlight = new Map(await Promise.all(asked));
        await happen();
      };
      const { repairedAt, backAt } = await letHappen(meters, start, patienceMs, over);
      const { bare: bareAway, ...away } = each((kind) => meters[kind].away(repairedAt));
      const { bare: _, ...wrong } = each((kind) => meters[kind].wrong);
      const lost = { ping: meters.ping.lost(backAt), udp: meters.udp.lost(backAt) };
      return { away, bareAway, wrong, lost, broken: await Promise.all(broken.map(tollOf)) };
    },
    hangUp: () => void watcher.send('hang up'),
    goTo: async (address) => {
      const ended = once(watcher, 'exit');
      watcher.send('end');
      await ended;
      host = address;
      watcher = watch();
      ping.restart();
    },
    stop: () => {
      stopping.abort();
      watcher.kill('SIGKILL');
    },
  };
}

function each<T>(make: (kind: Watched) => T): Record<Watched, T> {
  return {
    ping: make('ping'),
    tcp: make('tcp'),
    udp: make('udp'),
    download: make('download'),
    socks: make('socks'),
    bare: make('bare'),
  };
}

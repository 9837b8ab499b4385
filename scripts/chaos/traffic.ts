/** Watches traffic from one gateway to the other, and says for how long each kind was away while something happened. */
import { spawn } from 'node:child_process';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { I2pNetwork } from '../lab/i2p-network.ts';
import { inNamespace, runInside } from '../lab/namespaces.ts';
import { type BareLine, startBareLine } from './bare-line.ts';
import type { Heard, Stream, WatchOrder } from './watch.ts';

/** What goes from one gateway to the other. */
export const KINDS = ['ping', 'tcp', 'udp', 'download', 'socks'] as const;
export type Kind = (typeof KINDS)[number];
/** Stands beside them: a stream between bare SAM sessions on the same routers. */
type Watched = Kind | 'bare';
const WATCHED: readonly Watched[] = [...KINDS, 'bare'];

export interface Outage {
  /** Longest time without an echo or a byte, in milliseconds; undefined when none came any more. */
  readonly away: Readonly<Record<Watched, number | undefined>>;
  /** Connections that ended meanwhile. */
  readonly broken: readonly Broken[];
}

/** Why a connection ended, and bytes that were under way on it. */
export interface Broken {
  readonly stream: Stream;
  readonly why: string;
  readonly lost: number;
}

export interface Traffic {
  readonly bare: BareLine;
  /**
   * @param happen returns when what broke has been repaired
   * @param patienceMs how long traffic may take from then on
   */
  during(happen: () => Promise<void>, patienceMs: number): Promise<Outage>;
  /** To this address from now on, on new connections. */
  goTo(host: string): void;
  stop(): void;
}

export interface Way extends WatchOrder {
  readonly network: I2pNetwork;
  readonly namespace: string;
  readonly signal: AbortSignal;
}

const WATCH = fileURLToPath(new URL('watch.ts', import.meta.url));
const CHECKOUT = fileURLToPath(new URL('../..', import.meta.url));
const PING_EVERY_MS = 500;
/** All must have been heard for so long before something happens, and after. */
const QUIET_MS = 3_000;
/** A kernel that has waited long for an answer repeats itself after two minutes at most. */
const SETTLE_MS = 150_000;

export async function startTraffic({ network, namespace, signal, ...order }: Way): Promise<Traffic> {
  let { host } = order;
  const stopping = new AbortController();
  const over = AbortSignal.any([signal, stopping.signal]);
  const last = new Map<Watched, number>();
  const longest = new Map<Watched, number>();
  let broken: Broken[] = [];
  const heard = (kind: Watched) => {
    const now = performance.now();
    longest.set(kind, Math.max(longest.get(kind) ?? 0, now - (last.get(kind) ?? now)));
    last.set(kind, now);
  };

  const watch = () => {
    const args = ['--import', 'tsx', WATCH, JSON.stringify({ ...order, host })];
    const started = spawn(...inNamespace(namespace, process.execPath, args), {
      cwd: CHECKOUT,
      detached: true,
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    started.on('message', (message: Heard) => {
      if (message.what === 'broken') broken.push(message);
      else heard(message.what);
    });
    return started;
  };
  let watcher = watch();

  const pinging = async () => {
    while (!over.aborted) {
      const ping = ['-6', '-n', '-c', '1', '-W', '1', host];
      await runInside(namespace, 'ping', ping, { signal: over }).then(
        () => heard('ping'),
        () => {}, // Not answered: the next one may be.
      );
      await pause(PING_EVERY_MS, undefined, { signal: over }).catch(() => {});
    }
  };
  void pinging();
  const bare = startBareLine(network, () => heard('bare'), over);

  const silentSince = (at: number) => WATCHED.filter((kind) => (last.get(kind) ?? Number.NEGATIVE_INFINITY) <= at);
  const untilAllHeard = async (patienceMs: number) => {
    const since = performance.now();
    while (silentSince(since).length > 0 && performance.now() - since < patienceMs) {
      await pause(100, undefined, { signal: over });
    }
  };

  const untilQuiet = async () => {
    const since = performance.now();
    for (;;) {
      await pause(QUIET_MS, undefined, { signal: over });
      const silent = silentSince(performance.now() - QUIET_MS);
      if (silent.length === 0) return;
      if (performance.now() - since > SETTLE_MS)
        throw new Error(`before the fault nothing comes by ${silent.join(', ')}`);
    }
  };

  return {
    bare,
    during: async (happen, patienceMs) => {
      await untilQuiet();
      longest.clear();
      broken = [];
      await happen();
      const repairedAt = performance.now();
      await untilAllHeard(patienceMs);
      await pause(QUIET_MS, undefined, { signal: over });
      const awayOf = (kind: Watched) => ((last.get(kind) ?? 0) > repairedAt ? longest.get(kind) : undefined);
      const [ping, tcp, udp, download, socks] = KINDS.map(awayOf);
      return { away: { ping, tcp, udp, download, socks, bare: awayOf('bare') }, broken };
    },
    goTo: (address) => {
      watcher.kill('SIGKILL');
      host = address;
      watcher = watch();
    },
    stop: () => {
      stopping.abort();
      watcher.kill('SIGKILL');
    },
  };
}

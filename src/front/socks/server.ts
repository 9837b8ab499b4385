/**
 * The SOCKS front: takes clients from one listener, as many as the caps allow, and ends all of them when it stops. Knows
 * nothing of the protocol, which is the business of `client.ts`.
 */
import type { Duplex } from 'node:stream';
import type { ClientOrigin, ListenerPort } from '../../core/ports.ts';
import { Cancellation } from '../../kit/abort.ts';
import { abortError, asGateError, GateError } from '../../kit/errors.ts';
import { logDefect } from '../../kit/log.ts';
import type { Service } from '../../kit/service.ts';
import { createTally, type Tally } from '../../kit/tally.ts';
import type { Authenticate } from './authentication.ts';
import { serveClient } from './client.ts';
import { type DnsLeaks, DnsLeakWatch } from './dns-leaks.ts';
import { USUAL_ISOLATION } from './isolation.ts';
import { CLIENT_ENDS, type ClientEnvironment, type ClientPlace, type ClientSettings } from './serving.ts';
import type { UdpCounter } from './udp/counters.ts';

/** What serving a client takes, but for what the server itself adds. */
export interface SocksServerParts extends Omit<ClientEnvironment, 'listener' | 'authenticate' | 'counts' | 'settings'> {
  readonly listener: ListenerPort;
  /** Left out where everybody is served, whatever credentials they show. */
  readonly authenticate?: Authenticate | undefined;
}

export interface SocksServerOptions extends ClientSettings {
  readonly maxClients: number;
  /** From one IP address; clients of a unix socket have none, and count only in total. */
  readonly maxClientsPerAddress: number;
}

const DEFAULTS: SocksServerOptions = {
  maxClients: 256,
  maxClientsPerAddress: 256,
  handshakeMs: 20_000,
  // I2P takes 10 to 60 s to find and reach a destination; Tor's SocksTimeout is the same.
  connectMs: 120_000,
  idleMs: 0,
  isolation: USUAL_ISOLATION,
  preferNoAuth: false,
  errors: 'standard',
  httpConnect: false,
  resolve: true,
  bind: 'named',
  bindMs: 120_000,
};

/**
 * `accepted` is the sum of the ends in `ClientEnd` and of those still on their way. `refusedCap` were closed at accept:
 * everybody else had a connection, or was being connected. `refusedClient` too, because of their address.
 */
const SOCKS_COUNTERS = ['accepted', 'refusedCap', 'refusedClient', 'dnsLeak', ...CLIENT_ENDS] as const;
export type SocksCounter = (typeof SOCKS_COUNTERS)[number];

export interface SocksStatus {
  /** Where it listens. */
  readonly where: string;
  /** Clients at this moment, in every phase. */
  readonly clients: number;
  readonly counts: Readonly<Record<SocksCounter, number>>;
  /** Undefined while no client seems to ask name servers. */
  readonly dnsLeaks: DnsLeaks | undefined;
  /** Undefined where UDP ASSOCIATE is not served. */
  readonly udp: { readonly associations: number; readonly counts: Readonly<Record<UdpCounter, number>> } | undefined;
}

export interface SocksServer extends Service {
  snapshot(): SocksStatus;
}

/** One client, with the place that counts against the caps. */
class ServedClient implements ClientPlace {
  readonly address: string | undefined;
  // One for each client: listeners of a signal are kept in a list, which thousands of clients would make long.
  readonly cancel = new Cancellation();
  readonly #client: Duplex;
  #isKept = false;
  #makeWay: (() => void) | undefined;
  hasPlace = true;
  over: Promise<void> = Promise.resolve();

  constructor(client: Duplex, address: string | undefined) {
    this.#client = client;
    this.address = address;
  }

  keep(): void {
    this.#isKept = true;
  }

  offer(makeWay?: () => void): void {
    this.#isKept = false;
    this.#makeWay = makeWay;
  }

  get offersPlace(): boolean {
    return this.hasPlace && !this.#isKept;
  }

  makeWay(): void {
    if (this.#makeWay !== undefined) {
      this.#makeWay();
      return;
    }
    this.cancel.abort(new GateError('limit', 'socks.displaced', 'a newcomer needed the place of a SOCKS client'));
    this.#client.destroy();
  }
}

/** Clients hear of the stop by a reply or a reset; whoever is still there after this long is cut off. */
const STOP_MS = 3_000;

export function createSocksServer(parts: SocksServerParts, given: Partial<SocksServerOptions> = {}): SocksServer {
  const { access, listener, udp, clock, log } = parts;
  const options: SocksServerOptions = { ...DEFAULTS, ...given };
  const counts = createTally(SOCKS_COUNTERS);
  const leaks = new DnsLeakWatch();
  const noted: Tally<SocksCounter> = {
    ...counts,
    add: (name, count) => {
      if (name === 'dnsLeak') leaks.note(clock.now());
      counts.add(name, count);
    },
  };
  const environment = { ...parts, authenticate: parts.authenticate, counts: noted, settings: options };
  const running = new Map<Duplex, ServedClient>();
  let placesTaken = 0;
  const perAddress = new Map<string, number>();
  const crowded = (address: string | undefined) =>
    address !== undefined && (perAddress.get(address) ?? 0) >= options.maxClientsPerAddress;
  const full = (address: string | undefined) => placesTaken >= options.maxClients || crowded(address);
  let stopped: Promise<void> | undefined;

  const take = (client: Duplex, origin: ClientOrigin) => {
    const { address } = origin;
    if (stopped !== undefined) {
      client.destroy();
      return;
    }
    if (!access.admitsClient(address)) {
      counts.add('refusedClient');
      client.destroy();
      return;
    }
    if (full(address)) makeRoom(address);
    if (full(address)) {
      counts.add('refusedCap');
      client.destroy();
      return;
    }
    counts.add('accepted');
    placesTaken += 1;
    if (address !== undefined) perAddress.set(address, (perAddress.get(address) ?? 0) + 1);
    const served = new ServedClient(client, address);
    running.set(client, served);
    // No async function around it: its frame would live as long as the client.
    const over = () => {
      giveUpPlace(served);
      running.delete(client);
    };
    served.over = serveClient(client, origin, environment, served.cancel, served).then(over, (error: unknown) => {
      over();
      client.destroy();
      logDefect(log, error, 'serving a SOCKS client');
    });
  };

  /** Whoever connects and says nothing, or has gone without saying so, must not keep out those who have something to say. */
  const makeRoom = (address: string | undefined) => {
    const sameAddress = crowded(address);
    for (const served of running.values()) {
      if (!served.offersPlace || (sameAddress && served.address !== address)) continue;
      served.makeWay();
      giveUpPlace(served);
      return;
    }
  };

  const giveUpPlace = (served: ServedClient) => {
    if (!served.hasPlace) return;
    served.hasPlace = false;
    placesTaken -= 1;
    const { address } = served;
    if (address === undefined) return;
    const left = (perAddress.get(address) ?? 1) - 1;
    if (left > 0) perAddress.set(address, left);
    else perAddress.delete(address);
  };

  const stop = async () => {
    const reason = new GateError('shutdown', 'shutdown', 'the gateway is stopping');
    for (const { cancel } of running.values()) cancel.abort(reason);
    const closed = listener.close().catch((error: unknown) => {
      log.warn('the SOCKS listener did not close', { code: asGateError(error, 'closing the SOCKS listener').code });
    });
    await new Promise<void>((resolve) => {
      const timer = clock.after(STOP_MS, resolve);
      void Promise.all([closed, ...[...running.values()].map(({ over }) => over)]).then(() => {
        timer.cancel();
        resolve();
      });
    });
    for (const client of running.keys()) client.destroy();
  };

  return {
    start: async (signal) => {
      if (signal.aborted) throw abortError(signal, 'starting the SOCKS front');
      listener.accept(take);
    },
    stop: () => {
      stopped ??= stop();
      return stopped;
    },
    snapshot: () => ({
      where: listener.where,
      clients: placesTaken,
      counts: counts.snapshot(),
      dnsLeaks: leaks.series(clock.now()),
      udp: udp && { associations: udp.slots.taken, counts: udp.counts.snapshot() },
    }),
  };
}

/** Which router the gateway uses, as `router.sam` says: one that is there, or one of our own. */

import { formatEndpoint, type TcpEndpoint } from '../config/endpoint.ts';
import type { RouterConfig } from '../config/schema.ts';
import type { RouterState } from '../control/status.ts';
import type { DatagramBridgePort } from '../core/ports.ts';
import { unlessAborted } from '../kit/abort.ts';
import { type Clock, within } from '../kit/clock.ts';
import { drive } from '../kit/drive.ts';
import { abortError, asGateError, GateError } from '../kit/errors.ts';
import type { Logger } from '../kit/log.ts';
import type { Service } from '../kit/service.ts';
import { conversationMachine, hello } from '../wire/sam/conversation.ts';
import { createTcpBridge } from './bridge-tcp.ts';
import { withDatagrams } from './bridge-udp.ts';
import type { UserIds } from './processes.ts';
import { ManagedRouter, NO_PROGRAM } from './router-i2pd.ts';

export interface RouterService extends Service {
  readonly bridge: DatagramBridgePort;
  /**
   * Before `start`: does what needs rights that the gateway is about to give up. That it fails is a state like any other,
   * and it is tried again when a router is wanted.
   */
  prepare(): Promise<void>;
  state(): RouterState;
}

export interface RouterParts {
  readonly clock: Clock;
  readonly log: Logger;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Who the gateway will be, when it is another one than now: garligate's own i2pd is never the same user. */
  readonly gatewayUser: UserIds | undefined;
  /** Where to look for i2pd, as in the environment variable PATH. */
  readonly searchPath: string;
  /** Further arguments for garligate's own i2pd, for tests. */
  readonly extraArguments: readonly string[];
}

/** PATH, and where Debian keeps daemons, which PATH lacks for ordinary users. */
export function usualSearchPath(): string {
  return `${process.env['PATH'] ?? ''}:/usr/sbin:/usr/local/sbin`;
}

/** Why there is no router, and what the operator can do about it; neither is ever empty. */
interface Failure {
  readonly why: string;
  readonly advice: string;
}

/** Where every router has its SAM bridge unless told otherwise. */
const USUAL_BRIDGE: TcpEndpoint = { kind: 'tcp', host: '127.0.0.1', port: 7656 };
const PROBE_TIMEOUT_MS = 2_000;

export function createRouter(config: RouterConfig, parts: RouterParts): RouterService {
  const { sam } = config;
  switch (sam.kind) {
    case 'tcp':
      return createExternalRouter(sam, config, parts.clock);
    case 'managed':
      return new ChosenRouter([], config, parts);
    case 'auto':
      return new ChosenRouter([USUAL_BRIDGE], config, parts);
    default:
      return sam satisfies never;
  }
}

function createExternalRouter(endpoint: TcpEndpoint, { udp }: RouterConfig, clock: Clock): RouterService {
  return {
    bridge: withDatagrams(createTcpBridge(endpoint, clock), endpoint, udp),
    prepare: async () => {},
    start: async () => {},
    stop: async () => {},
    state: () => ({ kind: 'external', where: formatEndpoint(endpoint) }),
  };
}

/**
 * Takes the first bridge that answers, else a managed router. That none is to be had is a state: every attempt to open
 * a connection looks again, because the operator may have started or installed a router meanwhile.
 */
class ChosenRouter implements RouterService {
  readonly bridge: DatagramBridgePort;
  readonly #candidates: readonly TcpEndpoint[];
  readonly #config: RouterConfig;
  readonly #log: Logger;
  readonly #clock: Clock;
  readonly #managed: ManagedRouter;
  readonly #stopping = new AbortController();
  #chosen: RouterService | undefined;
  #choosing: Promise<RouterService> | undefined;
  /** Why the start, which had rights that are given up by now, could not prepare garligate's own router. */
  #unprepared: GateError | undefined;
  #failure: Failure = { why: 'no router has been looked for yet', advice: 'wait a moment' };

  constructor(candidates: readonly TcpEndpoint[], config: RouterConfig, parts: RouterParts) {
    this.#candidates = candidates;
    this.#config = config;
    this.#log = parts.log;
    this.#clock = parts.clock;
    this.#managed = new ManagedRouter({ ...parts, directory: config.directory, udp: config.udp });
    this.bridge = {
      open: async (signal) => (await this.#choose()).bridge.open(signal),
      openDatagrams: async (signal) => (await this.#choose()).bridge.openDatagrams(signal),
    };
  }

  async prepare(): Promise<void> {
    await this.#managed.prepare().catch((error: unknown) => {
      this.#unprepared = asGateError(error, "preparing garligate's own router");
      const { message, code } = this.#unprepared;
      this.#log.debug(message, { code });
    });
  }

  async start(signal: AbortSignal): Promise<void> {
    await unlessAborted(this.#choose(), signal, 'choosing a router').catch((error: unknown) => {
      if (signal.aborted) return;
      const { message, code } = asGateError(error, 'choosing a router');
      this.#log.warn(message, { code });
    });
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new GateError('shutdown', 'shutdown', 'the gateway is ending'));
    await this.#choosing?.catch(() => {});
    await this.#managed.stop();
  }

  state(): RouterState {
    if (this.#chosen !== undefined) return this.#chosen.state();
    return { kind: 'none', ...this.#failure };
  }

  #choose(): Promise<RouterService> {
    if (this.#chosen !== undefined) return Promise.resolve(this.#chosen);
    this.#choosing ??= this.#look().finally(() => {
      this.#choosing = undefined;
    });
    return this.#choosing;
  }

  async #look(): Promise<RouterService> {
    const { signal } = this.#stopping;
    try {
      for (const endpoint of this.#candidates) {
        if (!(await speaksSam(endpoint, this.#clock, signal))) continue;
        this.#log.info('using the SAM bridge that is there', { at: formatEndpoint(endpoint) });
        this.#chosen = createExternalRouter(endpoint, this.#config, this.#clock);
        await this.#managed.stop();
        return this.#chosen;
      }
      if (signal.aborted) throw abortError(signal, 'looking for a router');
      await this.#managed.start(signal);
      this.#chosen = this.#managed;
      return this.#managed;
    } catch (error) {
      const failure = asGateError(error, 'starting a router');
      this.#failure = explain(failure, this.#unprepared);
      throw failure;
    }
  }
}

function explain({ code, kind, message }: GateError, unprepared: GateError | undefined): Failure {
  if (kind === 'permission' && unprepared !== undefined) {
    // That the rights are lacking by now is true, and helps nobody.
    return {
      why: unprepared.message,
      advice: 'mend the cause and restart garligate: only a start has the rights for it',
    };
  }
  switch (code) {
    case NO_PROGRAM.code:
      return { why: NO_PROGRAM.why, advice: NO_PROGRAM.advice };
    case 'router.directory-in-use':
      return { why: message, advice: 'stop the other gateway, or set router.directory to another place' };
    default:
      return {
        why: message,
        advice:
          kind === 'limit'
            ? 'raise the limit of open files (LimitNOFILE, ulimit -n) and restart garligate'
            : 'mend the cause; see that router.directory exists, has room and is writable. It is tried again by itself',
      };
  }
}

/** Is it a SAM bridge of a version that we can use? A wrong password still proves that it is one. */
async function speaksSam(endpoint: TcpEndpoint, clock: Clock, givenUp: AbortSignal): Promise<boolean> {
  const late = new GateError('router-down', 'router.no-answer', 'no greeting in time');
  try {
    return await within(clock, PROBE_TIMEOUT_MS, late, givenUp, async (signal) => {
      const socket = await createTcpBridge(endpoint, clock).open(signal);
      try {
        await drive(conversationMachine(hello()), socket, { doing: 'greeting the router', signal, onEnd: () => late });
        return true;
      } finally {
        socket.destroy();
      }
    });
  } catch (error) {
    return asGateError(error, 'greeting the router').code === 'sam.authorization';
  }
}

/**
 * A private I2P network of real i2pd routers, each in a network namespace of its own, with no way out. Routers 1 and 2 are
 * edge routers for the programs under test; the others are floodfills and carry the tunnels. Knows nothing of garligate.
 */
import { chmod, mkdir, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { type ClaimedName, claimName } from './claim.ts';
import { messageOf } from './command.ts';
import { type DestinationKeys, generateKeys } from './destination-keys.ts';
import { cableShape, type LineShape } from './line-shape.ts';
import { type NamespaceHelper, startHelper } from './namespace-helper.ts';
import { createSegment, type LayCable, type Segment } from './namespaces.ts';
import { type Side, untilBridgeAnswers, untilNameFound, untilReady } from './ready.ts';
import { createRouter, introduce, makeIdentity, type Router, type RouterPlan } from './router.ts';
import type { OpenBridge } from './sam-client.ts';
import { compileSlowCable, laySlowCable, type SlowCable } from './slow-cable.ts';
import type { WallClock } from './wall-clock.ts';

export type NetworkOptions = {
  /** At least 3, at most 50; 5 unless told. */
  readonly routers?: number;
  /** Keys per edge router whose tunnels stand from the start; 8 unless told. */
  readonly reservedKeys?: number;
  /**
   * Routers in front of each destination that the routers keep, on the way in; one unless told. i2pd 2.45.1 often publishes
   * the first of three tunnels alone, and who has that lease set asks for no other before it expires: when the tunnel
   * goes, the destination is deaf to him for minutes. With none it is always reached.
   */
  readonly inboundLength?: 0 | 1;
  /** Services that routers offer by themselves, by router number. */
  readonly services?: readonly (ServicePlan & { readonly router: number })[];
  /** How the line between routers 1 and 2 is from the moment the network is ready; as fast as it goes unless told. */
  readonly line?: LineShape;
  /** Names in the address books of all routers, with base64 destinations. */
  readonly names?: ReadonlyMap<string, string>;
  /** What router 1 goes by; the machine's unless told. */
  readonly clock?: WallClock;
  readonly signal?: AbortSignal;
  /** Hears what is being done. */
  readonly onProgress?: (text: string) => void;
};

export type ServicePlan = {
  readonly name: string;
  readonly keys: DestinationKeys;
  readonly port: number;
  /** `server` unless told: hands streams to a TCP service. `socks`: a SOCKS proxy of the router's own. */
  readonly kind?: 'server' | 'socks';
};

export interface I2pNetwork {
  /** Namespaces are called `<name>-r1`, `<name>-hub`, ... */
  readonly name: string;
  /** For everything that belongs to this network; removed by `stop`. Others than root can only pass through. */
  readonly directory: string;
  readonly segment: Segment;
  readonly routers: readonly Router[];
  /** @param number counted from 1, as in the names */
  router(number: number): Router;
  /**
   * A connection to a router's SAM bridge from outside the namespaces. Its streams behave like those of the bridge, with
   * one more process in between.
   */
  openBridge(number: number, signal: AbortSignal): ReturnType<OpenBridge>;
  /**
   * Keys whose tunnels the router keeps standing, so that SESSION CREATE with them is answered in milliseconds instead of
   * 20 s. Each once per life of a router, and never twice at a time; the session's own tunnel options are ignored.
   *
   * @param number of an edge router, 1 or 2
   * @param key counted from 1
   */
  reservedKeys(number: number, key: number): DestinationKeys;
  /** The cables of routers 1 and 2, from the router to the others, where a line was asked for. */
  readonly slowCables: readonly SlowCable[];
  /** Pulls the cable of a router, or puts it back. */
  plug(number: number, connected: boolean): Promise<void>;
  /** Ends all of it; idempotent. */
  stop(): Promise<void>;
}

const STATE_ROOT = '/run/garligate-lab';
const EDGE_ROUTERS = 2;
const DEFAULT_ROUTERS = 5;
/** They all run on one machine, and their numbers are part of their addresses. */
const MOST_ROUTERS = 50;
const SPENT_KEY = 'reserved0';
const ATTEMPTS = 3;
const LISTENING_MS = 15_000;
const READY_MS = 60_000;
/** Between two starts, so that not everybody dials everybody in the same instant. */
const STAGGER_MS = 100;

/**
 * Returns when the network is ready. i2pd itself sometimes dies while it starts, so a network that does not become ready
 * is thrown away and built again, up to three times.
 *
 * @throws Error with the end of the routers' logs
 */
export async function startNetwork(options: NetworkOptions = {}): Promise<I2pNetwork> {
  const { routers = DEFAULT_ROUTERS, onProgress = () => {}, signal = new AbortController().signal } = options;
  if (!Number.isInteger(routers) || routers <= EDGE_ROUTERS || routers > MOST_ROUTERS) {
    throw new Error(`a network has ${EDGE_ROUTERS + 1} to ${MOST_ROUTERS} routers, not ${routers}`);
  }
  const claim = await claimName();
  for (let attempt = 1; ; attempt++) {
    try {
      return await build(claim, options, onProgress, signal);
    } catch (error) {
      if (attempt < ATTEMPTS && !signal.aborted) {
        onProgress(`attempt ${attempt} failed, starting over: ${messageOf(error)}`);
        continue;
      }
      claim.release();
      throw error;
    }
  }
}

async function build(
  claim: ClaimedName,
  options: NetworkOptions,
  onProgress: (text: string) => void,
  signal: AbortSignal,
): Promise<I2pNetwork> {
  const directory = join(STATE_ROOT, claim.name);
  const routers: Router[] = [];
  const helpers: NamespaceHelper[] = [];
  const slowCables: SlowCable[] = [];
  let segment: Segment | undefined;
  const dismantle = async () => {
    await Promise.all([...routers.map((router) => router.stop()), ...helpers.map((helper) => helper.stop())]);
    await Promise.all(slowCables.map((cable) => cable.remove()));
    await segment?.remove();
    await rm(directory, { recursive: true, force: true });
  };

  try {
    onProgress('namespaces');
    await rm(directory, { recursive: true, force: true });
    await mkdir(directory, { recursive: true, mode: 0o700 });
    for (const path of [STATE_ROOT, directory]) await chmod(path, 0o711);
    segment = await createSegment(claim.name, signal);
    const plans = planRouters(options, directory);
    const laySlowly = options.line && (await slowCablesFor(options.line, slowCables));
    for (const [index, plan] of plans.entries()) {
      const namespace = await segment.add(plan.name, plan.address, index < EDGE_ROUTERS ? laySlowly : undefined);
      routers.push(await createRouter({ ...plan, namespace }));
    }

    onProgress('identities');
    const carrying = startHelper(segment.hub).then(async (helper) => {
      helpers.push(helper);
      for (const { name, sam } of routers) {
        await helper.perform({ kind: 'carry', path: bridgePath(directory, name), ...sam });
      }
    });
    const infos = await Promise.all(routers.map((router) => makeIdentity(router, signal)));
    await Promise.all(
      routers.map((router, own) =>
        introduce(
          router,
          infos.filter((_, other) => other !== own),
        ),
      ),
    );
    await carrying;

    onProgress('routers start');
    for (const router of [...routers].reverse()) {
      await router.start();
      await pause(STAGGER_MS, undefined, { signal });
    }

    onProgress('tunnels');
    const network = describeNetwork({ claim, directory, segment, routers, plans, slowCables, dismantle });
    await untilListening(network, signal);
    await withLivingRouters(routers, signal, async (alive) => {
      await untilReady(sideOf(network, 1), sideOf(network, 2), READY_MS, alive);
      await untilAllFound(network, plans, alive);
    });
    // Not before: how routers meet for the first time is not what anybody wants to wait for.
    if (options.line !== undefined) {
      for (const cable of slowCables) await cable.shape(cableShape(options.line));
    }
    return network;
  } catch (error) {
    const logs = await Promise.all(routers.map(async (router) => `${router.name}: ${await router.said()}`));
    await dismantle();
    signal.throwIfAborted();
    throw new Error(`the I2P network did not become ready: ${messageOf(error)}\n${logs.join('\n')}`, { cause: error });
  }
}

/** @param cables where each cable is kept that is laid */
async function slowCablesFor({ seed }: LineShape, cables: SlowCable[]): Promise<LayCable> {
  const program = await compileSlowCable();
  return async (near, hub) => {
    // Each loses other frames than the other.
    cables.push(await laySlowCable(program, [near, hub], seed + cables.length));
  };
}

function planRouters(options: NetworkOptions, directory: string): Omit<RouterPlan, 'namespace'>[] {
  const { routers = DEFAULT_ROUTERS, reservedKeys = 8, services = [], names = new Map(), inboundLength = 1 } = options;
  return Array.from({ length: routers }, (_, index) => {
    const number = index + 1;
    const reserved = Array.from({ length: number <= EDGE_ROUTERS ? reservedKeys + 1 : 0 }, (_, key) => ({
      name: `reserved${key}`,
      kind: 'reserved' as const,
      keys: generateKeys(),
      port: 61_000 + key,
    }));
    const offered = services
      .filter((service) => service.router === number)
      .map(({ name, keys, port, kind = 'server' }) => ({ name, kind, keys, port }));
    return {
      name: `r${number}`,
      address: `198.18.${number}.1`,
      directory: join(directory, `r${number}`),
      floodfill: number > EDGE_ROUTERS,
      tunnels: [...reserved, ...offered],
      inboundLength,
      names,
      clock: number === 1 ? options.clock : undefined,
    };
  });
}

type Parts = {
  readonly claim: ClaimedName;
  readonly directory: string;
  readonly segment: Segment;
  readonly routers: readonly Router[];
  readonly plans: readonly Omit<RouterPlan, 'namespace'>[];
  readonly slowCables: readonly SlowCable[];
  readonly dismantle: () => Promise<void>;
};

function describeNetwork({ claim, directory, segment, routers, plans, slowCables, dismantle }: Parts): I2pNetwork {
  const router = (number: number) => {
    const found = routers[number - 1];
    if (found === undefined) throw new Error(`there is no router ${number} in a network of ${routers.length}`);
    return found;
  };
  let stopping: Promise<void> | undefined;
  return {
    name: claim.name,
    directory,
    segment,
    routers,
    router,
    openBridge: (number, signal) => openUnix(bridgePath(directory, router(number).name), signal),
    reservedKeys: (number, key) => {
      const found = plans[number - 1]?.tunnels.find((tunnel) => tunnel.name === `reserved${key}`);
      if (found === undefined) throw new Error(`router ${number} has no reserved key ${key}`);
      return found.keys;
    },
    slowCables,
    plug: (number, connected) => segment.plug(router(number).name, connected),
    stop: () => {
      stopping ??= dismantle().finally(() => claim.release());
      return stopping;
    },
  };
}

function sideOf(network: I2pNetwork, number: number): Side {
  return { open: (stop) => network.openBridge(number, stop), keys: network.reservedKeys(number, 0) };
}

/** Every destination that the routers keep must be known to an edge router that is not its own. */
async function untilAllFound(network: I2pNetwork, plans: Parts['plans'], signal: AbortSignal): Promise<void> {
  const waits = plans.flatMap(({ tunnels }, index) =>
    tunnels
      // READY has spent the first reserved key, and its destination is gone; that of a proxy is never published.
      .filter(({ name, kind }) => name !== SPENT_KEY && kind !== 'socks')
      .map(({ keys }) => {
        const asker = index === 0 ? 2 : 1;
        const name = `${keys.destination.b32}.b32.i2p`;
        return untilNameFound((stop) => network.openBridge(asker, stop), name, READY_MS, signal);
      }),
  );
  await Promise.all(waits);
}

function bridgePath(directory: string, router: string): string {
  return join(directory, `${router}.sam`);
}

const openUnix = (path: string, signal: AbortSignal): ReturnType<OpenBridge> =>
  new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const socket = connect({ path });
    const onAbort = () => socket.destroy(new Error('connecting to the SAM bridge took too long'));
    signal.addEventListener('abort', onAbort, { once: true });
    socket.once('error', reject);
    socket.once('connect', () => {
      signal.removeEventListener('abort', onAbort);
      socket.off('error', reject);
      socket.on('error', () => {}); // Whoever reads next sees the socket closed.
      resolve(socket);
    });
  });

async function untilListening(network: I2pNetwork, signal: AbortSignal): Promise<void> {
  for (const [index, router] of network.routers.entries()) {
    const open = (stop: AbortSignal) => network.openBridge(index + 1, stop);
    const inVain = () => (router.alive() ? undefined : `${router.name} has died`);
    await untilBridgeAnswers(open, LISTENING_MS, signal, inVain);
  }
}

/** Runs `work` with a signal that aborts when a router dies meanwhile, since waiting for the others has no use then. */
async function withLivingRouters(
  routers: readonly Router[],
  signal: AbortSignal,
  work: (alive: AbortSignal) => Promise<void>,
): Promise<void> {
  const death = new AbortController();
  const watch = setInterval(() => {
    const dead = routers.find((router) => !router.alive());
    if (dead !== undefined) death.abort(new Error(`${dead.name} has died`));
  }, 250);
  try {
    await work(AbortSignal.any([signal, death.signal]));
  } catch (error) {
    throw death.signal.aborted ? death.signal.reason : error;
  } finally {
    clearInterval(watch);
  }
}

/**
 * The whole lab: the network, a stranger's service on it, and two gateways on two routers that are each other's peer, with
 * a web server and echo servers behind them. Used by `npm run lab` and by the live tests.
 */

import type { ExpectedFile } from './checks.ts';
import { untilPingable } from './checks.ts';
import { messageOf } from './command.ts';
import { generateKeys } from './destination-keys.ts';
import { createGateway, type Gateway, type GatewayPlan } from './gateway.ts';
import { type I2pNetwork, type NetworkOptions, startNetwork } from './i2p-network.ts';
import { type Lan, lanPrefix, layLan } from './lan.ts';
import { describeMeasured, measureLine } from './line-measurement.ts';
import { describeLine, type LineShape } from './line-shape.ts';
import type { Progress } from './progress.ts';
import { openSession, type SamSession } from './sam-client.ts';
import { planStranger, type Stranger, startStranger } from './stranger.ts';
import type { WallClock } from './wall-clock.ts';
import { fileHash, LARGE_FILE, SMALL_FILE } from './web-server.ts';

export type LabOptions = {
  readonly signal: AbortSignal;
  readonly progress: Progress;
  /** 5 unless told. */
  readonly routers?: number;
  /** How the line between routers 1 and 2 is; as fast as this machine is unless told. */
  readonly line?: LineShape | undefined;
  /**
   * `fresh`: new destinations, as a person starts with; i2pd 2.45.1 takes 20 s for them. `reserved`: destinations whose
   * tunnels stand already.
   */
  readonly keys?: 'fresh' | 'reserved';
  /** More lines for the config files of both gateways. */
  readonly moreConfig?: string;
  /** What each gateway may reach at the other besides what the checks need, in the words of the config file. */
  readonly allow?: readonly string[];
  /** Clocks that can be set, for gateway a and its router. */
  readonly clocks?: HostClocks;
  /** Runs when a part did not come up, before everything is taken down. */
  readonly onFailure?: () => Promise<void>;
};

export interface HostClocks {
  readonly gateway: WallClock;
  readonly router: WallClock;
}

export interface Lab {
  readonly network: I2pNetwork;
  readonly stranger: Stranger;
  /** On router 1. */
  readonly a: Gateway;
  /** On router 2, with the web server behind it. */
  readonly b: Gateway;
  /** Behind each of them. */
  readonly lans: { readonly a: Lan; readonly b: Lan };
  /** A file of the web servers, of a size that fits the line. */
  readonly file: ExpectedFile;
  /** Between routers 1 and 2; undefined for as fast as this machine is. */
  readonly line: LineShape | undefined;
  /** Of router 1 as well, and without anything of garligate: what that does there, the routers can do. */
  readonly bare: SamSession;
  /** Removes all of it; idempotent. */
  stop(): Promise<void>;
}

export const WEB_PORT = 8080;
export const ECHO_PORT = 2222;
/** Behind it is the same web server, and no rule lets peers in. */
export const CLOSED_PORT = 8081;
const ALLOWED = ['icmp', `tcp/${WEB_PORT}`, `tcp/${ECHO_PORT}`, `udp/${ECHO_PORT}`];
/** For 120 s i2pd 2.45.1 may keep to an encrypted session that the other router does not know; a dial comes after it. */
const LINK_MS = 150_000;

/** @throws Error when a part does not come up; nothing is left then */
export async function startLab(options: LabOptions): Promise<Lab> {
  const { signal, progress, routers, line, keys = 'fresh', moreConfig, clocks, allow = [] } = options;
  const { onFailure = async () => {} } = options;
  const undo: (() => Promise<void>)[] = [];
  const stop = async () => {
    for (const step of undo.splice(0).reverse()) await step();
  };
  try {
    const plan = planStranger();
    const networkOptions: NetworkOptions = {
      signal,
      reservedKeys: keys === 'reserved' ? 2 : 1,
      ...plan.network,
      ...(routers !== undefined && { routers }),
      ...(line !== undefined && { line }),
      ...(clocks !== undefined && { clock: clocks.router }),
    };
    const network = await progress.step(
      'private I2P network of i2pd routers',
      (note) => startNetwork({ ...networkOptions, onProgress: note }),
      ({ routers: all, name }) => `${all.length} routers in namespaces ${name}-r1 to ${name}-r${all.length}`,
    );
    undo.push(() => network.stop());
    if (line !== undefined) {
      await progress.step(
        `a line with ${describeLine(line)}`,
        () => measureLine(network, line, signal),
        (measured) => `measured: ${describeMeasured(measured)}`,
      );
    }

    const stranger = await progress.step(
      "a stranger's web server in I2P",
      () => startStranger(network, plan),
      () => plan.bookName,
    );
    undo.push(() => stranger.stop());

    const bare = await openSession((stop) => network.openBridge(1, stop), network.reservedKeys(1, 1).base64, signal);
    undo.push(async () => bare.close());

    const [planOfA, planOfB] = planGateways(network, keys, { moreConfig, allow, clock: clocks?.gateway });
    const create = async (gatewayPlan: GatewayPlan) => {
      const gateway = await createGateway(network, gatewayPlan);
      undo.push(() => gateway.remove());
      return gateway;
    };
    const { a, b } = await progress.step('namespaces for two gateways', async () => ({
      a: await create(planOfA),
      b: await create(planOfB),
    }));
    const lans = await progress.step('a network with a host behind each', async () => ({
      a: await layLan(network.segment, a),
      b: await layLan(network.segment, b),
    }));
    const start = (gateway: Gateway, router: number) =>
      progress.step(
        `gateway ${gateway.name} on router ${router}`,
        () => gateway.start(signal),
        () => gateway.addresses.oc,
      );
    await allOrFirstFailure([start(a, planOfA.router), start(b, planOfB.router)]);
    await progress.step('the gateways reach each other', () => untilLinked(a, b, signal));
    await progress.step('servers behind the gateways', async () => {
      for (const gateway of [a, b]) await serveEcho(gateway);
      await serveWeb(b);
    });
    const file = line === undefined ? LARGE_FILE : SMALL_FILE;
    return { network, stranger, a, b, bare, lans, line, file: { ...file, sha256: fileHash(file) }, stop };
  } catch (error) {
    if (!signal.aborted) await onFailure();
    await stop();
    throw error;
  }
}

/** @throws Error with what each of them knows of the other */
async function untilLinked(a: Gateway, b: Gateway, signal: AbortSignal): Promise<void> {
  try {
    await untilPingable(a.namespace, b.addresses.oc, LINK_MS, signal);
  } catch (error) {
    signal.throwIfAborted();
    const shown = [a, b].map(async (gateway) => `gateway ${gateway.name}: ${await gateway.peersShown()}`);
    throw new Error([messageOf(error), ...(await Promise.all(shown))].join('\n'), { cause: error });
  }
}

/** On the address that the gateway has now. */
export async function serveEcho({ helper, addresses }: Gateway): Promise<void> {
  await helper.perform({ kind: 'serve-echo', host: addresses.oc, port: ECHO_PORT });
}

/** On the address that the gateway has now. */
export async function serveWeb({ helper, addresses }: Gateway): Promise<void> {
  for (const port of [WEB_PORT, CLOSED_PORT]) {
    await helper.perform({ kind: 'serve-web', host: addresses.oc, port });
  }
}

/** Bytes of a paced download of this name that the web server behind a gateway has handed over. */
export async function handedOver({ helper }: Gateway, name: string): Promise<number> {
  const [bytes = 0] = await helper.perform({ kind: 'handed-over', name });
  return bytes;
}

interface GatewayOptions {
  readonly moreConfig: string | undefined;
  readonly allow: readonly string[];
  readonly clock: WallClock | undefined;
}

function planGateways(
  network: I2pNetwork,
  keys: 'fresh' | 'reserved',
  { moreConfig, allow: moreAllowed, clock }: GatewayOptions,
): [GatewayPlan, GatewayPlan] {
  const keysOf = (router: number) => (keys === 'fresh' ? generateKeys() : network.reservedKeys(router, 2));
  const [ofA, ofB] = [keysOf(1), keysOf(2)];
  const more = moreConfig === undefined ? {} : { moreConfig };
  const allow = [...ALLOWED, ...moreAllowed];
  const [lanA, lanB] = [[lanPrefix('a')], [lanPrefix('b')]];
  const peerA = { name: 'a', destination: ofA.destination, allow, routes: lanA };
  const peerB = { name: 'b', destination: ofB.destination, allow, routes: lanB };
  return [
    {
      name: 'a',
      address: '198.18.101.1',
      router: 1,
      seenFrom: 2,
      keys: ofA,
      peers: [peerB],
      networks: lanA,
      clock,
      ...more,
    },
    { name: 'b', address: '198.18.102.1', router: 2, seenFrom: 1, keys: ofB, peers: [peerA], networks: lanB, ...more },
  ];
}

/** Like Promise.all, but returns only when nothing runs any more, so that cleaning up meets no work in progress. */
async function allOrFirstFailure(work: readonly Promise<unknown>[]): Promise<void> {
  const outcomes = await Promise.allSettled(work);
  const failure = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failure?.status === 'rejected') throw failure.reason;
}

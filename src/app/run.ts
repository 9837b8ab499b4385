/**
 * Brings a gateway up on this machine and keeps it until it is told to stop: the real ports for the composition, in an
 * order in which nothing can leak and a failure leaves nothing behind.
 */
import type { Config } from '../config/schema.ts';
import { createMethodRegistry } from '../control/methods.ts';
import type { StatusReport } from '../control/status.ts';
import type { ListenerPort } from '../core/ports.ts';
import { KEY_LINGERS_MS } from '../core/session/key-hold.ts';
import { systemClock } from '../io/clock.ts';
import { loadCredentials } from '../io/config-file.ts';
import { kernelConnector } from '../io/connector.ts';
import { ControlServer } from '../io/control-socket.ts';
import { forwardsIpv6 } from '../io/forwarding.ts';
import { listen } from '../io/listener.ts';
import { type AdjustableLogger, createPinoLogger } from '../io/log-pino.ts';
import { createRouter, usualSearchPath } from '../io/router.ts';
import { createServiceManager } from '../io/service-manager.ts';
import { STREAM_MARKS } from '../io/sockets.ts';
import { kernelUdp } from '../io/udp.ts';
import { abortError, type GateError } from '../kit/errors.ts';
import { addressesOf } from '../wire/i2p/address.ts';
import { banner } from './banner.ts';
import { exposureReport } from './exposure.ts';
import { createGateway } from './gateway.ts';
import { bringUpInterface, type GuardedInterface } from './interface.ts';
import { createInterfaceWatch } from './interface-watch.ts';
import { holdKeys } from './keys.ts';
import { configuredPeers } from './peers.ts';
import { Pinger } from './ping.ts';
import { carryOut, futureUser, planPrivileges, rightsStatus } from './privileges.ts';
import { Reloader, type ReloadParts } from './reload.ts';
import { statusReport } from './report.ts';
import { type UndoStep, withUndo } from './undo.ts';

export interface RunOptions {
  readonly config: Config;
  /** How it is read again. */
  readonly reading: Pick<ReloadParts, 'paths' | 'read'>;
  readonly version: string;
  /** Tells the operator what came up; a handful of lines, then nothing more. */
  readonly announce: (line: string) => void;
  /** With our own names and addresses: only where what is announced goes to somebody's eyes, and is not kept. */
  readonly revealed: boolean;
  /** Aborts when the gateway shall stop. */
  readonly signal: AbortSignal;
}

/** @throws GateError when it cannot come up, or when it loses something without which it cannot go on */
export async function runGateway(options: RunOptions): Promise<void> {
  const { config, signal } = options;
  const log = createPinoLogger(config.log.level);
  const reportUndo = ({ message, code }: GateError) => log.warn(`while ending: ${message}`, { code });
  await withUndo(reportUndo, async (remember) => {
    const undo = (step: UndoStep) => {
      remember(step);
      // Told to end in the middle of a start: what stands will be taken down, and nothing more is begun.
      signal.throwIfAborted();
    };
    const lost = await start(options, log, undo).catch((error: unknown) => {
      // Ctrl-C at a terminal also ends the programs that a start needs: that they failed is no failure then.
      throw signal.aborted ? abortError(signal, 'starting') : error;
    });
    await untilStopped(signal, lost);
  });
}

/** @returns a signal that aborts when the gateway cannot go on */
async function start(
  { config, reading, version, announce, revealed, signal }: RunOptions,
  log: AdjustableLogger,
  undo: (step: UndoStep) => void,
): Promise<AbortSignal> {
  const privileges = await planPrivileges(config, log);
  const keeper = futureUser(privileges);
  const { own: keys, named, created, unusedMs } = await holdKeys(config, undo);
  const keysHeldUntil = systemClock.now() + KEY_LINGERS_MS - unusedMs;
  const credentials = await loadCredentials(config.router);

  const own = addressesOf(keys.destination.b32);
  const peers = configuredPeers(config, own);
  const parts = { own, peers: peers.list(), clock: systemClock, log, undo };
  const { tun, firewall } = config.vpn.enabled ? await bringUpInterface(config, parts) : NO_INTERFACE;
  const listeners: ListenerPort[] = [];
  for (const socks of config.socks) {
    const listener = await listen(
      { endpoint: socks.listen, mode: socks.mode, owner: socks.owner, group: socks.group, keeper, ...STREAM_MARKS },
      { clock: systemClock, log },
    );
    listeners.push(listener);
    undo(() => listener.close());
  }
  const router = createRouter(config.router, {
    clock: systemClock,
    log,
    random: Math.random,
    gatewayUser: keeper,
    searchPath: usualSearchPath(),
    extraArguments: [],
  });
  undo(() => router.stop());
  await router.prepare();

  const lost = new AbortController();
  const gateway = createGateway(config, {
    bridge: router.bridge,
    credentials,
    keys,
    peers,
    identities: named,
    keysHeldUntil,
    tun,
    connector: kernelConnector,
    udp: kernelUdp,
    listeners,
    clock: systemClock,
    log,
    random: Math.random,
    onFatal: (error) => lost.abort(error),
    onNamePorts: () => void reloader.followNamePorts(),
  });
  const startedAt = systemClock.now();
  const watch = tun === undefined ? undefined : createInterfaceWatch(tun, systemClock, log);
  const status = async (): Promise<StatusReport> => {
    // Rules that were taken away a moment ago have no counters.
    const drops = (await firewall?.drops().catch(() => undefined)) ?? {};
    return statusReport({
      rights: await rightsStatus(),
      config,
      gateway,
      control: control.snapshot(),
      pinger,
      router: () => router.state(),
      tun,
      restored: watch?.restored ?? { count: 0, lastMs: undefined },
      firewall: firewall === undefined ? undefined : { port: firewall, drops },
      forwards: forwardsIpv6(),
      clock: systemClock,
      startedAt,
      version,
    });
  };
  const exposure = () => exposureReport({ own, networks: config.vpn.networks, peers: peers.list() }, tun, firewall);
  const reloader = new Reloader({ ...reading, config, privileges, gateway, tun, firewall, log });
  const pinger = new Pinger({ gateway, bridge: router.bridge, credentials, clock: systemClock });
  const control = new ControlServer({
    path: config.control.socket,
    mode: config.control.mode,
    keeper,
    methods: createMethodRegistry({
      status,
      exposure,
      ping: (peer, timeoutMs, gone) => pinger.ping(peer, timeoutMs, gone),
      reload: () => reloader.reload(),
    }),
    clock: systemClock,
    log,
  });
  await control.start();
  undo(() => control.stop());
  await carryOut(privileges, unixSockets(config), log);
  await router.start(signal);
  undo(() => gateway.stop());
  undo(() => reloader.stop());
  await gateway.start(signal);
  if (watch !== undefined) {
    undo(() => watch.stop());
    await watch.start(signal);
  }

  const up = { config, own: gateway.own, tun, listeners, router: router.state(), created };
  for (const line of banner(up, revealed)) announce(line);
  const manager = createServiceManager({ environment: process.env, clock: systemClock, log });
  undo(async () => manager.stopping());
  manager.ready();
  return lost.signal;
}

function unixSockets({ control, socks }: Config): readonly string[] {
  return [control.socket, ...socks.flatMap(({ listen: at }) => (at.kind === 'unix' ? [at.path] : []))];
}

const NO_INTERFACE: { readonly [Part in keyof GuardedInterface]: undefined } = { tun: undefined, firewall: undefined };

/** Resolves when the gateway shall stop. @throws GateError what it cannot go on without */
function untilStopped(signal: AbortSignal, lost: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = () => (lost.aborted ? reject(abortError(lost, 'running')) : resolve());
    if (signal.aborted || lost.aborted) return settle();
    signal.addEventListener('abort', settle, { once: true });
    lost.addEventListener('abort', settle, { once: true });
  });
}

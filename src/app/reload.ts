/**
 * Takes over a changed config file while the gateway runs: its peers, their rules, and how much is logged. All of it or
 * nothing: what would need a restart, or cannot be had, leaves everything as it was. Also has the rules of peers who ask
 * the gateway for names follow the ports on which it answers.
 */
import { type ConfigChanges, configChanges } from '../config/changes.ts';
import type { Config, DefaultPaths } from '../config/schema.ts';
import type { ReloadReport } from '../control/reload.ts';
import type { Peer, PeerPlan } from '../core/peers/table.ts';
import type { FirewallPort, TunPort } from '../core/ports.ts';
import type { AdjustableLogger } from '../io/log-pino.ts';
import { nameOf } from '../io/processes.ts';
import { asGateError, GateError } from '../kit/errors.ts';
import type { Gateway } from './gateway.ts';
import { firewallText, routesOf } from './interface.ts';
import { peerSettings } from './peers.ts';
import { missingCapabilities, type PrivilegePlan } from './privileges.ts';

export interface ReloadParts {
  /** As the gateway was started with. */
  readonly config: Config;
  readonly paths: DefaultPaths;
  /** What it kept of its rights. */
  readonly privileges: PrivilegePlan;
  /** Reads the file again. @throws GateError when it cannot be read, or is not right */
  readonly read: () => Promise<Config>;
  readonly gateway: Pick<Gateway, 'own' | 'peers' | 'changePeers' | 'namePorts'>;
  readonly tun: TunPort | undefined;
  readonly firewall: FirewallPort | undefined;
  readonly log: AdjustableLogger;
}

export class Reloader {
  readonly #parts: ReloadParts;
  #config: Config;
  #last: Promise<unknown> = Promise.resolve();
  /** Asked for, and not begun. */
  #next: Promise<ReloadReport> | undefined;
  #stopped = false;

  constructor(parts: ReloadParts) {
    this.#parts = parts;
    this.#config = parts.config;
  }

  /**
   * One at a time, and whoever asks while another one waits for that shares it: it reads the file after both have asked.
   * When it resolves, whoever was removed neither sends nor hears anything any more.
   *
   * @throws GateError and nothing is changed; `shutdown` once the gateway ends
   */
  reload(): Promise<ReloadReport> {
    this.#next ??= this.#afterLast();
    return this.#next;
  }

  /** The gateway answers OnionCats on other ports than before: their rules follow. Never rejects. */
  followNamePorts(): Promise<void> {
    return this.#inTurn(() => this.#follow()).catch((thrown) => {
      const { message, code } = asGateError(thrown, 'changing the rules of peers that ask for names');
      this.#parts.log.warn(
        `peers that ask for names have the rules of before: ${message}; \`garligate reload\` tries again`,
        {
          code,
        },
      );
    });
  }

  #afterLast(): Promise<ReloadReport> {
    return this.#inTurn(() => {
      this.#next = undefined;
      return this.#reload();
    });
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const next = this.#last.then(work);
    this.#last = next.catch(() => {});
    return next;
  }

  /** From now on nothing is taken over any more: resolves when the one under way is done, and the gateway may end. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#last;
  }

  async #reload(): Promise<ReloadReport> {
    if (this.#stopped) throw new GateError('shutdown', 'shutdown', 'nothing was changed: the gateway is ending');
    const { paths, privileges, read, gateway, log } = this.#parts;
    const wanted = await read().catch(explainUnreadable);
    const changes = configChanges(this.#config, wanted, paths);
    demandTakeable(changes, missingCapabilities(privileges, wanted));
    const plan = gateway.peers.plan(peerSettings(wanted, gateway.namePorts()));
    const before = gateway.peers.list();
    const hasChanged = plan.added.length + plan.removed.length + plan.regulated.length > 0;
    if (hasChanged) await this.#carryOut(plan, before);
    log.setLevel(wanted.log.level);
    this.#config = wanted;
    log.info('the config file was taken over', { keys: changes.live.length });
    const { added, removed, regulated } = plan;
    return {
      schema: 1,
      keys: [...changes.live],
      added: named(added),
      removed: named(removed),
      regulated: named(regulated),
    };
  }

  async #follow(): Promise<void> {
    const { gateway } = this.#parts;
    if (this.#stopped) return;
    const plan = gateway.peers.plan(peerSettings(this.#config, gateway.namePorts()));
    if (plan.regulated.length > 0) await this.#carryOut(plan, gateway.peers.list());
  }

  /** Rules first, so that nobody who comes meets an open host; routes last but one, so that nobody who goes leaves a hole. */
  async #carryOut(plan: PeerPlan, before: readonly Peer[]): Promise<void> {
    const { gateway, tun, firewall } = this.#parts;
    const rules = (peers: readonly Peer[]) => firewallText(this.#config, gateway.own.addresses, peers);
    const former = rules(before);
    await firewall?.replace(rules(plan.outcome));
    try {
      tun?.route(routesOf(plan.outcome));
    } catch (error) {
      await firewall?.replace(former);
      throw error;
    }
    await gateway.changePeers(plan);
  }
}

/** Whoever gave up root may not read root's file any more. @throws GateError */
async function explainUnreadable(error: unknown): Promise<never> {
  const why = asGateError(error, 'reading the config file');
  if (why.kind !== 'permission') throw why;
  const user = await nameOf(process.geteuid?.() ?? 0);
  throw new GateError(
    'permission',
    'reload.unreadable',
    `nothing was changed: ${why.message}. The gateway runs as ${user ?? 'another user'}: let that group read the file ` +
      `(chgrp ${user ?? 'GROUP'} FILE; chmod 640 FILE), and reload again; or restart`,
    { cause: why },
  );
}

function named(peers: readonly Peer[]): string[] {
  return peers.map(({ name }) => name);
}

/** @throws GateError `config` when a running gateway cannot have it */
function demandTakeable({ needRestart }: ConfigChanges, missing: readonly string[]): void {
  if (needRestart.length > 0) {
    throw new GateError(
      'config',
      'reload.needs-restart',
      `nothing was changed: ${needRestart.join(', ')} can only change with a restart`,
    );
  }
  if (missing.length === 0) return;
  throw new GateError(
    'config',
    'reload.needs-rights',
    `nothing was changed: the first peer with compat = "onioncat4" takes ${missing.join(' ')}, which was not kept at the ` +
      'start; restart, or set vpn.dns = "off"',
  );
}

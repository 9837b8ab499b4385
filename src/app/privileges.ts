/**
 * Which rights the gateway keeps: decided from the config and from who has started it, before anything is brought up, and
 * carried out when everything stands that needs more. A gateway that cannot give up what it should does not go on.
 */
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Config } from '../config/schema.ts';
import type { StatusReport } from '../control/status.ts';
import { findUser, nameOf, type UserIds } from '../io/processes.ts';
import { type Capability, currentRights, forbidCoreDumps, giveUpRights, type Rights } from '../io/rights.ts';
import { asGateError, GateError } from '../kit/errors.ts';
import type { Logger } from '../kit/log.ts';

export type PrivilegePlan =
  /** Started as root, and told to stay it. */
  | { readonly kind: 'stay-root' }
  /** Started as root. */
  | { readonly kind: 'become'; readonly user: UserIds; readonly name: string; readonly keep: readonly Capability[] }
  /** Started as somebody else. */
  | { readonly kind: 'stay'; readonly keep: readonly Capability[] };

/** The value of `privileges.user` with which a gateway that root has started stays root. */
const ROOT = 'root';

/**
 * @param uid effective user id of this process
 * @param named the user of the config, undefined when there is none of this name
 * @throws GateError `permission` when there is no user to become
 */
export function privilegePlan(config: Config, uid: number, named: UserIds | undefined): PrivilegePlan {
  const { user: name } = config.privileges;
  const keep = neededCapabilities(config);
  if (uid !== 0) return { kind: 'stay', keep };
  if (name === ROOT) return { kind: 'stay-root' };
  if (named !== undefined && named.uid !== 0) return { kind: 'become', user: named, name, keep };
  const what = named === undefined ? 'there is no such user' : 'that is root by another name';
  throw new GateError(
    'permission',
    'privileges.no-user',
    `garligate was started as root and is to become the user "${name}", but ${what}. Make one: useradd --system ` +
      `--no-create-home --shell /usr/sbin/nologin ${name}; or name another one in [privileges] user, where "root" lets it stay root`,
  );
}

/** What the gateway cannot do without once everything stands. */
export function neededCapabilities({ vpn, peer }: Config): readonly Capability[] {
  if (!vpn.enabled) return [];
  // UDP 53 is tried again while another program has it.
  const answersNames = vpn.dns !== 'off' && peer.some(({ compat }) => compat === 'onioncat4');
  return answersNames ? ['CAP_NET_ADMIN', 'CAP_NET_BIND_SERVICE'] : ['CAP_NET_ADMIN'];
}

/** What this config takes besides what was kept by the plan that was carried out. */
export function missingCapabilities(plan: PrivilegePlan, config: Config): readonly Capability[] {
  return plan.kind === 'stay-root' ? [] : neededCapabilities(config).filter((one) => !plan.keep.includes(one));
}

/** What this process would do. @throws GateError `permission` when there is no user to become */
export async function foreseePrivileges(config: Config): Promise<PrivilegePlan> {
  return privilegePlan(config, process.geteuid?.() ?? 0, await findUser([config.privileges.user]));
}

/** To be called first, before a key is read. @throws GateError `permission` when there is no user to become */
export async function planPrivileges(config: Config, log: Logger): Promise<PrivilegePlan> {
  const plan = await foreseePrivileges(config);
  try {
    forbidCoreDumps();
  } catch (error) {
    if (plan.kind === 'become') throw asGateError(error, 'preparing to give up root');
    // SOCKS alone goes without the native part.
    log.debug(`core dumps are not forbidden: ${asGateError(error, 'forbidding core dumps').message}`);
  }
  return plan;
}

/** Whom the gateway becomes; undefined when it stays who it is. */
export function futureUser(plan: PrivilegePlan): UserIds | undefined {
  return plan.kind === 'become' ? plan.user : undefined;
}

/**
 * Everything stands: from here on the gateway has no more rights than it needs.
 *
 * @param sockets paths of the unix sockets that it listens at
 * @throws GateError `permission` when it would have more
 */
export async function carryOut(plan: PrivilegePlan, sockets: readonly string[], log: Logger): Promise<void> {
  switch (plan.kind) {
    case 'stay-root':
      log.warn('the gateway stays root, as [privileges] user = "root" says', { code: 'privileges.root' });
      return;
    case 'become':
      giveUpRights(plan.user, plan.keep);
      demandGivenUp(plan, await currentRights());
      await warnOfSocketsThatStay(sockets, plan.name, log);
      return;
    case 'stay':
      try {
        giveUpRights(undefined, plan.keep);
      } catch (error) {
        // Nothing is lost that was had: without rights, and without the native part, there is little to give up.
        log.debug(asGateError(error, 'giving up rights').message);
      }
      warnOfSurplus(plan.keep, await currentRights(), log);
      return;
    default:
      plan satisfies never;
  }
}

/** What was asked of the kernel is not taken for done. */
export function demandGivenUp(
  { user, keep }: { readonly user: UserIds; readonly keep: readonly Capability[] },
  { uid, capabilities, mixed, noNewPrivileges }: Rights,
): void {
  const surplus = capabilities.filter((held) => !keep.some((wanted) => wanted === held));
  if (uid === user.uid && !mixed && surplus.length === 0 && noNewPrivileges) return;
  throw new GateError(
    'permission',
    'privileges.not-given-up',
    `the kernel did not take all rights from this process (user ${uid}, ${surplus.join(' ') || 'no capability too many'}), ` +
      'so garligate does not go on. Please report this; [privileges] user = "root" starts it as it is',
    { facts: { uid, mixed, noNewPrivileges } },
  );
}

export async function rightsStatus(): Promise<StatusReport['rights']> {
  const { uid, capabilities, noNewPrivileges } = await currentRights();
  return { user: (await nameOf(uid)) ?? String(uid), capabilities: [...capabilities], noNewPrivileges };
}

/** Threads that were started with a capability keep it, whoever has given it to them. */
function warnOfSurplus(keep: readonly Capability[], { capabilities }: Rights, log: Logger): void {
  const surplus = capabilities.filter((held) => !keep.some((wanted) => wanted === held));
  if (surplus.length === 0) return;
  const text = `started with rights that this config has no use for (${surplus.join(' ')}); take them from whoever starts it`;
  log.warn(text, { code: 'privileges.surplus' });
}

async function warnOfSocketsThatStay(sockets: readonly string[], name: string, log: Logger): Promise<void> {
  for (const directory of new Set(sockets.map(dirname))) {
    const isWritable = await access(directory, constants.W_OK | constants.X_OK).then(
      () => true,
      () => false,
    );
    if (isWritable) continue;
    const text = `${name} may not write to ${directory}: a dead socket stays there at the end, and the next start replaces it`;
    log.warn(text, { code: 'privileges.socket-stays' });
  }
}

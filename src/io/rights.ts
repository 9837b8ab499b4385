/**
 * What this process may do: read out of /proc, where the kernel tells the truth of every thread, and given up for good.
 * Decides nothing.
 */
import { readdir, readFile } from 'node:fs/promises';
import { asGateError, GateError } from '../kit/errors.ts';
import { loadNative, type NativeAddon } from './native.ts';
import type { UserIds } from './processes.ts';

/** The capabilities that the gateway has a use for, with their numbers (capabilities(7)). */
export const CAPABILITIES = { CAP_NET_BIND_SERVICE: 10, CAP_NET_ADMIN: 12 } as const;
export type Capability = keyof typeof CAPABILITIES;

/** Of all threads together. */
export interface Rights {
  /** Effective. */
  readonly uid: number;
  /** Effective or permitted, in any thread; those that we have no use for by their number, as `CAP_21`. */
  readonly capabilities: readonly string[];
  /** No program that is started can have more, in every thread. */
  readonly noNewPrivileges: boolean;
  /** Do the real, saved and file system ids of a thread differ from the effective ones, or is it in further groups? */
  readonly mixed: boolean;
}

/** @throws GateError `local-io` where /proc does not tell */
export async function currentRights(): Promise<Rights> {
  try {
    const threads = await readdir('/proc/self/task');
    const texts = await Promise.all(
      // A thread may end meanwhile.
      threads.map((thread) => readFile(`/proc/self/task/${thread}/status`, 'latin1').catch(() => '')),
    );
    return parseRights(texts.filter((text) => text !== ''));
  } catch (error) {
    throw asGateError(error, 'reading in /proc what this process may do');
  }
}

/** @param statuses of all threads, as proc(5) has them */
export function parseRights(statuses: readonly string[]): Rights {
  const threads = statuses.map(
    (status) => new Map([...status.matchAll(/^(\w+):[\t ]*(.*)$/gm)].map(([, k, v]) => [k, v])),
  );
  const numbers = (key: string) => threads.flatMap((thread) => (thread.get(key) ?? '').split(/\s+/)).filter(Boolean);
  const uids = new Set(numbers('Uid'));
  const [uid] = uids;
  if (uid === undefined) throw new GateError('local-io', 'rights.unreadable', '/proc does not say who we are');
  const held = [...numbers('CapEff'), ...numbers('CapPrm')].reduce((all, set) => all | BigInt(`0x${set}`), 0n);
  return {
    uid: Number(uid),
    capabilities: capabilityNames(held),
    noNewPrivileges: threads.every((thread) => thread.get('NoNewPrivs') === '1'),
    mixed: uids.size > 1 || new Set(numbers('Gid')).size > 1 || numbers('Groups').length > 0,
  };
}

function capabilityNames(set: bigint): readonly string[] {
  const known = new Map<number, string>(Object.entries(CAPABILITIES).map(([name, number]) => [number, name]));
  const names: string[] = [];
  for (let number = 0; set >> BigInt(number) !== 0n; number += 1) {
    if ((set >> BigInt(number)) & 1n) names.push(known.get(number) ?? `CAP_${number}`);
  }
  return names;
}

/**
 * Becomes this user and keeps only these capabilities, for good. When it throws, the process can only end.
 *
 * @param user ourselves when undefined
 * @throws GateError `permission`, or why there is no native part
 */
export function giveUpRights(
  user: UserIds | undefined,
  keep: readonly Capability[],
  native: NativeAddon = loadNative(),
): void {
  const { uid, gid } = user ?? { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 };
  const mask = keep.reduce((all, capability) => all | (1 << CAPABILITIES[capability]), 0);
  try {
    native.giveUpRights(uid, gid, mask);
    native.forbidCoreDumps();
  } catch (error) {
    const { message } = asGateError(error, 'giving up rights');
    throw new GateError(
      'permission',
      'privileges.failed',
      `garligate cannot become user ${uid} and give up its rights here (${message}), and does not go on with them. In a ` +
        'user namespace that knows no such user, or in a container without CAP_SETUID and CAP_SETGID, start it as ' +
        'another user than root, or set [privileges] user = "root"',
      { cause: error },
    );
  }
}

/** Keeps keys out of core dumps and from the eyes of debuggers. @throws GateError when there is no native part */
export function forbidCoreDumps(native: NativeAddon = loadNative()): void {
  try {
    native.forbidCoreDumps();
  } catch (error) {
    throw asGateError(error, 'forbidding core dumps');
  }
}

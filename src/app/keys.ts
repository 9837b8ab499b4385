/**
 * The private keys of a gateway, its own and those of its named identities: held for as long as it runs, or only looked at.
 * No two of them are the same, since two sessions on one key break each other.
 */
import type { Config } from '../config/schema.ts';
import { type KeyLock, loadOrCreateKeys, lockKeys, readIfThere, sameKeys } from '../io/key-file.ts';
import type { PrivateKeys } from '../wire/i2p/destination.ts';
import type { UndoStep } from './undo.ts';

/** @typeParam Key what is known of a key file */
export interface GatewayKeys<Key> {
  readonly own: Key;
  /** Of the identities that have a key file. */
  readonly named: ReadonlyMap<string, Key>;
}

export interface HeldKeys extends GatewayKeys<PrivateKeys>, Pick<KeyLock, 'unusedMs'> {
  /** Was its own made just now? */
  readonly created: boolean;
}

/**
 * Makes those that are missing. No other gateway can use any of them from now on until the end.
 *
 * @returns `unusedMs` of the one that was in use last
 * @throws GateError with a code `identity.*`
 */
export async function holdKeys(config: Config, undo: (step: UndoStep) => void): Promise<HeldKeys> {
  const made = new Set<PrivateKeys>();
  let unusedMs = Number.POSITIVE_INFINITY;
  const { own, named } = await eachKey(config, async (path) => {
    const { keys, created } = await loadOrCreateKeys(path);
    if (created) made.add(keys);
    const lock = await lockKeys(path);
    undo(() => lock.release());
    unusedMs = Math.min(unusedMs, lock.unusedMs);
    return keys;
  });
  return { own, named, created: made.has(own), unusedMs };
}

/**
 * Changes nothing: a key that is missing is undefined.
 *
 * @throws GateError with a code `identity.*`
 */
export function lookAtKeys(config: Config): Promise<GatewayKeys<PrivateKeys | undefined>> {
  return eachKey(config, readIfThere);
}

/** One after the other, the gateway's own first. @throws GateError of `take`, or `identity.same` */
async function eachKey<Key extends PrivateKeys | undefined>(
  { identity, identities }: Config,
  take: (path: string) => Promise<Key>,
): Promise<GatewayKeys<Key>> {
  const known = new Set<string>();
  const differing = async (path: string) => {
    const key = await take(path);
    if (key === undefined) return key;
    const { b32 } = key.destination;
    if (known.has(b32)) throw sameKeys(path);
    known.add(b32);
    return key;
  };
  const own = await differing(identity.key_file);
  const named = new Map<string, Key>();
  for (const [name, { key_file }] of Object.entries(identities)) {
    if (key_file !== '') named.set(name, await differing(key_file));
  }
  return { own, named };
}

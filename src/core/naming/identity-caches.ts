/**
 * What is remembered for those who ask, for each apart (docs/adr/0011): nobody finds out what another has asked, nor makes
 * it forgotten by asking much.
 */
import { ExpiringCache } from '../../kit/cache.ts';
import { keyText, type SessionKey } from '../session/key.ts';

/** Identities for which something is remembered; the one that has not asked for longest makes room. */
const MOST_IDENTITIES = 64;
/** What is remembered for one of them; the oldest makes room. */
const MOST_PER_IDENTITY = 128;

export class IdentityCaches<Value> {
  /** By who asks, the one that has not asked for longest first. */
  readonly #caches = new Map<string, ExpiringCache<Value>>();

  /** Undefined for somebody for whom nothing is remembered. */
  find(asker: SessionKey): ExpiringCache<Value> | undefined {
    const who = keyText(asker);
    const cache = this.#caches.get(who);
    if (cache === undefined) return undefined;
    this.#caches.delete(who);
    this.#caches.set(who, cache);
    return cache;
  }

  of(asker: SessionKey): ExpiringCache<Value> {
    const known = this.find(asker);
    if (known !== undefined) return known;
    const [longestSilent] = this.#caches.keys();
    if (this.#caches.size >= MOST_IDENTITIES && longestSilent !== undefined) this.#caches.delete(longestSilent);
    const cache = new ExpiringCache<Value>(MOST_PER_IDENTITY);
    this.#caches.set(keyText(asker), cache);
    return cache;
  }

  deleteWhere(isGone: (value: Value) => boolean): void {
    for (const cache of this.#caches.values()) cache.deleteWhere(isGone);
  }
}

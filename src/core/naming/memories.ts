/**
 * What is remembered for those who ask, for each apart (docs/adr/0011): nobody finds out what another has asked, nor makes
 * it forgotten by asking much.
 */
import { ExpiringCache } from '../../kit/cache.ts';
import { keyText, type SessionKey } from '../session/key.ts';

/** Identities for which something is remembered; the one that has not asked for longest makes room. */
const MEMORIES = 64;
/** What is remembered for one of them; the oldest makes room. */
const IN_MEMORY = 128;

export class Memories<Value> {
  /** By who asks, the one that has not asked for longest first. */
  readonly #memories = new Map<string, ExpiringCache<Value>>();

  /** Undefined for somebody for whom nothing is remembered. */
  find(asker: SessionKey): ExpiringCache<Value> | undefined {
    const who = keyText(asker);
    const memory = this.#memories.get(who);
    if (memory === undefined) return undefined;
    this.#memories.delete(who);
    this.#memories.set(who, memory);
    return memory;
  }

  of(asker: SessionKey): ExpiringCache<Value> {
    const known = this.find(asker);
    if (known !== undefined) return known;
    const [longestSilent] = this.#memories.keys();
    if (this.#memories.size >= MEMORIES && longestSilent !== undefined) this.#memories.delete(longestSilent);
    const memory = new ExpiringCache<Value>(IN_MEMORY);
    this.#memories.set(keyText(asker), memory);
    return memory;
  }

  deleteWhere(isGone: (value: Value) => boolean): void {
    for (const memory of this.#memories.values()) memory.deleteWhere(isGone);
  }
}

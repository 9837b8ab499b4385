/**
 * The firewall in the kernel: loads the rules, sees to it that they stay, and takes them away at the end. When the
 * process dies without a word they stay, and keep the addresses of the VPN from going astray until the next start.
 */
import { FAMILY, FIREWALL_DROPS, nftRemoval, TABLE } from '../core/firewall/nft-text.ts';
import type { FirewallPort, FirewallState } from '../core/ports.ts';
import type { Clock, Timer } from '../kit/clock.ts';
import { asGateError, GateError } from '../kit/errors.ts';
import type { Logger } from '../kit/log.ts';
import type { Service } from '../kit/service.ts';
import { loadNative, type NativeAddon } from './native.ts';
import { findNft, type Nft } from './nft-program.ts';

export interface FirewallParts {
  /** The whole table at first, as text for nft. */
  readonly rules: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** Where to look for nft, as in the environment variable PATH. */
  readonly searchPath: string;
}

/**
 * The kernel counts every change of anybody's rules, and telling that number costs one short question: so it is asked
 * often, and nft only when it has changed.
 */
const LOOK_MS = 1_000;

export class NftFirewall implements Service, FirewallPort {
  readonly #parts: FirewallParts;
  #rules: string;
  #nft: Nft | undefined;
  #native: NativeAddon | undefined;
  /** How nft lists our table when it is as it should be. */
  #listing = '';
  /** Of all rules in the kernel, when ours were last seen to stand. */
  #generation = 0;
  #state: FirewallState = { kind: 'on' };
  #restored: { readonly count: number; readonly lastMs: number | undefined } = { count: 0, lastMs: undefined };
  #timer: Timer | undefined;
  /** The last of all uses of nft that change something or look after it; settles, and never rejects. */
  #last: Promise<unknown> = Promise.resolve();
  #loaded = false;
  #stopped = false;

  constructor(parts: FirewallParts) {
    this.#parts = parts;
    this.#rules = parts.rules;
  }

  get restored(): { readonly count: number; readonly lastMs: number | undefined } {
    return this.#restored;
  }

  /** @throws GateError `unsupported` without nftables, `permission` or `local-io` when the rules cannot be loaded */
  async start(): Promise<void> {
    const { clock, searchPath } = this.#parts;
    this.#nft = await findNft(searchPath, clock);
    if (this.#nft === undefined) {
      throw new GateError(
        'unsupported',
        'firewall.no-nftables',
        'the program nft is not here, so peers cannot be kept from the services of this host. Install it (Debian: apt-get ' +
          'install nftables), or set [firewall] enabled = false if peers may reach everything that listens here',
      );
    }
    this.#native = loadNative();
    await this.#load(this.#nft, this.#rules);
    this.#lookLater();
  }

  /** @throws GateError also `shutdown`, once it was told to end */
  replace(rules: string): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#nft === undefined || this.#stopped) {
        throw new GateError('shutdown', 'shutdown', 'the firewall is ending; its rules are not replaced any more');
      }
      try {
        await this.#load(this.#nft, rules);
        this.#rules = rules;
        this.#state = { kind: 'on' };
      } finally {
        this.#lookLater();
      }
    });
  }

  /** Takes the rules away. Idempotent. @throws GateError when they stay */
  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#timer?.cancel();
    // Only behind what is under way: it would load them again.
    await this.#inTurn(async () => {
      if (this.#loaded) await this.#nft?.(['-f', '-'], nftRemoval());
    });
  }

  state(): FirewallState {
    return this.#state;
  }

  async drops(): Promise<Readonly<Record<string, number>>> {
    const counts: Record<string, number> = Object.fromEntries(FIREWALL_DROPS.map((name) => [name, 0]));
    const listed = (await this.#nft?.(['list', 'counters', 'table', FAMILY, TABLE])) ?? '';
    for (const [, name = '', packets] of listed.matchAll(/counter (\w+) \{\s*packets (\d+)/g)) {
      if (name in counts) counts[name] = Number(packets);
    }
    return counts;
  }

  async #load(nft: Nft, rules: string): Promise<void> {
    await nft(['-f', '-'], rules);
    this.#loaded = true;
    // Read before the list: a change that comes between the two is then seen at the next look.
    const generation = this.#native?.rulesetGeneration() ?? 0;
    this.#listing = await list(nft);
    this.#generation = generation;
  }

  /** One at a time, in order: two that load rules at once would end with either's. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(work);
    this.#last = done.catch(() => {});
    return done;
  }

  #lookLater(): void {
    this.#timer?.cancel();
    if (this.#stopped) return;
    this.#timer = this.#parts.clock.after(LOOK_MS, () => {
      void this.#inTurn(async () => {
        if (!this.#stopped) await this.#look();
        this.#lookLater();
      });
    });
  }

  /** Never throws. */
  async #look(): Promise<void> {
    const { clock, log } = this.#parts;
    const nft = this.#nft;
    try {
      const generation = this.#native?.rulesetGeneration() ?? 0;
      if (nft === undefined || (generation === this.#generation && this.#state.kind === 'on')) return;
      // Without our table there is nothing to list.
      const listed = await list(nft).catch(() => '');
      if (listed === this.#listing) this.#generation = generation;
      else {
        await this.#load(nft, this.#rules);
        this.#restored = { count: this.#restored.count + 1, lastMs: clock.now() };
        log.warn('somebody changed the rules of the firewall; they have been put back', {
          count: this.#restored.count,
        });
      }
      this.#state = { kind: 'on' };
    } catch (error) {
      const why = asGateError(error, 'putting the rules of the firewall back');
      if (this.#state.kind === 'on') {
        log.error(`the firewall is open: ${why.message}`, { code: why.code });
        this.#state = { kind: 'broken', why, sinceMs: clock.now() };
      }
    }
  }
}

/**
 * For a gateway without firewall: takes away what one with it left behind when it died, which would go on denying. On a
 * host that root has prepared for a user without rights, the rules are root's affair.
 *
 * @throws GateError
 */
export async function removeLeftRules(searchPath: string, clock: Clock): Promise<void> {
  const nft = await findNft(searchPath, clock);
  const tables = await nft?.(['list', 'tables', FAMILY]).catch((error: unknown) => {
    if (asGateError(error, 'looking for rules').kind === 'permission') return undefined;
    throw error;
  });
  if (tables === undefined) return;
  if (tables.split('\n').includes(`table ${FAMILY} ${TABLE}`)) await nft?.(['-f', '-'], nftRemoval());
}

/** The rules without the counts. */
function list(nft: Nft): Promise<string> {
  return nft(['--stateless', 'list', 'table', FAMILY, TABLE]);
}

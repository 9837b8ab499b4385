/**
 * Host names under .i2p to destinations: by the aliases of the config, else by the router's address book. Remembers its
 * answers for a while, and asks once however many want the same name. Never asks anybody but the router.
 *
 * What one identity has asked is no help to another (docs/adr/0011): each has a cache of its own, so that none can find
 * out by the time an answer takes what another one looks up.
 */

import { createSharedController, unlessAborted } from '../../kit/abort.ts';
import type { ExpiringCache } from '../../kit/cache.ts';
import { type Clock, within } from '../../kit/clock.ts';
import { asGateError, GateError } from '../../kit/errors.ts';
import type { Service } from '../../kit/service.ts';
import { Shares, type SharesSnapshot } from '../../kit/shares.ts';
import type { NamedDestination } from '../../wire/i2p/destination.ts';
import type { SamCredentials } from '../../wire/sam/command.ts';
import { lookupName } from '../../wire/sam/conversation.ts';
import type { BridgePort } from '../ports.ts';
import { converse } from '../session/bridge.ts';
import { keyText, type SessionKey } from '../session/key.ts';
import { IdentityCaches } from './identity-caches.ts';

export interface Resolver extends Service {
  /**
   * @param host in lower case, without a dot at its end
   * @param asker who asks: the answer is remembered for no other, and of the questions under way each has a share
   * @throws GateError `name-unknown`, `router-*`, `limit`, or the abort of the signal
   */
  resolve(host: string, asker: SessionKey, signal: AbortSignal): Promise<NamedDestination>;
  /** A router that has started again may know by now what it did not know. */
  forgetUnknown(): void;
  /** Questions under way. */
  lookups(): SharesSnapshot;
}

export interface ResolverOptions {
  readonly bridge: BridgePort;
  readonly clock: Clock;
  readonly credentials: SamCredentials | undefined;
  /** These names the router is never asked for. */
  readonly aliases: ReadonlyMap<string, NamedDestination>;
  /** How long a name that the router knew is remembered. Milliseconds. */
  readonly knownMs: number;
  /** The same for one that it did not know. */
  readonly unknownMs: number;
}

/** A router reads a file for this, but may be busy with other things. */
const LOOKUP_DEADLINE_MS = 45_000;
const LOOKUPS_AT_ONCE = 128;

type Answer =
  | { readonly kind: 'known'; readonly destination: NamedDestination }
  | { readonly kind: 'unknown'; readonly why: Pick<GateError, 'kind' | 'code' | 'message'> };

/** What is remembered is small, so an error is kept without its stack and made again for each who asks. */
export function createResolver(options: ResolverOptions): Resolver {
  const { bridge, clock, credentials } = options;
  const caches = new IdentityCaches<Answer>();
  const underWay = new Map<string, Promise<Answer>>();
  const shares = new Shares(LOOKUPS_AT_ONCE);
  const stopping = createSharedController();

  const ask = async (host: string, cache: ExpiringCache<Answer>): Promise<Answer> => {
    const late = new GateError(
      'router-refused',
      'sam.naming-late',
      'the router did not answer the name lookup in time',
    );
    try {
      const destination = await within(clock, LOOKUP_DEADLINE_MS, late, stopping.signal, async (limit) => {
        const { stream, out } = await converse(bridge, lookupName(host, credentials), 'looking a name up', limit);
        stream.destroy();
        return out;
      });
      cache.set(host, { kind: 'known', destination }, clock.now() + options.knownMs);
      return { kind: 'known', destination };
    } catch (error) {
      const { kind, code, message } = asGateError(error, 'looking a name up');
      const answer: Answer = { kind: 'unknown', why: { kind, code, message } };
      // Trouble with the router says nothing about the name.
      if (kind === 'name-unknown') cache.set(host, answer, clock.now() + options.unknownMs);
      return answer;
    }
  };

  const askOnce = (host: string, who: string, cache: ExpiringCache<Answer>): Promise<Answer> => {
    const question = `${who} ${host}`;
    const asked = underWay.get(question);
    if (asked !== undefined) return asked;
    const giveBack = shares.take(who);
    if (giveBack === undefined) {
      const message = 'as many name lookups are under way as may be, in all or for this one client; try again';
      return Promise.reject(new GateError('limit', 'naming.limit', message));
    }
    const asking = ask(host, cache).finally(() => {
      underWay.delete(question);
      giveBack();
    });
    underWay.set(question, asking);
    return asking;
  };

  return {
    start: async () => {},
    stop: async () => {
      stopping.abort(new GateError('shutdown', 'shutdown', 'the gateway is stopping'));
      await Promise.all(underWay.values());
    },
    resolve: async (host, asker, signal) => {
      const alias = options.aliases.get(host);
      if (alias !== undefined) return alias;
      const who = keyText(asker);
      const cache = caches.of(asker);
      // One caller giving up must not end the lookup for the others.
      const answer =
        cache.get(host, clock.now()) ?? (await unlessAborted(askOnce(host, who, cache), signal, 'looking a name up'));
      if (answer.kind === 'unknown') throw new GateError(answer.why.kind, answer.why.code, answer.why.message);
      return answer.destination;
    },
    forgetUnknown: () => caches.deleteWhere(({ kind }) => kind === 'unknown'),
    lookups: () => shares.snapshot(),
  };
}

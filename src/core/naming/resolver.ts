/**
 * Host names under .i2p to destinations, by the router's address book. Remembers answers and failures for a while, and
 * asks once however many want the same name. Never asks anybody but the router.
 */

import { sharedController } from '../../kit/abort.ts';
import { ExpiringCache } from '../../kit/cache.ts';
import { type Clock, within } from '../../kit/clock.ts';
import { abortError, asGateError, GateError } from '../../kit/errors.ts';
import type { Service } from '../../kit/service.ts';
import type { Destination } from '../../wire/i2p/destination.ts';
import type { SamCredentials } from '../../wire/sam/command.ts';
import { lookupName } from '../../wire/sam/conversation.ts';
import type { BridgePort } from '../ports.ts';
import { converse } from '../session/bridge.ts';

export interface Resolver extends Service {
  /** @throws GateError `name-unknown`, `router-*`, `limit`, or the abort of the signal */
  resolve(host: string, signal: AbortSignal): Promise<Destination>;
}

export interface ResolverOptions {
  readonly bridge: BridgePort;
  readonly clock: Clock;
  readonly credentials: SamCredentials | undefined;
}

/** Address books change rarely; a moved service is found again after this. */
const KNOWN_MS = 10 * 60_000;
/** Short: the user may just have added the name. */
const UNKNOWN_MS = 15_000;
const CACHE_SIZE = 4096;
/** Routers search the network for a b32 or b33 name for about 15 s. */
const LOOKUP_DEADLINE_MS = 45_000;
const LOOKUPS_AT_ONCE = 64;

type Answer =
  | { readonly kind: 'known'; readonly destination: Destination }
  | { readonly kind: 'unknown'; readonly why: Pick<GateError, 'kind' | 'code' | 'message'> };

/** What stands in the cache is small, so an error is kept without its stack and made again for each who asks. */
export function resolver({ bridge, clock, credentials }: ResolverOptions): Resolver {
  const cache = new ExpiringCache<Answer>(CACHE_SIZE);
  const underWay = new Map<string, Promise<Answer>>();
  const stopping = sharedController();

  const ask = async (host: string): Promise<Answer> => {
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
      cache.set(host, { kind: 'known', destination }, clock.now() + KNOWN_MS);
      return { kind: 'known', destination };
    } catch (error) {
      const { kind, code, message } = asGateError(error, 'looking a name up');
      const answer: Answer = { kind: 'unknown', why: { kind, code, message } };
      // Trouble with the router says nothing about the name.
      if (kind === 'name-unknown') cache.set(host, answer, clock.now() + UNKNOWN_MS);
      return answer;
    } finally {
      underWay.delete(host);
    }
  };

  return {
    name: 'names',
    start: async () => {},
    stop: async () => {
      stopping.abort(new GateError('shutdown', 'shutdown', 'the gateway is stopping'));
      await Promise.all(underWay.values());
    },
    resolve: async (host, signal) => {
      let answer = cache.get(host, clock.now());
      if (answer === undefined) {
        let asking = underWay.get(host);
        if (asking === undefined) {
          if (underWay.size >= LOOKUPS_AT_ONCE) {
            throw new GateError(
              'limit',
              'naming.limit',
              `${LOOKUPS_AT_ONCE} name lookups are under way already; try again`,
            );
          }
          asking = ask(host);
          underWay.set(host, asking);
        }
        answer = await unlessAborted(asking, signal);
      }
      if (answer.kind === 'unknown') throw new GateError(answer.why.kind, answer.why.code, answer.why.message);
      return answer.destination;
    },
  };
}

/** One caller giving up must not end the lookup for the others. */
function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(abortError(signal, 'looking a name up'));
    if (signal.aborted) return onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    void work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}

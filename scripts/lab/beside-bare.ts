/**
 * A check that uses a stranger's service, beside a bare SAM stream that fetches a page of the same service through the same
 * router: what the routers themselves cannot do at the moment is not held against the gateway. Now and then one of i2pd
 * 2.45.1 loses for a minute whatever goes through one of its neighbours.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { limit, messageOf } from './command.ts';
import type { Lab } from './lab.ts';
import type { Check } from './lab-checks.ts';
import type { SamSession } from './sam-client.ts';
import { fetchPage } from './web-client.ts';
import { PAGE_TEXT } from './web-server.ts';

/** The network that does not work for so long is broken. */
const BARE_MS = 240_000;
/** i2pd repeats the first packet of a stream after 9 s; a new stream may take another way. */
const ATTEMPT_MS = 20_000;
const BETWEEN_MS = 250;

export function besideBare({ bare, stranger }: Pick<Lab, 'bare' | 'stranger'>, { name, run }: Check): Check {
  return {
    name,
    run: async (signal) => {
      const over = new AbortController();
      const begun = performance.now();
      let seconds: string | undefined;
      const fetching = untilFetched(bare, stranger.keys.destination.base64, AbortSignal.any([signal, over.signal]));
      const fetched = fetching.then(() => {
        seconds = ((performance.now() - begun) / 1_000).toFixed(1);
      });
      fetched.catch(() => {}); // Whoever waits for it below hears of it.
      try {
        return await run(signal);
      } catch (error) {
        if (seconds !== undefined) {
          const text = `${messageOf(error)}; a bare SAM stream through the same router had taken ${seconds} s`;
          throw new Error(text, { cause: error });
        }
        await fetched;
        return `${await run(signal)}, once the routers themselves could, after ${seconds} s`;
      } finally {
        over.abort();
      }
    },
  };
}

async function untilFetched(session: SamSession, destination: string, parent: AbortSignal): Promise<void> {
  const signal = limit(BARE_MS, parent);
  for (;;) {
    if (await fetches(session, destination, limit(ATTEMPT_MS, signal)).catch(() => false)) return;
    await pause(BETWEEN_MS, undefined, { signal }).catch((reason: unknown) => {
      throw new Error('the routers themselves do not reach the service', { cause: reason });
    });
  }
}

async function fetches(session: SamSession, destination: string, signal: AbortSignal): Promise<boolean> {
  const stream = await session.connect(destination, signal);
  try {
    return (await fetchPage(stream, 'bare', signal)) === PAGE_TEXT;
  } finally {
    stream.destroy();
  }
}

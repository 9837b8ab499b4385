/**
 * A stream between two bare SAM sessions that is known to carry bytes. i2pd 2.45.1 now and then loses the first packets of a
 * stream for a minute and longer: then another one is tried.
 */
import type { Socket } from 'node:net';
import { limit, messageOf } from '../../scripts/lab/command.ts';
import { readExactly, type SamSession } from '../../scripts/lab/sam-client.ts';

export interface BareStream {
  readonly from: Socket;
  readonly to: Socket;
}

const ATTEMPTS = 8;
const ATTEMPT_MS = 25_000;
/** Says which of two streams has come, where an earlier one is late. */
const GREETING_LENGTH = 1;

/** @throws Error when none carries anything */
export async function bareStream(from: SamSession, to: SamSession, parent: AbortSignal): Promise<BareStream> {
  const failures: unknown[] = [];
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    const signal = limit(ATTEMPT_MS, parent);
    const greeting = Buffer.alloc(GREETING_LENGTH, attempt);
    const [connected, accepted] = await Promise.allSettled([
      from.connect(to.destination, signal).then((stream) => {
        stream.write(greeting);
        return stream;
      }),
      to.accept(signal),
    ]);
    const streams = [connected, accepted].flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    const [near, far] = streams;
    if (near !== undefined && far !== undefined) {
      const came = await readExactly(far, GREETING_LENGTH, signal).catch((error: unknown) => void failures.push(error));
      if (came?.equals(greeting)) return { from: near, to: far };
    }
    for (const one of [connected, accepted]) if (one.status === 'rejected') failures.push(one.reason);
    for (const stream of streams) stream.destroy();
    parent.throwIfAborted();
  }
  const text = `none of ${ATTEMPTS} bare streams between the routers carried anything; the last: ${messageOf(failures.at(-1))}`;
  throw new Error(text, { cause: new AggregateError(failures) });
}

/**
 * The last step of CONNECT and BIND: the client is told of success and joined to its stream. Only where there is a place for
 * the two, since nothing can be taken back afterwards.
 */
import type { RelayEnd } from '../../core/dial/target.ts';
import { GateError } from '../../kit/errors.ts';
import type { Serving } from './serving.ts';

/**
 * Resolves when the client is closed.
 *
 * @param reply of success
 */
export function tellAndJoin(
  { client, environment, signal, refuse, place }: Serving,
  far: RelayEnd,
  reply: Uint8Array,
): Promise<void> {
  const { counts, relay, settings } = environment;
  const slot = relay.reserve();
  if (slot === undefined) {
    far.stream.destroy();
    counts.add('dialFailed');
    const message = 'as many streams are joined as may be at one time; see limits.streams';
    return refuse(new GateError('limit', 'socks.streams-limit', message));
  }
  counts.add('connected');
  client.write(reply);
  // Handed on instead of awaited: the frame of an async function would live for as long as the pair.
  // Most clients close as a whole, which looks as if they only had no more to say: those must not fill all places.
  const onAnswered = (passEndOn: () => void) => place.offer(passEndOn);
  const how = { signal, idleMs: settings.idleMs, onAnswered };
  return slot.join({ stream: client, halfClose: true }, far, how).then(ignoreReport);
}

function ignoreReport(): void {}

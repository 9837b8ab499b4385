/**
 * Notices that a client has gone away while it waits for its reply, so that nothing is opened for nobody.
 *
 * A reset means gone. So does an end (FIN) with nothing said after the request: such a client has closed, since it could
 * never say anything through the stream that it asked for. An end *behind* early data is different: the client has said
 * all it wants to say and waits for the answer, as `printf ... | client` does. The end of a stream shows only when
 * everything before it was read, and early data is not read before the reply: so the second case never looks like the
 * first. Such a client, if it is gone after all, is noticed at the first write to it.
 */
import type { Duplex } from 'node:stream';
import { Cancellation } from '../../kit/abort.ts';
import { startTimeLimit, type TimeLimit } from '../../kit/clock.ts';
import { GateError } from '../../kit/errors.ts';

export interface DisconnectWatch {
  /** Aborts with `cancelled` when the client leaves, with the error of the limit, or with the parent's reason. */
  readonly signal: AbortSignal;
  /** Must be called before somebody else reads from the client. */
  clear(): void;
}

/**
 * @param client paused; stays so, and loses no byte
 * @param limit of the wait
 */
export function watchDisconnect(client: Duplex, limit: TimeLimit, parent: AbortSignal): DisconnectWatch {
  const waiting = new Cancellation();
  const onGone = () =>
    waiting.abort(
      new GateError('cancelled', 'socks.client-left', 'a SOCKS client left before its connection was made'),
    );
  const onParent = () => waiting.abort(parent.reason);
  const timer = startTimeLimit(limit, (late) => waiting.abort(late));
  // Reading nothing is enough to be told of an end, and takes no byte away.
  const onReadable = () => {
    if (client.readableLength === 0) client.read(0);
  };

  client.on('end', onGone);
  client.on('close', onGone);
  client.on('readable', onReadable);
  if (parent.aborted) onParent();
  else parent.addEventListener('abort', onParent, { once: true });
  if (client.destroyed || client.readableEnded) onGone();
  else onReadable();

  return {
    signal: waiting,
    clear: () => {
      timer.cancel();
      client.off('end', onGone);
      client.off('close', onGone);
      client.off('readable', onReadable);
      parent.removeEventListener('abort', onParent);
    },
  };
}

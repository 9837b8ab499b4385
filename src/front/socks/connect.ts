/**
 * CONNECT: dial, reply, relay. Bytes that come behind the request stay unread in the client's own buffer (which stops the
 * socket when it is full) until the relay takes them, and are dropped when there is no relay.
 */
import type { DialTarget, RelayEnd } from '../../core/dial/target.ts';
import { GateError } from '../../kit/errors.ts';
import type { B32 } from '../../wire/i2p/destination.ts';
import { encodeReply, replyForm } from '../../wire/socks/reply.ts';
import type { ConnectRequest } from '../../wire/socks/request.ts';
import { endedAtOnce } from './early-close.ts';
import { sessionFor } from './isolation.ts';
import { tellAndJoin } from './joining.ts';
import type { Serving } from './serving.ts';
import { countFailure, whileWaiting } from './waiting.ts';

const DOING = 'connecting for a SOCKS client';

/** Resolves when the client is closed. @param asked what the client may have */
export async function connect(request: ConnectRequest, asked: DialTarget, serving: Serving): Promise<void> {
  const { facts, asker, environment, refuse } = serving;
  const { access, counts, names, settings } = environment;
  const target = names.meaningOf(asked, asker);
  const session = sessionFor(facts, { target, port: request.port }, settings.isolation);
  const permit = (host: string, b32: B32) => {
    const error = access.objectionTo(host, b32);
    if (error !== undefined) throw error;
  };
  let far: RelayEnd;
  try {
    far = await whileWaiting(serving, {
      doing: DOING,
      ms: settings.connectMs,
      late: () =>
        new GateError('peer-timeout', 'socks.connect-timeout', 'the destination could not be reached in time'),
      run: (limit) => environment.dialer.dial(target, { session, asker, port: request.port, permit, signal: limit }),
      discard: ({ stream }) => stream.destroy(),
    });
  } catch (thrown) {
    return refuse(countFailure(serving, thrown, DOING, 'dialFailed'));
  }
  // A stream that ends one direction at a time may still be listening.
  if (!far.halfClose && (await endedAtOnce(far.stream))) {
    far.stream.destroy();
    counts.add('dialFailed');
    return refuse(new GateError('peer-closed', 'socks.closed-at-once', 'the service closed the stream at once'));
  }
  return tellAndJoin(serving, far, encodeReply(replyForm(request), 'succeeded'));
}

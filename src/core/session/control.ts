/**
 * The control connection of a living SAM session: the session exists as long as it does. Answers the bridge's PING,
 * sends our own where the bridge knows it, and resolves with the reason when the session is over.
 */
import type { Duplex } from 'node:stream';
import type { Clock, Timer } from '../../kit/clock.ts';
import { asGateError, GateError } from '../../kit/errors.ts';
import { pingCommand, pongCommand } from '../../wire/sam/command.ts';
import { receiveControl } from '../../wire/sam/conversation.ts';
import type { SamDatagram } from '../../wire/sam/datagram.ts';
import { continueConversation } from './bridge.ts';
import type { RouterKind } from './router-kind.ts';

/** A bridge that is alive answers a PING at once: it is on this machine. */
const PING_EVERY_MS = 30_000;
const PING_TEXT = 'garligate';

/**
 * @param router which one it is, once that is known
 * @param take gets datagrams that come on this connection; a session without it has none to expect
 * @returns why the session ended; never rejects
 */
export async function watchControl(
  stream: Duplex,
  clock: Clock,
  router: Promise<RouterKind | undefined>,
  signal: AbortSignal,
  take?: (datagram: SamDatagram) => void,
): Promise<GateError> {
  let unanswered = false;
  let timer: Timer | undefined;
  const silent = new AbortController();
  const ping = () => {
    if (unanswered) {
      silent.abort(new GateError('session-lost', 'sam.silent', 'the SAM bridge stopped answering'));
      return;
    }
    unanswered = true;
    stream.write(pingCommand(PING_TEXT));
    timer = clock.after(PING_EVERY_MS, ping);
  };
  void router.then((kind) => {
    // i2pd would close the connection.
    if (kind === 'java' && !stream.destroyed) timer = clock.after(PING_EVERY_MS, ping);
  });
  try {
    for (;;) {
      const message = await continueConversation(
        stream,
        receiveControl(),
        'watching the session',
        signal,
        silent.signal,
      );
      if (message.kind === 'datagram') {
        take?.(message.datagram);
        continue;
      }
      const { line } = message;
      if (line.startsWith('PONG')) unanswered = false;
      // A bridge that asks and does not read gets no further answers.
      else if (line.startsWith('PING')) {
        if (stream.writableLength === 0) stream.write(pongCommand(line.slice('PING '.length)));
      } else return new GateError('session-lost', 'sam.session-ended', 'the router ended the session');
    }
  } catch (error) {
    const known = asGateError(error, 'watching the session');
    return known.code === 'sam.closed' || known.code === 'sam.broken'
      ? new GateError('session-lost', 'sam.session-closed', 'the router closed the session: it stopped or dropped us', {
          cause: known,
        })
      : known;
  } finally {
    timer?.cancel();
    stream.destroy();
  }
}

/**
 * One conversation with the SAM bridge, on a connection of its own. The only place that opens connections to the bridge;
 * knows nothing of sessions.
 */
import type { Duplex } from 'node:stream';
import { drive } from '../../kit/drive.ts';
import { asGateError, GateError } from '../../kit/errors.ts';
import { type Conversation, conversationMachine } from '../../wire/sam/conversation.ts';
import type { BridgePort } from '../ports.ts';

export interface Conversed<Out> {
  readonly stream: Duplex;
  readonly out: Out;
}

/**
 * Opens a connection, holds the conversation, and hands over the connection with all that came behind it.
 *
 * @param over ends the conversation as well, with its reason: for one that ends with its session
 * @throws GateError; nothing stays open then
 */
export async function converse<Out>(
  bridge: BridgePort,
  conversation: Conversation<Out>,
  doing: string,
  signal: AbortSignal,
  over?: AbortSignal,
): Promise<Conversed<Out>> {
  const stream = await bridge.open(signal);
  try {
    return { stream, out: await continueConversation(stream, conversation, doing, signal, over) };
  } catch (error) {
    stream.destroy();
    throw error;
  }
}

export async function continueConversation<Out>(
  stream: Duplex,
  conversation: Conversation<Out>,
  doing: string,
  signal: AbortSignal,
  over?: AbortSignal,
): Promise<Out> {
  try {
    return await drive(conversationMachine(conversation), stream, {
      doing,
      signal,
      over,
      onEnd: () =>
        new GateError('router-protocol', 'sam.closed', `the SAM bridge closed the connection while ${doing}`),
    });
  } catch (error) {
    const known = asGateError(error, doing);
    if (known.kind !== 'local-io') throw known;
    // The system's word for a router that died in the middle.
    const message = `the connection to the SAM bridge broke while ${doing}; see whether the router still runs`;
    throw new GateError('router-down', 'sam.broken', message, { facts: known.facts, cause: known });
  }
}

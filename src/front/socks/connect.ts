/**
 * CONNECT: judgement, dial, reply, relay. Bytes that come behind the request stay unread in the client's own buffer (which
 * stops the socket when it is full) until the relay takes them, and are dropped when there is no relay.
 */
import type { Duplex } from 'node:stream';
import type { DialOptions, DialTarget, RelayEnd } from '../../core/dial/target.ts';
import { within } from '../../kit/clock.ts';
import { abortError, asGateError, GateError } from '../../kit/errors.ts';
import { encodeReply, replyForm } from '../../wire/socks/reply.ts';
import type { ConnectRequest } from '../../wire/socks/request.ts';
import { watchDeparture } from './departure.ts';
import { endedAtOnce } from './early-close.ts';
import { sessionFor } from './isolation.ts';
import { judge } from './policy.ts';
import type { ClientWorld, Serving } from './serving.ts';

/** Resolves when the client is closed. */
export async function connect(request: ConnectRequest, serving: Serving): Promise<void> {
  const { client, clientAddress, world, signal, refuse } = serving;
  const { counts, log, relay, settings } = world;
  const verdict = judge(request);
  if (verdict.kind === 'refused') {
    counts.add('policyRefused');
    if (verdict.dnsLeak) counts.add('dnsLeak');
    return refuse(verdict.error);
  }
  const { target } = verdict;
  const credentials = request.dialect === 'socks5' ? request.credentials : undefined;
  const session = sessionFor(
    { credentials, clientAddress, listener: world.listener.where, target, port: request.port },
    settings.isolation,
  );
  let far: RelayEnd;
  try {
    far = await dial(client, target, { session, port: request.port }, world, signal);
  } catch (thrown) {
    const error = asGateError(thrown, 'connecting for a SOCKS client');
    counts.add(signal.aborted ? 'stopped' : error.kind === 'cancelled' ? 'cancelled' : 'dialFailed');
    // Its message is somebody else's and might name a host.
    if (error.kind === 'bug')
      log.error('a defect: dialling for a SOCKS client failed', { thrown: nameOf(error.cause) });
    return refuse(error);
  }
  // A stream that ends one direction at a time may still be listening.
  if (!far.halfClose && (await endedAtOnce(far.stream))) {
    far.stream.destroy();
    counts.add('dialFailed');
    return refuse(new GateError('peer-closed', 'socks.closed-at-once', 'the service closed the stream at once'));
  }
  counts.add('connected');
  client.write(encodeReply(replyForm(request), 'succeeded'));
  // Handed on instead of awaited: the frame of this function would live for as long as the pair.
  return relay.join({ stream: client, halfClose: true }, far, { signal, idleMs: settings.idleMs }).then(ignoreReport);
}

function ignoreReport(): void {}

async function dial(
  client: Duplex,
  target: DialTarget,
  options: Omit<DialOptions, 'signal'>,
  { clock, dialer, settings }: ClientWorld,
  signal: AbortSignal,
): Promise<RelayEnd> {
  const doing = 'connecting for a SOCKS client';
  const late = () =>
    new GateError('peer-timeout', 'socks.connect-timeout', 'the destination could not be reached in time');
  const watch = watchDeparture(client, signal);
  try {
    return await within(clock, settings.connectMs, late, watch.signal, async (limit) => {
      try {
        if (limit.aborted) throw abortError(limit, doing);
        const far = await dialer.dial(target, { ...options, signal: limit });
        if (!limit.aborted) return far;
        far.stream.destroy();
        throw abortError(limit, doing);
      } catch (error) {
        // Why it was cancelled says more than that it was.
        throw limit.aborted ? abortError(limit, doing) : error;
      }
    });
  } finally {
    watch.clear();
  }
}

function nameOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.name : typeof thrown;
}

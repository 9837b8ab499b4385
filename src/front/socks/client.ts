/**
 * One SOCKS client from its first byte to its end: handshake, judgement, dial, reply, relay. After a complete request
 * there is always a reply before the close. Bytes that come behind the request stay unread in the client's own buffer
 * (which stops the socket when it is full) until the relay takes them, and are dropped when there is no relay.
 */
import type { Duplex } from 'node:stream';
import type { Dialer, DialTarget, RelayEnd } from '../../core/dial/target.ts';
import type { Relay } from '../../core/relay/report.ts';
import type { SessionKey } from '../../core/session/key.ts';
import { type Clock, within } from '../../kit/clock.ts';
import { drive } from '../../kit/drive.ts';
import { abortError, asGateError, GateError } from '../../kit/errors.ts';
import type { Logger } from '../../kit/log.ts';
import type { Tally } from '../../kit/tally.ts';
import { type SocksHandshake, socksMachine } from '../../wire/socks/handshake.ts';
import { encodeReply, replyForm } from '../../wire/socks/reply.ts';
import type { SocksRequest } from '../../wire/socks/request.ts';
import { watchDeparture } from './departure.ts';
import { farewell } from './farewell.ts';
import { HTTP_ANSWER } from './http-answer.ts';
import { sessionFor } from './isolation.ts';
import { OUTCOME_OF } from './outcome-of.ts';
import { judge } from './policy.ts';

/** How the way of a client into I2P ended: each client ends in exactly one of these. */
export const CLIENT_ENDS = [
  /** Closed or failed before its request was complete. */
  'leftEarly',
  'handshakeTimeout',
  /** Had not said its wish when a newcomer needed its place. */
  'displaced',
  'protocolError',
  'httpClient',
  'policyRefused',
  /** Left while its connection was being made. */
  'cancelled',
  'dialFailed',
  'connected',
  /** The gateway stopped before the client was connected. */
  'stopped',
] as const;

export type ClientEnd = (typeof CLIENT_ENDS)[number];

export interface ClientSettings {
  /** The handshake as a whole, however slowly its bytes come. Milliseconds. */
  readonly handshakeMs: number;
  /** From the request to the stream, waiting for the session included. Milliseconds. */
  readonly connectMs: number;
  /** A connected client is closed when neither side sent a byte for this long; 0 means never. Milliseconds. */
  readonly idleMs: number;
  /** The session of clients without credentials. */
  readonly session: SessionKey;
}

export interface ClientWorld {
  readonly dialer: Pick<Dialer, 'dial'>;
  readonly relay: Relay;
  readonly clock: Clock;
  readonly log: Logger;
  /** `dnsLeak` counts besides `policyRefused`. */
  readonly counts: Tally<ClientEnd | 'dnsLeak'>;
  readonly settings: ClientSettings;
}

/**
 * Resolves when the client is closed; never throws. Owns the client.
 *
 * @param keepPlace told `true` when the client has said its wish, and `false` when it has been refused
 */
export async function serveClient(
  client: Duplex,
  world: ClientWorld,
  signal: AbortSignal,
  keepPlace: (keep: boolean) => void = () => {},
): Promise<void> {
  const { clock, counts, log } = world;
  const handshake = await shakeHands(client, world, signal);
  switch (handshake?.kind) {
    case undefined:
      client.destroy();
      return;
    case 'unintelligible':
      counts.add('protocolError');
      log.debug('a SOCKS client was not understood', { code: handshake.error.code });
      client.destroy();
      return;
    case 'http':
      counts.add('httpClient');
      return farewell(client, HTTP_ANSWER, clock, signal);
    case 'refused':
      counts.add('protocolError');
      log.debug('a SOCKS client was refused', { code: handshake.error.code });
      return farewell(client, handshake.reply, clock, signal);
    case 'request':
      keepPlace(true);
      return serveRequest(client, handshake.request, world, signal, keepPlace);
    default:
      return handshake satisfies undefined;
  }
}

/** @returns `undefined` when there is nobody left to talk to */
async function shakeHands(
  client: Duplex,
  { clock, counts, settings }: ClientWorld,
  signal: AbortSignal,
): Promise<SocksHandshake | undefined> {
  const late = () =>
    new GateError('client-protocol', 'socks.handshake-timeout', 'a SOCKS client was too slow to say its wish');
  try {
    return await within(clock, settings.handshakeMs, late, signal, (limit) =>
      drive(socksMachine(), client, {
        doing: 'reading a SOCKS request',
        signal: limit,
        onEnd: () => new GateError('client-protocol', 'socks.ended', 'a SOCKS client closed in the middle'),
      }),
    );
  } catch (error) {
    const wasLate = error instanceof GateError && error.code === 'socks.handshake-timeout';
    if (signal.aborted) counts.add(abortError(signal, 'serving a client').kind === 'limit' ? 'displaced' : 'stopped');
    else counts.add(wasLate ? 'handshakeTimeout' : 'leftEarly');
    return undefined;
  }
}

async function serveRequest(
  client: Duplex,
  request: SocksRequest,
  world: ClientWorld,
  signal: AbortSignal,
  keepPlace: (keep: boolean) => void,
): Promise<void> {
  const { clock, counts, log, relay, settings } = world;
  const form = replyForm(request);
  const refuse = (error: GateError) => {
    keepPlace(false);
    log.debug('a SOCKS request failed', { kind: error.kind, code: error.code });
    return farewell(client, encodeReply(form, OUTCOME_OF[error.kind]), clock, signal);
  };

  const verdict = judge(request);
  if (verdict.kind === 'refused') {
    counts.add('policyRefused');
    if (verdict.dnsLeak) counts.add('dnsLeak');
    return refuse(verdict.error);
  }
  let far: RelayEnd;
  try {
    far = await dial(client, verdict.target, request, world, signal);
  } catch (thrown) {
    const error = asGateError(thrown, 'connecting for a SOCKS client');
    counts.add(signal.aborted ? 'stopped' : error.kind === 'cancelled' ? 'cancelled' : 'dialFailed');
    // Its message is somebody else's and might name a host.
    if (error.kind === 'bug')
      log.error('a defect: dialling for a SOCKS client failed', { thrown: nameOf(error.cause) });
    return refuse(error);
  }
  counts.add('connected');
  client.write(encodeReply(form, 'succeeded'));
  // Handed on instead of awaited: the frame of this function would live for as long as the pair.
  return relay.join({ stream: client, halfClose: true }, far, { signal, idleMs: settings.idleMs }).then(ignoreReport);
}

function ignoreReport(): void {}

async function dial(
  client: Duplex,
  target: DialTarget,
  request: SocksRequest,
  { clock, dialer, settings }: ClientWorld,
  signal: AbortSignal,
): Promise<RelayEnd> {
  const doing = 'connecting for a SOCKS client';
  const late = () =>
    new GateError('peer-timeout', 'socks.connect-timeout', 'the destination could not be reached in time');
  const session = sessionFor(request, settings.session);
  const watch = watchDeparture(client, signal);
  try {
    return await within(clock, settings.connectMs, late, watch.signal, async (limit) => {
      try {
        if (limit.aborted) throw abortError(limit, doing);
        const far = await dialer.dial(target, { session, port: request.port, signal: limit });
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

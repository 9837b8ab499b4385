/**
 * One SOCKS client from its first byte to its request, which the part for its command then serves. After a complete
 * request there is always a reply before the close.
 */
import type { Duplex } from 'node:stream';
import type { DialTarget } from '../../core/dial/target.ts';
import type { ClientOrigin } from '../../core/ports.ts';
import { abortError, GateError } from '../../kit/errors.ts';
import { NEEDS_LOGIN, type SocksHandshake } from '../../wire/socks/handshake.ts';
import { encodeReply, replyForm } from '../../wire/socks/reply.ts';
import { credentialsOf, type SocksRequest } from '../../wire/socks/request.ts';
import { bind, namesNobody } from './bind.ts';
import { connect } from './connect.ts';
import { failureOf } from './failure-of.ts';
import { greet, type LoginRefused } from './greeting.ts';
import { httpAnswer } from './http-answer.ts';
import { askerFor } from './isolation.ts';
import { closeLingering } from './lingering-close.ts';
import { judge } from './policy.ts';
import { resolve, resolvePointer } from './resolve.ts';
import type { ClientEnd, ClientEnvironment, ClientPlace, Serving } from './serving.ts';
import { associate } from './udp/associate.ts';

/**
 * Resolves when the client is closed; never throws. Owns the client.
 *
 * @param place kept when the client has made its request, and offered again when it has been refused
 */
export async function serveClient(
  client: Duplex,
  origin: ClientOrigin,
  environment: ClientEnvironment,
  signal: AbortSignal,
  place: ClientPlace,
): Promise<void> {
  const { clock, counts, log } = environment;
  const handshake = await shakeHands(client, environment, signal);
  switch (handshake?.kind) {
    case undefined:
      client.destroy();
      return;
    case 'unintelligible':
      counts.add('protocolError');
      log.debug('a SOCKS client was not understood', { code: handshake.error.code });
      client.destroy();
      return;
    case 'login-refused':
      counts.add('loginRefused');
      return closeLingering(client, handshake.reply, clock, signal);
    case 'http':
      counts.add('httpClient');
      return closeLingering(client, httpAnswer(environment.settings.httpConnect), clock, signal);
    case 'refused':
      counts.add(endOf(handshake.error));
      log.debug('a SOCKS client was refused', { code: handshake.error.code });
      return closeLingering(client, handshake.reply, clock, signal);
    case 'request-refused':
      counts.add(endOf(handshake.error));
      log.debug('a SOCKS request was refused', { code: handshake.error.code });
      return closeLingering(
        client,
        encodeReply(handshake.form, handshake.failure, environment.settings.errors),
        clock,
        signal,
      );
    case 'request':
      place.keep();
      return serveRequest(client, origin, handshake.request, environment, signal, place);
    default:
      return handshake satisfies undefined;
  }
}

/** Whoever shows no credentials where they are required is no user, in every dialect, as is whoever shows wrong ones. */
function endOf({ code }: GateError): ClientEnd {
  return code === NEEDS_LOGIN ? 'loginRefused' : 'protocolError';
}

/** @returns `undefined` when there is nobody left to talk to */
async function shakeHands(
  client: Duplex,
  environment: ClientEnvironment,
  signal: AbortSignal,
): Promise<SocksHandshake | LoginRefused | undefined> {
  const { counts } = environment;
  try {
    return await greet(client, environment, signal);
  } catch (error) {
    const wasLate = error instanceof GateError && error.code === 'socks.handshake-timeout';
    if (signal.aborted) counts.add(abortError(signal, 'serving a client').kind === 'limit' ? 'displaced' : 'stopped');
    else counts.add(wasLate ? 'handshakeTimeout' : 'leftEarly');
    return undefined;
  }
}

function serveRequest(
  client: Duplex,
  origin: ClientOrigin,
  request: SocksRequest,
  environment: ClientEnvironment,
  signal: AbortSignal,
  place: ClientPlace,
): Promise<void> {
  const { clock, counts, listener, log, settings } = environment;
  const clientAddress = origin.address;
  const refuse = (error: GateError) => {
    place.offer();
    log.debug('a SOCKS request failed', { kind: error.kind, code: error.code });
    return closeLingering(client, encodeReply(replyForm(request), failureOf(error), settings.errors), clock, signal);
  };
  const facts = { credentials: credentialsOf(request), clientAddress, listener: listener.where };
  const asker = askerFor(facts, settings.isolation);
  const serving: Serving = { client, facts, asker, origin, environment, signal, place, refuse };
  const unserved = () => {
    counts.add('protocolError');
    const message = `a SOCKS client asked for ${request.command}, which is not served here`;
    return refuse(new GateError('unsupported', 'socks.command', message));
  };
  switch (request.command) {
    case 'connect':
      return withTarget(request, serving, (target) => connect(request, target, serving));
    case 'resolve':
      return settings.resolve ? withTarget(request, serving, (target) => resolve(target, serving)) : unserved();
    case 'resolve-ptr':
      return settings.resolve ? withTarget(request, serving, (target) => resolvePointer(target, serving)) : unserved();
    case 'bind':
      if (settings.bind === 'off') return unserved();
      if (namesNobody(request)) {
        if (settings.bind === 'anyone') return bind(request, 'anyone', serving);
        counts.add('policyRefused');
        return refuse(
          new GateError('policy', 'socks.bind-anyone', 'a SOCKS client would be called by anybody; see bind'),
        );
      }
      return withTarget(request, serving, (target) => bind(request, target, serving));
    case 'associate':
      return associate(request, serving);
    default:
      return request satisfies never;
  }
}

/** Serves only what the policy lets the client have. */
function withTarget(
  request: SocksRequest,
  { asker, environment: { access, counts, names }, refuse }: Serving,
  serve: (target: DialTarget) => Promise<void>,
): Promise<void> {
  const port = request.command === 'connect' ? request.port : undefined;
  const verdict = judge(request, (target) => {
    const told = names.mappedName(target, asker);
    return told === undefined ? access.objection(target, port) : access.objectionToMapped(told, port);
  });
  if (verdict.kind === 'allowed') return serve(verdict.target);
  counts.add('policyRefused');
  // Whoever wants to know the name of an address has asked no name server for it.
  if (verdict.dnsLeak && request.command !== 'resolve-ptr') counts.add('dnsLeak');
  return refuse(verdict.error);
}

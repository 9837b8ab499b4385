/**
 * BIND: one stream from a destination that the client names. The first reply says where it is awaited, the second who has
 * come; then the client is joined to it. The address in a reply has too few bits to be called by, so the client can ask
 * for the name behind it with RESOLVE_PTR.
 */

import type { DialTarget } from '../../core/dial/target.ts';
import type { AwaitedFrom } from '../../core/inbound/awaited.ts';
import type { Arrival, Bound } from '../../core/inbound/binder.ts';
import { GateError } from '../../kit/errors.ts';
import { addressesOf } from '../../wire/i2p/address.ts';
import { hostNameOf } from '../../wire/i2p/hostname.ts';
import { encodeAddressReply } from '../../wire/socks/reply.ts';
import type { BindRequest } from '../../wire/socks/request.ts';
import { sessionFor } from './isolation.ts';
import { tellAndJoin } from './joining.ts';
import type { Serving } from './serving.ts';
import { countFailure, whileWaiting } from './waiting.ts';

const DOING = 'awaiting a stream for a SOCKS client';

/** A host of nothing but zeros: whoever comes first. */
export function namesNobody({ host }: Pick<BindRequest, 'host'>): boolean {
  return host.kind !== 'name' && host.bytes.every((byte) => byte === 0);
}

/**
 * Resolves when the client is closed.
 *
 * @param asked whose stream the client may have
 */
export async function bind(request: BindRequest, asked: DialTarget | 'anyone', serving: Serving): Promise<void> {
  const { client, refuse } = serving;
  let bound: Bound | undefined;
  let arrival: Arrival;
  try {
    bound = await open(request, asked, serving);
    client.write(encodeAddressReply(tellOwn(bound, serving), bound.port));
    arrival = await awaitStream(bound, serving);
    bound = undefined;
  } catch (thrown) {
    return refuse(countFailure(serving, thrown, DOING, 'dialFailed'));
  } finally {
    bound?.close();
  }
  return tellAndJoin(serving, arrival.end, encodeAddressReply(addressesOf(arrival.from.b32).oc, arrival.fromPort ?? 0));
}

function open(request: BindRequest, asked: DialTarget | 'anyone', serving: Serving): Promise<Bound> {
  const { facts, asker, environment } = serving;
  const { names, settings } = environment;
  const target = asked === 'anyone' ? undefined : names.meaningOf(asked, asker);
  const session = sessionFor(facts, { target, port: request.port }, settings.isolation);
  const whom = async (limit: AbortSignal): Promise<AwaitedFrom> => {
    if (target === undefined)
      return { mayCome: (b32) => environment.access.objectionTo(hostNameOf(b32), b32) === undefined };
    const { b32 } = await names.identify(target, asker, limit);
    const denied = target.kind === 'host' ? environment.access.objectionTo(target.host, b32) : undefined;
    if (denied !== undefined) throw denied;
    return b32;
  };
  return whileWaiting(serving, {
    doing: DOING,
    ms: settings.connectMs,
    late: () => new GateError('peer-timeout', 'socks.bind-timeout', 'no stream could be awaited in time'),
    run: async (limit) =>
      environment.binder.bind({ from: await whom(limit), port: request.port, session, asker, signal: limit }),
    discard: (late) => late.close(),
  });
}

function tellOwn({ me }: Bound, { asker, environment }: Serving) {
  return environment.names.tell(hostNameOf(me.b32), me, asker);
}

function awaitStream(bound: Bound, serving: Serving): Promise<Arrival> {
  return whileWaiting(serving, {
    doing: DOING,
    ms: serving.environment.settings.bindMs,
    late: () => new GateError('peer-timeout', 'socks.nobody-came', 'nobody opened the stream that was awaited in time'),
    run: (limit) => bound.arrival(limit),
    discard: ({ end }) => end.stream.destroy(),
  });
}

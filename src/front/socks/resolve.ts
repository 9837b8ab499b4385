/**
 * Tor's RESOLVE and RESOLVE_PTR: the address of the VPN that stands for a name, and back. Nobody but the router is asked,
 * as for CONNECT, and nothing is connected. An address that was told is good for a CONNECT of the same asker.
 */
import type { DialTarget } from '../../core/dial/target.ts';
import { GateError } from '../../kit/errors.ts';
import { encodeAddressReply, encodeNameReply } from '../../wire/socks/reply.ts';
import { closeLingering } from './lingering-close.ts';
import type { Serving } from './serving.ts';
import { countFailure, whileWaiting } from './waiting.ts';

const DOING = 'resolving for a SOCKS client';

/** Resolves when the client is closed. */
export function resolve(target: DialTarget, serving: Serving): Promise<void> {
  const { asker, environment } = serving;
  return answer(serving, async (limit) =>
    encodeAddressReply(await environment.names.addressOf(target, asker, limit), 0),
  );
}

/** Resolves when the client is closed. */
export function resolvePointer(target: DialTarget, serving: Serving): Promise<void> {
  const { asker, environment } = serving;
  return answer(serving, async () => {
    if (target.kind === 'address') return encodeNameReply(environment.names.nameOf(target.address, asker));
    throw new GateError('name-invalid', 'socks.not-an-address', 'a SOCKS client asked for the name of a name');
  });
}

async function answer(serving: Serving, run: (limit: AbortSignal) => Promise<Uint8Array>): Promise<void> {
  const { client, environment, signal, refuse } = serving;
  try {
    const reply = await whileWaiting(serving, {
      doing: DOING,
      ms: environment.settings.connectMs,
      late: () => new GateError('peer-timeout', 'socks.resolve-timeout', 'the name could not be looked up in time'),
      run,
      discard: () => {},
    });
    environment.counts.add('resolved');
    return closeLingering(client, reply, environment.clock, signal);
  } catch (thrown) {
    return refuse(countFailure(serving, thrown, DOING, 'resolveFailed'));
  }
}

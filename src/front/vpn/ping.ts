/**
 * What of the way to a peer works, from the inside out: a stream, the gateway at its end, and the IPv6 host behind that.
 * Each step has its time; the first that fails ends it. What comes before, the router and its knowledge of the peer, is
 * asked elsewhere.
 */
import { type Clock, within } from '../../kit/clock.ts';
import { abortError, asGateError, GateError } from '../../kit/errors.ts';
import type { Address } from '../../wire/i2p/address.ts';
import type { EchoProbe } from './echo-probe.ts';
import type { PeerLink } from './peer-link.ts';

export type PingStep = 'stream' | 'gateway' | 'ipv6';

export type PingOutcome =
  | { readonly kind: 'ok'; readonly ms: number }
  /** There is no way to find out. */
  | { readonly kind: 'unknown'; readonly why: string }
  | { readonly kind: 'failed'; readonly ms: number; readonly error: GateError };

export interface PingResult {
  readonly step: PingStep;
  readonly outcome: PingOutcome;
}

export interface PingParts {
  readonly link: PeerLink;
  readonly echo: EchoProbe;
  /** Of ours, and the peer's. */
  readonly from: Address;
  readonly to: Address;
  readonly clock: Clock;
}

/** @returns the steps that were tried, in order; only the last can have failed */
export async function pingLink(
  parts: PingParts,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<readonly PingResult[]> {
  const results: PingResult[] = [];
  const steps: ReadonlyArray<readonly [PingStep, (limit: AbortSignal) => Promise<string | undefined>]> = [
    ['stream', (limit) => hasStream(parts.link, limit)],
    ['gateway', (limit) => hearsGateway(parts.link, limit)],
    ['ipv6', (limit) => answersEcho(parts, limit)],
  ];
  const end = parts.clock.now() + timeoutMs;
  for (const [step, attempt] of steps) {
    const start = parts.clock.now();
    try {
      const unknown = await within(parts.clock, Math.max(end - start, 0), () => silent(step), signal, attempt);
      const ms = parts.clock.now() - start;
      results.push({ step, outcome: unknown === undefined ? { kind: 'ok', ms } : { kind: 'unknown', why: unknown } });
    } catch (thrown) {
      const error = asGateError(thrown, 'pinging a peer');
      results.push({ step, outcome: { kind: 'failed', ms: parts.clock.now() - start, error } });
      break;
    }
  }
  return results;
}

/** The router has opened a stream. That says nothing yet about the peer: i2pd opens one before anybody has answered. */
async function hasStream(link: PeerLink, signal: AbortSignal): Promise<undefined> {
  const before = link.report().lastError;
  link.dial();
  await untilSeen(link, signal, () => {
    const { state, streams, lastError } = link.report();
    if (state.kind === 'up' || streams > 0) return true;
    if (lastError !== undefined && lastError !== before) throw lastError.error;
    return false;
  });
}

async function hearsGateway(link: PeerLink, signal: AbortSignal): Promise<string | undefined> {
  await untilSeen(link, signal, () => link.report().state.kind === 'up');
  if (link.report().answersProbes !== true) return 'an OnionCat answers no keepalives';
  const { answers } = link.report();
  link.probe();
  await untilSeen(link, signal, () => link.report().answers > answers);
  return undefined;
}

async function answersEcho({ link, echo, from, to }: PingParts, signal: AbortSignal): Promise<undefined> {
  let isAnswered = false;
  let look = () => {};
  const { request, forget } = echo.ask(from, to, () => {
    isAnswered = true;
    look();
  });
  try {
    link.send(request);
    const answers = {
      watch: (tell: () => void) => {
        look = tell;
        return () => {};
      },
    };
    await untilSeen(answers, signal, () => isAnswered);
  } finally {
    forget();
  }
}

/** Resolves when `seen` answers true; asks again whenever there may be news. */
function untilSeen(link: Pick<PeerLink, 'watch'>, signal: AbortSignal, seen: () => boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = () => finish(() => reject(abortError(signal, 'pinging a peer')));
    const look = () => {
      try {
        if (seen()) finish(resolve);
      } catch (error) {
        finish(() => reject(error));
      }
    };
    let unwatch = () => {};
    const finish = (settle: () => void) => {
      unwatch();
      signal.removeEventListener('abort', onAbort);
      settle();
    };
    if (signal.aborted) return onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    unwatch = link.watch(look);
    look();
  });
}

const SILENCE: Readonly<Record<PingStep, string>> = {
  stream: 'the router has not opened a stream to the peer in time',
  gateway: 'a stream stands, and nothing is heard on it',
  ipv6: 'the gateway answers, and the host behind it does not answer echo requests',
};

function silent(step: PingStep): GateError {
  return new GateError('peer-timeout', `ping.${step}-silent`, SILENCE[step]);
}

/**
 * `garligate ping`: asks for each part of the way to a peer in turn, from the SAM bridge to the IPv6 host behind the peer's
 * gateway, and stops at the first that does not work. Changes nothing but that the link to the peer is wanted.
 */
import type { PingReport, PingStepName, PingStepReport } from '../control/ping.ts';
import { findPeer } from '../core/peers/find.ts';
import type { Peer } from '../core/peers/table.ts';
import type { BridgePort } from '../core/ports.ts';
import { converse } from '../core/session/bridge.ts';
import { GATEWAY } from '../core/session/key.ts';
import type { SessionState } from '../core/session/life.ts';
import { type Clock, within } from '../kit/clock.ts';
import { asGateError, GateError } from '../kit/errors.ts';
import { Slots } from '../kit/slots.ts';
import { span } from '../kit/span.ts';
import { hostNameOf } from '../wire/i2p/hostname.ts';
import type { SamCredentials } from '../wire/sam/command.ts';
import { hello, lookupName } from '../wire/sam/conversation.ts';
import type { Gateway } from './gateway.ts';

export interface PingerParts {
  readonly gateway: Gateway;
  readonly bridge: BridgePort;
  readonly credentials: SamCredentials | undefined;
  readonly clock: Clock;
}

/** Each may hold two connections to the router, and asks its peer's link for news. */
const MOST_PINGS = 8;

const ADVICE: Readonly<Record<PingStepName, string>> = {
  sam: 'see whether the router runs and its SAM bridge is enabled, and `garligate status`',
  session:
    'a router needs 20 to 40 s for a new session, and minutes after its own start: wait, and see `garligate status`',
  leaseSet:
    "the router does not find the peer in I2P's database: see whether the peer's router runs and its b32 name is right; a peer that has just started is not found for some minutes",
  stream: "the peer's router does not take a stream: see whether garligate runs there",
  gateway:
    'whoever took the stream does not answer: see whether garligate runs there and has this gateway as a [[peer]]; after a restart of its router this can last for two minutes',
  ipv6: 'the way stands, and the host does not answer: see whether the peer allows icmp from this gateway, and its TUN interface in its `garligate status`',
};

/** All pings of a gateway. */
export class Pinger {
  readonly #parts: PingerParts;
  readonly #slots = new Slots(MOST_PINGS);
  #refused = 0;

  constructor(parts: PingerParts) {
    this.#parts = parts;
  }

  get underWay(): number {
    return this.#slots.taken;
  }

  /** Because of too many others. */
  get refused(): number {
    return this.#refused;
  }

  /**
   * @param name or whatever else findPeer takes
   * @throws GateError `peer-unreachable` when that is no peer's, `limit` when there are too many pings already
   */
  async ping(name: string, timeoutMs: number, signal: AbortSignal): Promise<PingReport> {
    const leave = this.#slots.take();
    if (leave === undefined) {
      this.#refused += 1;
      throw new GateError('limit', 'ping.too-many', `${MOST_PINGS} pings are under way; wait for one of them to end`);
    }
    try {
      return await pingPeer(this.#parts, name, timeoutMs, signal);
    } finally {
      leave();
    }
  }
}

async function pingPeer(parts: PingerParts, name: string, timeoutMs: number, signal: AbortSignal): Promise<PingReport> {
  const peer = findPeer(parts.gateway.peers, name);
  if (peer === undefined) {
    throw new GateError(
      'peer-unreachable',
      'ping.unknown-peer',
      'no peer has this name or address; see `garligate peers`',
    );
  }
  const { vpn } = parts.gateway;
  if (vpn === undefined) {
    throw new GateError('unsupported', 'ping.no-vpn', 'this gateway runs without the VPN, and has no links to peers');
  }
  const { clock } = parts;
  const { session } = parts.gateway.sessions.lease(GATEWAY);
  const end = clock.now() + timeoutMs;
  const left = () => Math.max(end - clock.now(), 0);
  const steps: PingStepReport[] = [];
  const attempt = async (
    step: 'sam' | 'session' | 'leaseSet',
    run: (limit: AbortSignal) => Promise<unknown>,
    late = () => new GateError('router-refused', `ping.${step}-silent`, 'the router did not answer in time'),
  ): Promise<boolean> => {
    const start = clock.now();
    try {
      await within(clock, left(), late, signal, run);
      steps.push({ step, outcome: 'ok', ms: clock.now() - start });
      return true;
    } catch (thrown) {
      steps.push(failed(step, clock.now() - start, asGateError(thrown, 'pinging a peer')));
      return false;
    }
  };
  const reachesRouter =
    (await attempt('sam', (limit) => greetBridge(parts, limit))) &&
    (await attempt(
      'session',
      (limit) => session.ready(limit),
      () => notYet(session.state, clock.now()),
    )) &&
    (await attempt('leaseSet', (limit) => lookUpPeer(parts, peer, limit)));
  if (reachesRouter) {
    for (const { step, outcome } of await vpn.ping(peer, left(), signal)) {
      if (outcome.kind === 'failed') steps.push(failed(step, outcome.ms, outcome.error));
      else if (outcome.kind === 'unknown') steps.push({ step, outcome: 'unknown', ms: 0, text: outcome.why });
      else steps.push({ step, outcome: 'ok', ms: outcome.ms });
    }
  }
  return { schema: 3, peer: peer.name, steps };
}

async function greetBridge({ bridge, credentials }: PingerParts, signal: AbortSignal): Promise<void> {
  const { stream } = await converse(bridge, hello(credentials), 'greeting the SAM bridge', signal);
  stream.destroy();
}

/** Why the session does not stand although nothing has failed. */
function notYet(state: SessionState, now: number): GateError {
  const since = 'since' in state ? `, for ${span((now - state.since) / 1_000)} so far` : '';
  return new GateError('router-refused', 'ping.session-building', `the session is still being built${since}`);
}

async function lookUpPeer({ bridge, credentials }: PingerParts, peer: Peer, signal: AbortSignal): Promise<void> {
  const lookup = lookupName(hostNameOf(peer.b32), credentials);
  const { stream } = await converse(bridge, lookup, 'looking a peer up', signal);
  stream.destroy();
}

function failed(step: PingStepName, ms: number, { code, message }: GateError): PingStepReport {
  return { step, outcome: 'failed', ms, text: message, code, advice: ADVICE[step] };
}

/**
 * What becomes of a stream that somebody opened to us: strangers are refused before anything is allocated for them; the
 * first byte decides which front takes a peer's stream.
 */
import type { Duplex } from 'node:stream';
import { sharedController } from '../../kit/abort.ts';
import { type Clock, within } from '../../kit/clock.ts';
import { drive } from '../../kit/drive.ts';
import { asGateError, GateError } from '../../kit/errors.ts';
import type { Logger } from '../../kit/log.ts';
import { type Machine, RECEIVE } from '../../kit/step.ts';
import { type Tally, tally } from '../../kit/tally.ts';
import { FLOW_MARK } from '../../wire/flow/preface.ts';
import { isIpv6 } from '../../wire/packet/ipv6.ts';
import type { Peer, PeerTable } from '../peers/table.ts';
import type { InboundStream } from '../session/acceptor.ts';

/** Takes over a paused stream with all its bytes still in it. Must not throw. */
export type TakeStream = (peer: Peer, stream: Duplex) => void;

export interface InboundTakers {
  readonly packets: TakeStream;
  readonly flow: TakeStream;
}

export type InboundCounter = 'accepted' | 'refusedStranger' | 'refusedLimit' | 'refusedFirstByte' | 'silent';

export interface InboundSwitch {
  take(inbound: InboundStream): void;
  counters(): Readonly<Record<InboundCounter, number>>;
  /** Ends streams that have not shown their first byte. */
  stop(): void;
}

/** Both a keepalive and a preface are sent at once, so this is one slow round trip through I2P. */
const FIRST_BYTE_MS = 60_000;
/** Streams of one peer that have not shown their first byte. */
const UNDECIDED_PER_PEER = 32;

/** Sees the first byte and puts everything back. */
const firstByteMachine: Machine<number> = {
  step: (input) => {
    const [first] = input;
    return first === undefined ? RECEIVE : { kind: 'done', out: first, rest: input };
  },
};

export function inboundSwitch(peers: PeerTable, takers: InboundTakers, clock: Clock, log: Logger): InboundSwitch {
  const counts: Tally<InboundCounter> = tally([
    'accepted',
    'refusedStranger',
    'refusedLimit',
    'refusedFirstByte',
    'silent',
  ]);
  const undecided = new Map<Peer, number>();
  const stopping = sharedController();

  const decide = async (peer: Peer, stream: Duplex) => {
    undecided.set(peer, (undecided.get(peer) ?? 0) + 1);
    try {
      const late = new GateError('peer-timeout', 'inbound.silent', 'a peer opened a stream and sent nothing');
      const first = await within(clock, FIRST_BYTE_MS, late, stopping.signal, (signal) =>
        drive(firstByteMachine, stream, {
          doing: 'waiting for the first byte',
          signal,
          onEnd: () => new GateError('peer-closed', 'inbound.closed', 'a peer opened a stream and closed it'),
        }),
      );
      const take = takerFor(first);
      if (take === undefined) {
        counts.add('refusedFirstByte');
        stream.destroy();
        return;
      }
      counts.add('accepted');
      take(peer, stream);
    } catch (error) {
      counts.add('silent');
      stream.destroy();
      log.debug(asGateError(error, 'accepting a stream').message);
    } finally {
      const left = (undecided.get(peer) ?? 1) - 1;
      if (left === 0) undecided.delete(peer);
      else undecided.set(peer, left);
    }
  };

  const takerFor = (firstByte: number): TakeStream | undefined => {
    if (firstByte === FLOW_MARK) return takers.flow;
    return isIpv6(firstByte) ? takers.packets : undefined;
  };

  return {
    take: ({ stream, from }) => {
      const peer = peers.byB32(from.b32);
      if (peer === undefined || stopping.signal.aborted) {
        counts.add('refusedStranger');
        stream.destroy();
      } else if ((undecided.get(peer) ?? 0) >= UNDECIDED_PER_PEER) {
        counts.add('refusedLimit');
        stream.destroy();
      } else void decide(peer, stream);
    },
    counters: () => counts.snapshot(),
    stop: () => stopping.abort(new GateError('shutdown', 'shutdown', 'the gateway is stopping')),
  };
}

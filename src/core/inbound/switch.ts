/**
 * What becomes of a stream that somebody opened to us: strangers are refused before anything is allocated for them; the
 * first byte decides which front takes a peer's stream. Only where the operator says that a peer's streams come from
 * nobody knows where, a stranger is asked for the header of its first packet, and is nobody unless that names the peer.
 */
import type { Duplex } from 'node:stream';
import { createSharedController } from '../../kit/abort.ts';
import type { Clock } from '../../kit/clock.ts';
import { drive } from '../../kit/drive.ts';
import { GateError } from '../../kit/errors.ts';
import { type Logger, logFailure } from '../../kit/log.ts';
import { SlotsPerKey } from '../../kit/slots.ts';
import { type Machine, RECEIVE } from '../../kit/step.ts';
import { createTally } from '../../kit/tally.ts';
import { FLOW_MARK } from '../../wire/flow/preface.ts';
import { addressKey, inPrefix } from '../../wire/i2p/address.ts';
import type { B32 } from '../../wire/i2p/destination.ts';
import { HEADER_LENGTH, isIpv6, SOURCE_OFFSET } from '../../wire/packet/ipv6.ts';
import type { Peer, PeerTable } from '../peers/table.ts';
import type { InboundStream } from '../session/acceptor.ts';
import type { AwaitedStreams } from './awaited.ts';

/** Takes over a paused stream with all its bytes still in it. Must not throw. */
export type TakeStream = (peer: Peer, stream: Duplex) => void;

/** Whether I2P says that the stream comes from the peer, or only the stream itself does. */
export type Origin = 'verified' | 'unverified';

export interface InboundTakers {
  readonly packets: (peer: Peer, stream: Duplex, origin: Origin) => void;
  readonly flow: TakeStream;
  /** What comes from the destination that we dial ourselves from, while there is one. */
  readonly own?: { readonly b32: () => B32 | undefined; readonly take: (stream: Duplex) => void };
}

const INBOUND_COUNTERS = [
  'accepted',
  'awaited',
  'refusedStranger',
  'refusedLimit',
  'refusedFirstByte',
  'refusedClaim',
  'silent',
  /** By a defect of ours. */
  'failed',
] as const;
export type InboundCounter = (typeof INBOUND_COUNTERS)[number];

export interface InboundSwitch {
  take(inbound: InboundStream): void;
  /** Closes a stream of somebody who is nobody's peer and whom nobody awaits. */
  refuse(inbound: InboundStream): void;
  counters(): Readonly<Record<InboundCounter, number>>;
  /** Ends streams that have not shown their first byte. */
  stop(): void;
}

/** Both a keepalive and a preface are sent at once, so this is one slow round trip through I2P. */
const FIRST_BYTE_MS = 60_000;
/** Streams that have not shown their first bytes: of one peer, and of all strangers together. */
const UNDECIDED_MOST = 32;
const STRANGERS = 'strangers';

/** Sees the first `wanted` bytes, or fewer when the first one says enough, and puts everything back. */
function firstBytesMachine(wanted: number): Machine<Buffer> {
  let seen: Buffer = Buffer.alloc(0);
  return {
    step: (input) => {
      seen = seen.length === 0 ? Buffer.from(input) : Buffer.concat([seen, input]);
      const [first] = seen;
      const enough = first !== undefined && (seen.length >= wanted || !isIpv6(first));
      return enough ? { kind: 'done', out: seen, rest: seen } : RECEIVE;
    },
  };
}

export function createInboundSwitch(
  peers: PeerTable,
  takers: InboundTakers,
  awaited: Pick<AwaitedStreams, 'offer'>,
  clock: Clock,
  log: Logger,
): InboundSwitch {
  const counts = createTally(INBOUND_COUNTERS);
  const undecided = new SlotsPerKey<Peer | typeof STRANGERS>(UNDECIDED_MOST);
  const stopping = createSharedController();

  /** @returns undefined for a stream on which they do not come */
  const firstBytes = async (stream: Duplex, wanted: number): Promise<Buffer | undefined> => {
    const doing = 'waiting for the first byte';
    const late = () => new GateError('peer-timeout', 'inbound.silent', 'a peer opened a stream and sent nothing');
    try {
      return await drive(firstBytesMachine(wanted), stream, {
        doing,
        signal: stopping.signal,
        limit: { clock, ms: FIRST_BYTE_MS, late },
        onEnd: () => new GateError('peer-closed', 'inbound.closed', 'a peer opened a stream and closed it'),
      });
    } catch (error) {
      logFailure(log, error, doing);
      return undefined;
    }
  };

  /** Hands the stream on when its first `wanted` bytes have come; bounded in number for each `who`. */
  const decide = async (
    who: Peer | typeof STRANGERS,
    stream: Duplex,
    wanted: number,
    handOn: (first: Buffer) => InboundCounter,
  ) => {
    const leave = undecided.take(who);
    if (leave === undefined) {
      counts.add('refusedLimit');
      stream.destroy();
      return;
    }
    try {
      const first = await firstBytes(stream, wanted);
      const outcome = first === undefined ? 'silent' : handOn(first);
      counts.add(outcome);
      if (outcome !== 'accepted') stream.destroy();
    } catch (error) {
      counts.add('failed');
      stream.destroy();
      logFailure(log, error, 'handing a stream on');
    } finally {
      leave();
    }
  };

  const fromPeer = (peer: Peer, stream: Duplex) =>
    decide(peer, stream, 1, ([first]) => {
      if (first === FLOW_MARK) takers.flow(peer, stream);
      else if (isIpv6(first)) takers.packets(peer, stream, 'verified');
      else return 'refusedFirstByte';
      return 'accepted';
    });

  const fromStranger = (stream: Duplex) =>
    decide(STRANGERS, stream, HEADER_LENGTH, (first) => {
      if (!isIpv6(first[0])) return 'refusedFirstByte';
      const peer = inPrefix(first, SOURCE_OFFSET) ? peers.byAddress(addressKey(first, SOURCE_OFFSET)) : undefined;
      if (peer?.onionCat?.inbound !== 'unverified') return 'refusedClaim';
      takers.packets(peer, stream, 'unverified');
      return 'accepted';
    });

  const refuse = ({ stream }: InboundStream) => {
    counts.add('refusedStranger');
    stream.destroy();
  };

  return {
    refuse,
    take: (inbound) => {
      const { stream, from } = inbound;
      if (from.b32 === takers.own?.b32() && !stopping.signal.aborted) {
        takers.own.take(stream);
        return;
      }
      const peer = peers.byOrigin(from.b32);
      if (stopping.signal.aborted) refuse(inbound);
      else if (peer !== undefined) void fromPeer(peer, stream);
      else if (awaited.offer(inbound)) counts.add('awaited');
      else if (peers.hasUnverified) void fromStranger(stream);
      else refuse(inbound);
    },
    counters: () => counts.snapshot(),
    stop: () => stopping.abort(new GateError('shutdown', 'shutdown', 'the gateway is stopping')),
  };
}

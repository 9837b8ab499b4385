/**
 * Streams that clients of this gateway await on one session (SOCKS BIND): from whom, and on which port. A stream that
 * nobody awaits is not taken.
 */
import type { B32 } from '../../wire/i2p/destination.ts';
import type { InboundStream } from '../session/acceptor.ts';
import { freePort } from '../session/free-port.ts';

/** Whose stream is awaited: one destination's, or that of the first who may come. */
export type AwaitedFrom = B32 | Anyone;

export interface Anyone {
  readonly mayCome: (b32: B32) => boolean;
}

export interface Wanted {
  readonly from: AwaitedFrom;
  /** Asked when a stream comes, of whoever opened it: what was right when it was wanted may not be any more. */
  readonly admits: (b32: B32) => boolean;
  /** The port to have if it is free; 0 for any. */
  readonly port: number;
}

export interface Expectation {
  /** 1..65535; none of two expectations has the same. */
  readonly port: number;
  /** Idempotent. */
  cancel(): void;
}

export interface AwaitedStreams {
  /**
   * @param take called at most once, with a stream that is the caller's then
   * @throws GateError `limit` when streams are awaited on every port
   */
  expect(wanted: Wanted, take: (inbound: InboundStream) => void): Expectation;
  /** @returns whether somebody awaited the stream, and has it now */
  offer(inbound: InboundStream): boolean;
}

interface Awaiting extends Wanted {
  readonly take: (inbound: InboundStream) => void;
}

export function createAwaitedStreams(): AwaitedStreams {
  /** By port, in the order in which they came. */
  const awaiting = new Map<number, Awaiting>();

  /** Most bridges tell no port, and many programs call none: only another port than ours says that we are not meant. */
  const isMeant = ({ toPort }: InboundStream, port: number) => toPort === undefined || toPort === 0 || toPort === port;

  return {
    expect: (wanted, take) => {
      const port = freePort(awaiting, wanted.port);
      const one: Awaiting = { ...wanted, port, take };
      awaiting.set(port, one);
      return {
        port,
        cancel: () => {
          if (awaiting.get(port) === one) awaiting.delete(port);
        },
      };
    },
    offer: (inbound) => {
      const { b32 } = inbound.from;
      const candidates = [...awaiting.values()].filter(({ port, admits }) => isMeant(inbound, port) && admits(b32));
      // A destination that was named goes to whoever named it.
      const found =
        candidates.find(({ from }) => from === b32) ??
        candidates.find(({ from }) => typeof from !== 'string' && from.mayCome(b32));
      if (found === undefined) return false;
      awaiting.delete(found.port);
      found.take(inbound);
      return true;
    },
  };
}

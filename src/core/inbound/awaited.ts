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

export interface Expectation {
  /** 1..65535; none of two expectations has the same. */
  readonly port: number;
  /** Idempotent. */
  cancel(): void;
}

export interface AwaitedStreams {
  /**
   * @param preferred the port to have if it is free; 0 for any
   * @param take called at most once, with a stream that is the caller's then
   * @throws GateError `limit` when streams are awaited on every port
   */
  expect(from: AwaitedFrom, preferred: number, take: (inbound: InboundStream) => void): Expectation;
  /** @returns whether somebody awaited the stream, and has it now */
  offer(inbound: InboundStream): boolean;
}

interface Awaiting {
  readonly from: AwaitedFrom;
  readonly port: number;
  readonly take: (inbound: InboundStream) => void;
}

export function createAwaitedStreams(): AwaitedStreams {
  /** By port, in the order in which they came. */
  const awaiting = new Map<number, Awaiting>();

  /** Most bridges tell no port, and many programs call none: only another port than ours says that we are not meant. */
  const isMeant = ({ toPort }: InboundStream, port: number) => toPort === undefined || toPort === 0 || toPort === port;

  return {
    expect: (from, preferred, take) => {
      const port = freePort(awaiting, preferred);
      const one: Awaiting = { from, port, take };
      awaiting.set(port, one);
      return {
        port,
        cancel: () => {
          if (awaiting.get(port) === one) awaiting.delete(port);
        },
      };
    },
    offer: (inbound) => {
      const candidates = [...awaiting.values()].filter(({ port }) => isMeant(inbound, port));
      const { b32 } = inbound.from;
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

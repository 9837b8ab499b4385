/**
 * One listener for each event of all streams that are joined, which looks up whose stream it is. With listeners of its own each
 * pair would hold 700 bytes more, and tens of thousands of pairs stand at a time.
 */
import type { Duplex } from 'node:stream';
import { GateError } from '../../kit/errors.ts';
import { isLending, type Loan } from '../ports.ts';

/** Who is told of what happens on its streams. */
export interface StreamOwner {
  heard(stream: Duplex, bytes: Uint8Array): void;
  /** Bytes of a stream that lends. */
  borrowed(stream: Duplex, bytes: Uint8Array): Loan;
  drained(stream: Duplex): void;
  ended(stream: Duplex): void;
  failed(stream: Duplex): void;
  closed(stream: Duplex): void;
}

/** @param bytes of `data`; the other events have none */
type Tell = (owner: StreamOwner, stream: Duplex, bytes: Uint8Array) => void;

const EVENTS: ReadonlyArray<readonly [event: string, tell: Tell]> = [
  ['data', (owner, stream, bytes) => owner.heard(stream, bytes)],
  ['drain', (owner, stream) => owner.drained(stream)],
  ['end', (owner, stream) => owner.ended(stream)],
  ['error', (owner, stream) => owner.failed(stream)],
  ['close', (owner, stream) => owner.closed(stream)],
];

export class StreamListeners {
  readonly #owners = new Map<Duplex, StreamOwner>();
  readonly #listeners = EVENTS.map(([event, tell]) => [event, this.#listener(tell)] as const);
  readonly #take = (bytes: Uint8Array, lender: Duplex): Loan =>
    this.#owners.get(lender)?.borrowed(lender, bytes) ?? 'done';

  /**
   * Once for each stream: a second owner would take it from the first, and be told everything twice.
   *
   * @param borrows takes what the stream can lend
   * @throws GateError `bug` the second time
   */
  attach(stream: Duplex, owner: StreamOwner, borrows: boolean): void {
    if (this.#listeners.some(([event, listener]) => stream.listenerCount(event, listener) > 0)) {
      throw new GateError('bug', 'bug', 'a stream was joined twice');
    }
    this.#owners.set(stream, owner);
    for (const [event, listener] of this.#listeners) stream.on(event, listener);
    if (borrows && isLending(stream)) stream.lend(this.#take);
  }

  /** The owner is told nothing more, and a late error of the stream is nobody's. */
  detach(stream: Duplex): void {
    this.#owners.delete(stream);
  }

  #listener(tell: Tell): (this: Duplex, bytes: Uint8Array) => void {
    const owners = this.#owners;
    return function (bytes) {
      const owner = owners.get(this);
      if (owner !== undefined) tell(owner, this, bytes);
    };
  }
}

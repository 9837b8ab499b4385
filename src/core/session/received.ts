/** How much has come on a set of streams, those that have ended included. Holds nothing of a stream that is closed. */
import type { Duplex } from 'node:stream';
import { type CountingStream, isCounting } from '../ports.ts';

export class ReceivedBytes {
  /** With what had come before they were added: the router's own words, and no sign of whoever is at the other end. */
  readonly #open = new Map<Duplex, { readonly stream: CountingStream; readonly before: number }>();
  #closed = 0;
  /** One listener for all streams. */
  readonly #onClose: (this: Duplex) => void;

  constructor() {
    const forget = (stream: Duplex) => {
      this.#closed += this.#receivedOn(stream);
      this.#open.delete(stream);
    };
    this.#onClose = function (this: Duplex) {
      forget(this);
    };
  }

  /**
   * @param stream a socket; of others nothing is known, and nothing counted
   * @param from `now` where only the router has spoken so far; `the start` where somebody else opened it, which says enough
   */
  add(stream: Duplex, from: 'now' | 'the start' = 'now'): void {
    if (stream.destroyed || !isCounting(stream)) return;
    this.#open.set(stream, { stream, before: from === 'now' ? stream.bytesRead : 0 });
    stream.on('close', this.#onClose);
  }

  /** Bytes so far. Never becomes less. */
  total(): number {
    let open = 0;
    for (const stream of this.#open.keys()) open += this.#receivedOn(stream);
    return this.#closed + open;
  }

  #receivedOn(added: Duplex): number {
    const kept = this.#open.get(added);
    return kept === undefined ? 0 : kept.stream.bytesRead - kept.before;
  }
}

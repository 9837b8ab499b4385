/** How much has come on a set of streams, those that have ended included. Holds nothing of a stream that is closed. */
import type { Duplex } from 'node:stream';

export class ReceivedBytes {
  readonly #open = new Set<Duplex>();
  #closed = 0;
  /** One listener for all streams. */
  readonly #onClose: (this: Duplex) => void;

  constructor() {
    const forget = (stream: Duplex) => {
      if (this.#open.delete(stream)) this.#closed += bytesRead(stream);
    };
    this.#onClose = function (this: Duplex) {
      forget(this);
    };
  }

  /** @param stream a socket; of others nothing is known, and nothing counted */
  add(stream: Duplex): void {
    if (stream.destroyed) return;
    this.#open.add(stream);
    stream.on('close', this.#onClose);
  }

  /** Bytes so far. Never becomes less. */
  total(): number {
    let open = 0;
    for (const stream of this.#open) open += bytesRead(stream);
    return this.#closed + open;
  }
}

function bytesRead(stream: Duplex): number {
  return 'bytesRead' in stream && typeof stream.bytesRead === 'number' ? stream.bytesRead : 0;
}

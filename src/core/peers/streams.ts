/**
 * Which streams carry connections of which peer, both ways, so that they end with it: whoever is no peer any more neither
 * reaches anything here nor hears anything from here. Streams of links are not among them, which end with their link.
 */
import type { Duplex } from 'node:stream';
import type { Peer, PeerTable } from './table.ts';

export class PeerStreams {
  readonly #peers: Pick<PeerTable, 'has'>;
  readonly #streams = new Map<Peer, Set<Duplex>>();

  constructor(peers: Pick<PeerTable, 'has'>) {
    this.#peers = peers;
  }

  /** Closes the stream when the peer has been removed while the stream was made. */
  add(peer: Peer, stream: Duplex): void {
    if (!this.#peers.has(peer)) {
      stream.destroy();
      return;
    }
    const streams = this.#streams.get(peer) ?? new Set();
    this.#streams.set(peer, streams.add(stream));
    stream.once('close', () => {
      streams.delete(stream);
      if (streams.size === 0) this.#streams.delete(peer);
    });
  }

  /** Closes all streams of a peer that has been removed. */
  end(peer: Peer): void {
    const streams = this.#streams.get(peer) ?? [];
    this.#streams.delete(peer);
    for (const stream of streams) stream.destroy();
  }
}

/**
 * Which streams carry connections of which peer, both ways, so that they end with it: whoever is no peer any more neither
 * reaches anything here nor hears anything from here, and one whose session is another than before has lost all streams
 * of the old one without a word (session/label.ts). Streams of links are not among them, which end with their link.
 */
import type { Duplex } from 'node:stream';
import type { Clock } from '../../kit/clock.ts';
import type { Peer, PeerTable } from './table.ts';

interface Kept {
  readonly openedAt: number;
  /** Of the session of the peer that it was made on; undefined as long as the peer has not said. */
  label: number | undefined;
}

export class PeerStreams {
  readonly #peers: Pick<PeerTable, 'has'>;
  readonly #clock: Clock;
  readonly #streams = new Map<Peer, Map<Duplex, Kept>>();
  /** The newest label of each, and when the stream was opened on which it was first heard. */
  readonly #labels = new WeakMap<Peer, { readonly label: number; readonly openedAt: number }>();

  constructor(peers: Pick<PeerTable, 'has'>, clock: Clock) {
    this.#peers = peers;
    this.#clock = clock;
  }

  /** Closes the stream when the peer has been removed while the stream was made. */
  add(peer: Peer, stream: Duplex): void {
    if (!this.#peers.has(peer)) {
      stream.destroy();
      return;
    }
    const streams = this.#streams.get(peer) ?? new Map<Duplex, Kept>();
    this.#streams.set(peer, streams.set(stream, { openedAt: this.#clock.now(), label: undefined }));
    stream.once('close', () => {
      streams.delete(stream);
      if (streams.size === 0) this.#streams.delete(peer);
    });
  }

  /** The peer has said on one of its streams which session it speaks on. */
  says(peer: Peer, stream: Duplex, label: number): void {
    const kept = this.#streams.get(peer)?.get(stream);
    if (kept === undefined) return;
    kept.label = label;
    this.heard(peer, label, kept.openedAt);
  }

  /**
   * The peer has said so, on whatever stream. If its session is another than before, streams of the old one are closed.
   *
   * @param openedAt when that stream was opened: what was still under way from before comes on older ones
   * @returns whether it is another
   */
  heard(peer: Peer, label: number, openedAt: number): boolean {
    const known = this.#labels.get(peer);
    if (known?.label === label || (known !== undefined && openedAt < known.openedAt)) return false;
    this.#labels.set(peer, { label, openedAt });
    if (known === undefined) return false;
    for (const [stream, kept] of this.#streams.get(peer) ?? []) {
      if (kept.label !== undefined && kept.label !== label) stream.destroy();
    }
    return true;
  }

  /** Closes all streams of a peer that has been removed. */
  end(peer: Peer): void {
    const streams = this.#streams.get(peer) ?? [];
    this.#streams.delete(peer);
    for (const [stream] of streams) stream.destroy();
  }
}

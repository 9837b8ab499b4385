/**
 * Which streams carry connections of which peer, both ways, so that they end with it: whoever is no peer any more neither
 * reaches anything here nor hears anything from here, and one whose session is another than before has lost all streams
 * of the old one without a word (session/label.ts). Streams of links are not among them, which end with their link.
 */
import type { Duplex } from 'node:stream';
import type { Clock } from '../../kit/clock.ts';
import type { Peer, PeerTable } from './table.ts';

interface TrackedStream {
  readonly openedAt: number;
  /** The label of the peer's session that it was made on, where the peer has said; `unanswered`: it has said nothing at all. */
  session: 'unanswered' | 'unsaid' | number;
}

/** Of a peer, as far as it has been heard. */
interface KnownSession {
  readonly label: number;
  /** When the stream was opened on which that was first said. */
  readonly openedAt: number;
  /** Sessions that came in place of another. */
  readonly restarts: number;
}

export class PeerStreams {
  readonly #peers: Pick<PeerTable, 'has'>;
  readonly #clock: Clock;
  readonly #streams = new Map<Peer, Map<Duplex, TrackedStream>>();
  readonly #sessions = new WeakMap<Peer, KnownSession>();

  constructor(peers: Pick<PeerTable, 'has'>, clock: Clock) {
    this.#peers = peers;
    this.#clock = clock;
  }

  /**
   * Closes the stream when the peer has been removed while the stream was made.
   *
   * @param session `unanswered` where we opened it and wait for the peer's word
   */
  add(peer: Peer, stream: Duplex, session: 'unanswered' | 'unsaid' = 'unsaid'): void {
    if (stream.destroyed) return;
    if (!this.#peers.has(peer)) {
      stream.destroy();
      return;
    }
    const streams = this.#streams.get(peer) ?? new Map<Duplex, TrackedStream>();
    this.#streams.set(peer, streams.set(stream, { openedAt: this.#clock.now(), session }));
    stream.once('close', () => {
      streams.delete(stream);
      if (streams.size === 0) this.#streams.delete(peer);
    });
  }

  /** The peer has answered on a stream that we opened; with the label of its session where it says one. */
  answered(peer: Peer, stream: Duplex, label: number | undefined): void {
    const kept = this.#streams.get(peer)?.get(stream);
    if (kept?.session === 'unanswered') kept.session = 'unsaid';
    if (label !== undefined) this.labelHeardOn(peer, stream, label);
  }

  /** The peer has said on one of its streams which session it speaks on. */
  labelHeardOn(peer: Peer, stream: Duplex, label: number): void {
    const kept = this.#streams.get(peer)?.get(stream);
    if (kept === undefined) return;
    kept.session = label;
    this.labelHeard(peer, label, kept.openedAt);
    // Said on a session that the peer has given up since.
    if (this.#sessions.get(peer)?.label !== label) stream.destroy();
  }

  /**
   * The peer has said which session it speaks on, on whatever stream. If its session is another than before, streams of the old one are closed, and
   * so are older ones on which it has not answered: whoever waits for that asks anew, and is heard.
   *
   * @param openedAt when that stream was opened: what was still under way from before comes on older ones
   */
  labelHeard(peer: Peer, label: number, openedAt: number): void {
    const known = this.#sessions.get(peer);
    if (known === undefined) {
      this.#sessions.set(peer, { label, openedAt, restarts: 0 });
      return;
    }
    if (known.label === label || openedAt < known.openedAt) return;
    this.#sessions.set(peer, { label, openedAt, restarts: known.restarts + 1 });
    for (const [stream, kept] of this.#streams.get(peer) ?? []) {
      if (isOver(kept, label, openedAt)) stream.destroy();
    }
  }

  /** How often the peer has come with another session than before. */
  restarts(peer: Peer): number {
    return this.#sessions.get(peer)?.restarts ?? 0;
  }

  /** Closes all streams of a peer that has been removed. */
  end(peer: Peer): void {
    const streams = this.#streams.get(peer) ?? [];
    this.#streams.delete(peer);
    for (const [stream] of streams) stream.destroy();
  }
}

function isOver({ session, openedAt }: TrackedStream, label: number, saidOnOneOpenedAt: number): boolean {
  switch (session) {
    case 'unanswered':
      return openedAt < saidOnOneOpenedAt;
    case 'unsaid':
      return false;
    default:
      return session !== label;
  }
}

/**
 * The streams of one link: carries out what link-policy decides about each, and knows which of them is in use. Opens none,
 * and knows no packets.
 */
import type { LinkLedger } from './link-ledger.ts';
import {
  chooseStream,
  type Direction,
  fateOf,
  isDueForSuccessor,
  leastUseful,
  unheardMs,
  vouches,
} from './link-policy.ts';
import type { LinkStream } from './link-stream.ts';

export interface LinkStreamsParts {
  /** Whose dial is kept when both cross. */
  readonly preferred: Direction;
  readonly ledger: LinkLedger;
  /** Another one is in use than before, or none is. */
  chosen(now: LinkStream | undefined, before: LinkStream | undefined): void;
}

/** Streams of one link at a time: one each way, and as many that replace them. */
const LONGEST_LIST = 8;

export class LinkStreams {
  readonly #parts: LinkStreamsParts;
  readonly #all = new Set<LinkStream>();
  #chosen: LinkStream | undefined;
  /** When the last of those was opened that we have opened. */
  #dialledAt = Number.NEGATIVE_INFINITY;

  constructor(parts: LinkStreamsParts) {
    this.#parts = parts;
  }

  /** The one in use. */
  get chosen(): LinkStream | undefined {
    return this.#chosen;
  }

  /** Open, and neither ended by us nor doubted. */
  get count(): number {
    return [...this.#all].filter(({ standing }) => standing === 'new' || standing === 'heard').length;
  }

  /** Is there one that carries our packets, or may soon? Of one that is doubted nobody can say. */
  get mayCarry(): boolean {
    return [...this.#all].some(({ standing, mayCarry }) => mayCarry && (standing === 'new' || standing === 'heard'));
  }

  /** Gives one up where there are too many for another. */
  makeRoom(): void {
    if (this.#all.size < LONGEST_LIST) return;
    const victim = leastUseful(this.#all, this.#chosen);
    if (victim === undefined) return;
    this.#all.delete(victim);
    victim.destroy();
  }

  add(stream: LinkStream): void {
    this.#all.add(stream);
    if (stream.direction !== 'out') return;
    const now = stream.openedAt;
    this.#dialledAt = now;
    if ([...this.#all].some((other) => vouches(other, now))) stream.vouch();
  }

  /** @returns whether the link has lost something by it: one that we ended or doubted says nothing about the peer */
  remove(stream: LinkStream): boolean {
    this.#all.delete(stream);
    if (this.#chosen === stream) this.choose();
    const { mayCarry, standing } = stream;
    return this.#chosen === undefined && mayCarry && (standing === 'new' || standing === 'heard');
  }

  /**
   * An OnionCat never speaks on a stream that we opened; it opens its own. Where nobody can say who opened that, it is
   * still the best sign that ours has arrived. A liar hears nothing by it: what we send goes to the peer's destination. He
   * can have us send to a peer that is gone, so he is believed for a while only.
   */
  vouchForOurs(): void {
    for (const stream of this.#all) {
      if (stream.direction === 'out' && stream.standing !== 'doubted') stream.vouch();
    }
  }

  /** Is another to be dialled, though one is in use? */
  isDueForSuccessor(now: number): boolean {
    return isDueForSuccessor(this.#chosen, this.#dialledAt, now);
  }

  /** Our router says that the peer cannot be reached, which counts for more than what strangers say. */
  noteUnreachable(): void {
    if (this.#chosen?.isVouched === true) this.#doubt(this.#chosen);
  }

  choose(): void {
    const before = this.#chosen;
    this.#chosen = chooseStream(this.#all, this.#parts.preferred);
    this.#parts.chosen(this.#chosen, before);
  }

  /** @param idle nobody wants the link any more */
  look(now: number, idle: boolean): void {
    for (const stream of [...this.#all]) {
      if (idle && stream.direction === 'out') this.#retire(stream);
      else this.#apply(stream, now, idle);
    }
  }

  destroy(): void {
    for (const stream of this.#all) stream.destroy();
  }

  #apply(stream: LinkStream, now: number, idle: boolean): void {
    const { ledger } = this.#parts;
    const fate = fateOf(stream, this.#chosen, now, unheardMs(ledger.roundTripMs));
    switch (fate) {
      case 'keep':
        return;
      case 'probe':
        // Nobody wants it: left alone, the peer closes it.
        if (!idle) stream.probe();
        return;
      case 'retire':
        this.#retire(stream);
        return;
      case 'doubt':
        this.#doubt(stream);
        return;
      case 'give-up':
        if (stream.standing === 'new') this.#noteUnheard(stream);
        stream.destroy();
        return;
      default:
        fate satisfies never;
    }
  }

  #retire(stream: LinkStream): void {
    if (stream.standing === 'retired') return;
    stream.retire();
    if (this.#chosen === stream) this.choose();
  }

  #doubt(stream: LinkStream): void {
    // One old stream is as good a sign as several.
    for (const other of this.#all) if (other.standing === 'doubted') other.destroy();
    stream.doubt();
    this.#parts.ledger.traffic.add('deadStreams');
    if (this.#chosen === stream) this.choose();
    this.#noteSilence(stream);
  }

  #noteUnheard(stream: LinkStream): void {
    const { ledger } = this.#parts;
    ledger.traffic.add('deadStreams');
    if (stream.direction === 'out' && this.#chosen === undefined) ledger.vainDials += 1;
    this.#noteSilence(stream);
  }

  /** An OnionCat never speaks on a stream that we opened, and is well: only a link without any is silent. */
  #noteSilence({ mayCarry }: LinkStream): void {
    if (this.#chosen === undefined && mayCarry) this.#parts.ledger.noteSilence();
  }
}

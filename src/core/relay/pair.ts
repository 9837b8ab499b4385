/**
 * Joins two streams until both directions are over. It knows nothing of SOCKS, packets or I2P beyond one fact: on some
 * streams the end of one direction ends both (docs/adr/0007).
 *
 * - Data is never buffered beyond the two streams' own marks: a full side pauses the other.
 * - The last bytes are written before an end is passed on.
 * - An end towards a side without half-close is held back until that side has finished, or has been quiet for a while,
 *   since passing it on would lose the answer still under way.
 */
import type { Duplex } from 'node:stream';
import type { Clock, Timer } from '../../kit/clock.ts';
import { NO_BYTES } from '../../kit/step.ts';
import type { Tally } from '../../kit/tally.ts';
import type { RelayEnd } from '../dial/target.ts';
import { type Loan, writesThrough } from '../ports.ts';
import { abandon } from './abandon.ts';
import type { IdleWatch, Silent } from './idle-watch.ts';
import type { RelayCounter, RelayOptions, RelayReport } from './report.ts';
import type { StreamListeners, StreamOwner } from './stream-listeners.ts';

/** How long a side may take to close by itself once it has all that it can get: a flow's other end may still be reading. */
const LINGER_MS = 60_000;
/** The same where the other side has failed, so that nobody hears what this one still says. */
const FAILED_LINGER_MS = 10_000;
const LINGER_CHECK_MS = 5_000;
/** How long the last bytes may wait for a reader that takes none of them. */
const STALLED_MS = 120_000;

/** What all pairs of a relay have in common. */
export interface SharedByPairs {
  readonly clock: Clock;
  readonly heldEndMs: number;
  readonly counts: Tally<RelayCounter>;
  readonly idle: IdleWatch;
  readonly listeners: StreamListeners;
  /** Told of the end of every pair, before whoever had it joined. */
  over(report: RelayReport): void;
}

/** One of the two streams, and what has become of it. */
interface RelaySide {
  readonly name: 'near' | 'far';
  readonly end: RelayEnd;
  readonly stream: Duplex;
  /** It sends nothing more. */
  finished: boolean;
  /** Nothing more is written to it. */
  ending: boolean;
  closed: boolean;
  lastRead: number;
}

export class RelayPair implements Silent, StreamOwner {
  readonly #near: RelaySide;
  readonly #far: RelaySide;
  readonly #how: RelayOptions;
  readonly #shared: SharedByPairs;
  readonly #tell: (report: RelayReport) => void;
  /** Made when the first timer is, since most pairs stand for long and need none. */
  #timers: Set<Timer> | undefined;
  /** The last side that said anything. */
  #speaker: RelaySide | undefined;
  #outcome: RelayReport['ended'] = 'both-finished';

  /** @param tell told of the end, once */
  constructor(
    near: RelayEnd,
    far: RelayEnd,
    how: RelayOptions,
    shared: SharedByPairs,
    tell: (report: RelayReport) => void,
  ) {
    this.#how = how;
    this.#shared = shared;
    this.#tell = tell;
    const now = shared.clock.now();
    this.#near = sideOf('near', near, now);
    this.#far = sideOf('far', far, now);
  }

  start(): void {
    const { signal, idleMs } = this.#how;
    signal.addEventListener('abort', this);
    this.#attach(this.#near, this.#far);
    this.#attach(this.#far, this.#near);
    // Both may have been gone before.
    if (this.#near.closed && this.#far.closed) return;
    if (idleMs > 0) this.#shared.idle.add(this);
    if (signal.aborted) this.handleEvent();
  }

  get idleMs(): number {
    return this.#how.idleMs;
  }

  get lastHeard(): number {
    return Math.max(this.#near.lastRead, this.#far.lastRead);
  }

  onIdle(): void {
    this.#fail('idle');
  }

  /** Of the signal: clients' own (kit/abort.ts) keep the pair itself, and no function has to be made for it. */
  handleEvent(): void {
    this.#fail('cancelled');
  }

  heard(stream: Duplex, bytes: Uint8Array): void {
    const from = this.#sideOf(stream);
    this.#pass(from, this.#otherOf(from), bytes);
  }

  borrowed(stream: Duplex, bytes: Uint8Array): Loan {
    const from = this.#sideOf(stream);
    const to = this.#otherOf(from);
    // Behind others they stay for certain, and one whole buffer in each direction is enough.
    const waits = to.stream.writableLength > 0;
    this.#pass(from, to, waits ? Buffer.from(bytes) : bytes);
    if (waits || to.stream.writableLength === 0) return 'done';
    // It is resumed when all of it has been written.
    return stream.isPaused() ? 'until-resumed' : 'kept';
  }

  drained(stream: Duplex): void {
    this.#otherOf(this.#sideOf(stream)).stream.resume();
  }

  ended(stream: Duplex): void {
    const side = this.#sideOf(stream);
    this.#sideFinished(side, this.#otherOf(side));
  }

  failed(stream: Duplex): void {
    const side = this.#sideOf(stream);
    this.#passRest(side);
    this.#fail(`${side.name}-failed`);
  }

  closed(stream: Duplex): void {
    const side = this.#sideOf(stream);
    this.#passRest(side);
    this.#sideClosed(side);
  }

  #finish(): void {
    const { idle, listeners } = this.#shared;
    this.#how.signal.removeEventListener('abort', this);
    for (const timer of this.#timers ?? []) timer.cancel();
    idle.delete(this);
    listeners.detach(this.#near.stream);
    listeners.detach(this.#far.stream);
    const report = { ended: this.#outcome };
    this.#shared.over(report);
    this.#tell(report);
  }

  #attach(from: RelaySide, to: RelaySide): void {
    const { stream } = from;
    // While nobody listens: whoever reads as well as listening gets each byte twice.
    if (stream.destroyed) this.#passRest(from);
    this.#shared.listeners.attach(stream, this, writesThrough(to.stream));
    if (stream.destroyed) this.closed(stream);
    else if (stream.readableEnded) this.#sideFinished(from, to);
    else stream.resume();
  }

  #pass(from: RelaySide, to: RelaySide, chunk: Uint8Array): void {
    const counter = from.name === 'near' ? 'bytesOut' : 'bytesIn';
    from.lastRead = this.#shared.clock.now();
    this.#speaker = from;
    if (to.ending) {
      // Only after the other side has gone for good: there is nobody left to have these.
      this.#shared.counts.add('bytesDiscarded', chunk.length);
      return;
    }
    this.#shared.counts.add(counter, chunk.length);
    if (!to.stream.write(chunk)) from.stream.pause();
  }

  /** A stream that dies while it is paused still holds what had come on it. */
  #passRest(from: RelaySide): void {
    const { stream } = from;
    const to = this.#otherOf(from);
    for (let rest: unknown = stream.read(); rest instanceof Uint8Array; rest = stream.read())
      this.#pass(from, to, rest);
  }

  #sideFinished(side: RelaySide, other: RelaySide): void {
    if (side.finished) return;
    side.finished = true;
    if (!side.end.halfClose) {
      // It hears nothing any more either, so whatever the other side still says is lost, and it may as well stop.
      this.#endTowards(side);
      this.#endTowards(other);
    } else if (other.end.halfClose || other.finished) this.#endTowards(other);
    else this.#holdEnd(other);
    if (other.finished) this.#endTowards(side);
  }

  /** Writes out what is buffered, then ends the direction towards `side`. */
  #endTowards(side: RelaySide): void {
    if (side.ending) return;
    side.ending = true;
    side.stream.end();
    // A paused source would keep the pair alive: let it run dry.
    this.#otherOf(side).stream.resume();
    this.#sayFarewell(side);
  }

  /** Passes the held end on once `side` has nothing more to say. */
  #holdEnd(side: RelaySide): void {
    const hearer = this.#otherOf(side).stream;
    const wasAnswered = side === this.#far && this.#speaker === side && hearer.writableLength === 0;
    if (wasAnswered) this.#how.onAnswered?.(() => this.#endTowards(side));
    let pending = hearer.writableLength;
    let busyAt = this.#shared.clock.now();
    const check = () => {
      if (side.ending || side.closed) return;
      const now = this.#shared.clock.now();
      busyAt = Math.max(busyAt, side.lastRead);
      // While its hearer is slow the side is paused, which is not the same as quiet.
      if (hearer.writableLength !== pending) busyAt = now;
      pending = hearer.writableLength;
      const left = busyAt + (pending > 0 ? STALLED_MS : this.#shared.heldEndMs) - now;
      if (left <= 0) this.#endTowards(side);
      else this.#after(Math.min(left, this.#shared.heldEndMs), check);
    };
    this.#after(this.#shared.heldEndMs, check);
  }

  /** Bounds the time between our end and the close of `side`, without hurrying a reader that still takes bytes. */
  #sayFarewell(side: RelaySide): void {
    let left = side.stream.writableLength;
    let since = this.#shared.clock.now();
    const check = () => {
      if (side.closed) return;
      const now = this.#shared.clock.now();
      const pending = side.stream.writableLength;
      if (pending !== left || (!side.finished && !this.#isOver())) {
        left = pending;
        since = now;
      }
      const waited = now - since;
      const regular = this.#outcome === 'both-finished';
      if (pending > 0 && waited >= STALLED_MS) {
        if (regular) this.#outcome = `${side.name}-failed`;
        abandon(side.stream);
      } else if (pending === 0 && waited >= (regular ? LINGER_MS : FAILED_LINGER_MS)) side.stream.destroy();
      else this.#after(LINGER_CHECK_MS, check);
    };
    this.#after(LINGER_CHECK_MS, check);
  }

  /** Nothing that either side could still say has a hearer. */
  #isOver(): boolean {
    return this.#near.ending && this.#far.ending;
  }

  #sideClosed(side: RelaySide): void {
    if (side.closed) return;
    side.closed = true;
    const other = this.#otherOf(side);
    if (other.closed) {
      this.#finish();
      return;
    }
    if (!side.finished && this.#outcome === 'both-finished' && !this.#isOver()) {
      this.#fail(`${side.name}-failed`);
      return;
    }
    this.#endTowards(side);
    this.#endTowards(other);
  }

  #fail(ended: RelayReport['ended']): void {
    if (this.#outcome === 'both-finished') this.#outcome = ended;
    const oneSideDied = ended === 'near-failed' || ended === 'far-failed';
    for (const side of [this.#near, this.#far]) {
      const { stream, ending, closed } = side;
      side.ending = true;
      if (closed || (oneSideDied && ending)) {
        // It is gone, or is being told of a regular end, which the failure does not undo.
      } else if (oneSideDied && stream.writableLength > 0 && !stream.destroyed) {
        // What the dead side said before still belongs to this one.
        stream.write(NO_BYTES, () => abandon(stream));
        this.#sayFarewell(side);
      } else abandon(stream);
    }
  }

  #after(ms: number, run: () => void): void {
    this.#timers ??= new Set();
    const timers = this.#timers;
    const timer = this.#shared.clock.after(ms, () => {
      timers.delete(timer);
      run();
    });
    timers.add(timer);
  }

  #sideOf(stream: Duplex): RelaySide {
    return stream === this.#near.stream ? this.#near : this.#far;
  }

  #otherOf(side: RelaySide): RelaySide {
    return side === this.#near ? this.#far : this.#near;
  }
}

function sideOf(name: 'near' | 'far', end: RelayEnd, now: number): RelaySide {
  const { stream } = end;
  return { name, end, stream, finished: false, ending: false, closed: false, lastRead: now };
}

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
import { createTally, type Tally } from '../../kit/tally.ts';
import type { RelayEnd } from '../dial/target.ts';
import { isLending, writesThrough } from '../ports.ts';
import type { Join, Relay, RelayOptions, RelayReport, ReservedSlot } from './report.ts';

export interface RelayCoreOptions {
  readonly clock: Clock;
  /** Joined pairs at one time; more are closed at once. */
  readonly maxPairs: number;
  /** How long a side without half-close may be quiet before a held end is passed on. Milliseconds. */
  readonly heldEndMs: number;
}

/** How long a side may take to close by itself once it has all that it can get: a flow's other end may still be reading. */
const LINGER_MS = 60_000;
/** The same where the other side has failed, so that nobody hears what this one still says. */
const FAILED_LINGER_MS = 10_000;
const LINGER_CHECK_MS = 5_000;
/** How long the last bytes may wait for a reader that takes none of them. */
const STALLED_MS = 120_000;

const RELAY_COUNTERS = ['joined', 'refusedLimit', 'bytesOut', 'bytesIn', 'bytesDiscarded', 'failed', 'idle'] as const;
export type RelayCounter = (typeof RELAY_COUNTERS)[number];

export interface RelayCore extends Relay {
  readonly active: number;
  counters(): Readonly<Record<RelayCounter, number>>;
}

export function createRelayCore(options: RelayCoreOptions): RelayCore {
  const counts = createTally(RELAY_COUNTERS);
  let active = 0;
  const leave = () => {
    active -= 1;
  };
  /** Not an async function: one would keep its frame for as long as the pair stands. */
  const joinInPlace: Join = (near, far, how) =>
    new Promise((resolve) => {
      counts.add('joined');
      const over = (report: RelayReport) => {
        leave();
        if (report.ended === 'near-failed' || report.ended === 'far-failed') counts.add('failed');
        if (report.ended === 'idle') counts.add('idle');
        resolve(report);
      };
      new RelayPair(near, far, how, options, counts, over).start();
    });
  const slot: ReservedSlot = { join: joinInPlace, leave };
  const reserve = () => {
    if (active >= options.maxPairs) {
      counts.add('refusedLimit');
      return undefined;
    }
    active += 1;
    return slot;
  };
  return {
    get active() {
      return active;
    },
    counters: () => counts.snapshot(),
    reserve,
    join: (near, far, how) => {
      const reserved = reserve();
      if (reserved !== undefined) return reserved.join(near, far, how);
      abandon(near.stream);
      abandon(far.stream);
      return Promise.resolve({ bytesOut: 0, bytesIn: 0, ended: 'limit' });
    },
  };
}

/** One of the two streams, and what has become of it. */
interface RelaySide {
  readonly name: 'near' | 'far';
  readonly end: RelayEnd;
  readonly stream: Duplex;
  /** Bytes read from this side. */
  bytes: number;
  /** It sends nothing more. */
  finished: boolean;
  /** Nothing more is written to it. */
  ending: boolean;
  closed: boolean;
  lastRead: number;
}

class RelayPair {
  readonly #near: RelaySide;
  readonly #far: RelaySide;
  readonly #how: RelayOptions;
  readonly #clock: Clock;
  readonly #heldEndMs: number;
  readonly #counts: Tally<RelayCounter>;
  /** All but the idle one; made when the first of them is, since most pairs stand for long and need none. */
  #timers: Set<Timer> | undefined;
  #idle: Timer | undefined;
  /** The last side that said anything. */
  #speaker: RelaySide | undefined;
  readonly #over: (report: RelayReport) => void;
  readonly #onAbort = () => this.#fail('cancelled');
  #ended: RelayReport['ended'] = 'both-finished';

  constructor(
    near: RelayEnd,
    far: RelayEnd,
    how: RelayOptions,
    options: RelayCoreOptions,
    counts: Tally<RelayCounter>,
    over: (report: RelayReport) => void,
  ) {
    this.#how = how;
    this.#clock = options.clock;
    this.#heldEndMs = options.heldEndMs;
    this.#counts = counts;
    this.#over = over;
    const now = this.#clock.now();
    const side = (name: 'near' | 'far', end: RelayEnd): RelaySide => ({
      name,
      end,
      stream: end.stream,
      bytes: 0,
      finished: false,
      ending: false,
      closed: false,
      lastRead: now,
    });
    this.#near = side('near', near);
    this.#far = side('far', far);
  }

  start(): void {
    this.#how.signal.addEventListener('abort', this.#onAbort, { once: true });
    this.#attach(this.#near, this.#far);
    this.#attach(this.#far, this.#near);
    // Both may have been gone before.
    if (this.#near.closed && this.#far.closed) return;
    if (this.#how.idleMs > 0) this.#watchIdle(this.#how.idleMs);
    if (this.#how.signal.aborted) this.#onAbort();
  }

  #finish(): void {
    this.#how.signal.removeEventListener('abort', this.#onAbort);
    for (const timer of this.#timers ?? []) timer.cancel();
    this.#idle?.cancel();
    this.#over({ bytesOut: this.#near.bytes, bytesIn: this.#far.bytes, ended: this.#ended });
  }

  #attach(from: RelaySide, to: RelaySide): void {
    const { stream } = from;
    stream.on('data', (chunk: Uint8Array) => this.#pass(from, to, chunk));
    if (isLending(stream) && writesThrough(to.stream)) {
      stream.lend((bytes) => {
        this.#pass(from, to, bytes);
        return to.stream.writableLength === 0 ? 'done' : 'kept';
      });
    }
    to.stream.on('drain', () => stream.resume());
    stream.on('end', () => this.#finished(from, to));
    stream.on('error', () => {
      this.#passRest(from, to);
      this.#fail(`${from.name}-failed`);
    });
    stream.on('close', () => {
      this.#passRest(from, to);
      this.#closed(from);
    });
    if (stream.destroyed) {
      this.#passRest(from, to);
      this.#closed(from);
    } else if (stream.readableEnded) this.#finished(from, to);
    else stream.resume();
  }

  #pass(from: RelaySide, to: RelaySide, chunk: Uint8Array): void {
    const counter = from.name === 'near' ? 'bytesOut' : 'bytesIn';
    from.lastRead = this.#clock.now();
    this.#speaker = from;
    if (to.ending) {
      // Only after the other side has gone for good: there is nobody left to have these.
      this.#counts.add('bytesDiscarded', chunk.length);
      return;
    }
    from.bytes += chunk.length;
    this.#counts.add(counter, chunk.length);
    if (!to.stream.write(chunk)) from.stream.pause();
  }

  /** A stream that dies while it is paused still holds what had come on it. */
  #passRest(from: RelaySide, to: RelaySide): void {
    const { stream } = from;
    for (let rest: unknown = stream.read(); rest instanceof Uint8Array; rest = stream.read())
      this.#pass(from, to, rest);
  }

  #finished(side: RelaySide, other: RelaySide): void {
    if (side.finished) return;
    side.finished = true;
    if (other.end.halfClose || other.finished) this.#endTowards(other);
    else this.#holdEnd(other);
    if (!side.end.halfClose) {
      // It hears nothing any more either, so whatever the other side still says is lost, and it may as well stop.
      this.#endTowards(side);
      this.#endTowards(other);
    }
    if (side.finished && other.finished) this.#endTowards(side);
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
    let busyAt = this.#clock.now();
    const check = () => {
      if (side.ending || side.closed) return;
      const now = this.#clock.now();
      busyAt = Math.max(busyAt, side.lastRead);
      // While its hearer is slow the side is paused, which is not the same as quiet.
      if (hearer.writableLength !== pending) busyAt = now;
      pending = hearer.writableLength;
      const left = busyAt + (pending > 0 ? STALLED_MS : this.#heldEndMs) - now;
      if (left <= 0) this.#endTowards(side);
      else this.#after(Math.min(left, this.#heldEndMs), check);
    };
    this.#after(this.#heldEndMs, check);
  }

  /** Bounds the time between our end and the close of `side`, without hurrying a reader that still takes bytes. */
  #sayFarewell(side: RelaySide): void {
    let left = side.stream.writableLength;
    let since = this.#clock.now();
    const check = () => {
      if (side.closed) return;
      const now = this.#clock.now();
      const pending = side.stream.writableLength;
      if (pending !== left || (!side.finished && !this.#isOver())) {
        left = pending;
        since = now;
      }
      const waited = now - since;
      const regular = this.#ended === 'both-finished';
      if (pending > 0 && waited >= STALLED_MS) {
        if (regular) this.#ended = `${side.name}-failed`;
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

  #closed(side: RelaySide): void {
    if (side.closed) return;
    side.closed = true;
    const other = this.#otherOf(side);
    if (other.closed) {
      this.#finish();
      return;
    }
    if (!side.finished && this.#ended === 'both-finished' && !this.#isOver()) {
      this.#fail(`${side.name}-failed`);
      return;
    }
    this.#endTowards(side);
    this.#endTowards(other);
  }

  #fail(ended: RelayReport['ended']): void {
    if (this.#ended === 'both-finished') this.#ended = ended;
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

  #watchIdle(idleMs: number): void {
    const check = () => {
      const idle = this.#clock.now() - Math.max(this.#near.lastRead, this.#far.lastRead);
      if (idle >= idleMs) this.#fail('idle');
      else this.#idle = this.#clock.after(idleMs - idle, check);
    };
    this.#idle = this.#clock.after(idleMs, check);
  }

  #after(ms: number, run: () => void): void {
    this.#timers ??= new Set();
    const timers = this.#timers;
    const timer = this.#clock.after(ms, () => {
      timers.delete(timer);
      run();
    });
    timers.add(timer);
  }

  #otherOf(side: RelaySide): RelaySide {
    return side === this.#near ? this.#far : this.#near;
  }
}

/** Closes a stream so that its user sees a failure and not a regular end, where the stream can say so. */
function abandon(stream: Duplex): void {
  // A unix socket has the method and throws; it has no address either.
  const isTcp = 'remoteAddress' in stream && stream.remoteAddress !== undefined;
  // Once an end is on its way libuv refuses a reset, and Node (20 to 24) then never closes the socket at all.
  const endUnderWay = stream.writableEnded && stream.writableLength === 0;
  if (isTcp && !endUnderWay && 'resetAndDestroy' in stream && typeof stream.resetAndDestroy === 'function') {
    stream.resetAndDestroy();
  } else stream.destroy();
}

/**
 * The decisions of a link to one peer, as pure functions: which of its streams carries our packets, which are given up,
 * and when a stream is asked for a sign of life.
 */
import type { B32 } from '../../wire/i2p/destination.ts';

/** Who opened a stream, seen from us. */
export type Direction = 'out' | 'in';

/**
 * How far a stream is trusted.
 * - `new`: the peer has not spoken on it, or not answered where it could. That it was opened proves nothing: routers say OK for
 *   peers that are gone, and bring streams that have been given up.
 * - `heard`: the peer is there, and it may carry our packets (docs/adr/0035).
 * - `doubted`: it has fallen silent, and another is dialled; it is kept in case that only the line was cut.
 * - `retired`: we have ended it. It may still bring something, but carries nothing of ours any more.
 */
export type StreamStanding = 'new' | 'heard' | 'doubted' | 'retired';

export interface StreamFacts {
  readonly direction: Direction;
  readonly standing: StreamStanding;
  readonly openedAt: number;
  /** When the peer was first heard on it: both sides know that within a round trip. Of a new one: when it was opened. */
  readonly firstHeardAt: number;
  readonly lastHeardAt: number;
  readonly lastSentAt: number;
  /** The same without keepalives: an OnionCat owes no answer to those. */
  readonly lastPacketSentAt: number;
  /** When an answer was asked for that has not come. */
  readonly probedAt: number | undefined;
  /** The peer answers probes: it announced itself as one of our kind. */
  readonly answers: boolean;
  /** Our packets may go out on it: not on a stream of which nobody knows who opened it. */
  readonly mayCarry: boolean;
  /** The peer has not spoken on it; that it arrives is known by the word of strangers alone. */
  readonly isVouched: boolean;
}

/** How often the fate of streams is looked at. */
export const TICK_MS = 2_000;
/** A new stream must be heard within this, or it is taken for dead. A slow I2P round trip is 10 s. */
export const UNHEARD_MS = 30_000;
/** The same where round trips to this peer are known: so many of them, but time for its router to find its way to us. */
const UNHEARD_ROUND_TRIPS = 12;
const LEAST_UNHEARD_MS = 10_000;
/** Together with two ticks: 30 s of silence under traffic, and the stream is given up. */
const PROBE_AFTER_UNANSWERED_MS = 8_000;
const PROBE_ANSWER_MS = 18_000;
const PROBE_AFTER_SILENCE_MS = 60_000;
/** An OnionCat answers no probe, but dials back when it is dialled: so a new stream is the only way to ask it. */
const ONIONCAT_UNHEARD_MS = 300_000;
/** OnionCat ends an idle stream after 180 s. */
const UNVERIFIED_IDLE_MS = 200_000;
/** What a stranger said longer ago says nothing about a stream that is opened now. */
const FRESH_WORD_MS = UNHEARD_MS;
/** So long strangers are believed that our stream arrives: they may be anybody, and where a new one ends is certain. */
const VOUCHED_MS = ONIONCAT_UNHEARD_MS;
/** A stream that carried a packet so lately is in use. */
const IN_USE_MS = 60_000;
/** How long a stream that is no longer used may still bring what was under way on it. */
const RETIRE_AFTER_MS = 15_000;
/** A stream may come back so long after its last word: for as long the routers repeat what was not acknowledged. */
export const DOUBTED_MS = 330_000;

/**
 * When both sides have dialled at the same time, both must settle on the same stream: the one dialled by the side whose
 * b32 name sorts first.
 */
export function preferredDirection(own: B32, peer: B32): Direction {
  return own < peer ? 'out' : 'in';
}

/**
 * Streams of dials that cross are first heard within this of each other. One that comes later says that its dialler has
 * lost the stream before, though we may not know yet: a router that dies tells nobody. Not counted from when they were
 * opened: on a line that is cut each side has opened its own long before the other hears of it.
 */
const CROSSING_MS = 10_000;

/** The stream to send on: one on which the peer has spoken; a later one, else of the preferred direction, else the newest. */
export function chooseStream<Stream extends StreamFacts>(
  streams: Iterable<Stream>,
  preferred: Direction,
): Stream | undefined {
  let best: Stream | undefined;
  for (const stream of streams) {
    if (stream.standing !== 'heard' || !stream.mayCarry) continue;
    if (best === undefined || isBetter(stream, best, preferred)) best = stream;
  }
  return best;
}

function isBetter(one: StreamFacts, other: StreamFacts, preferred: Direction): boolean {
  const later = one.firstHeardAt - other.firstHeardAt;
  if (one.direction === other.direction) return later >= 0;
  return Math.abs(later) > CROSSING_MS ? later > 0 : one.direction === preferred;
}

/**
 * The stream to give up for a newer one: an ended one, else a stranger's, else the oldest that the peer has opened and not
 * answered on, as it has mostly given that up, else the oldest that is not chosen.
 */
export function leastUseful<Stream extends StreamFacts>(
  streams: Iterable<Stream>,
  chosen: Stream | undefined,
): Stream | undefined {
  const idle = [...streams].filter((stream) => stream !== chosen);
  return (
    idle.find(({ standing }) => standing === 'retired') ??
    idle.find(({ mayCarry }) => !mayCarry) ??
    idle.find(({ direction, standing }) => direction === 'in' && standing === 'new') ??
    idle[0]
  );
}

/** @param roundTripMs to this peer, on whatever stream; undefined while it is unknown */
export function unheardMs(roundTripMs: number | undefined): number {
  if (roundTripMs === undefined) return UNHEARD_MS;
  return Math.min(Math.max(UNHEARD_ROUND_TRIPS * roundTripMs, LEAST_UNHEARD_MS), UNHEARD_MS);
}

/** A peer that was heard within this is expected back, one that was not may be off for days. */
const EXPECTED_BACK_MS = 10 * 60_000;
const LONGEST_PAUSE_EXPECTED_MS = 10_000;
const LONGEST_PAUSE_MS = 30_000;

/**
 * The longest pause between two dials: they cost the router little, but there may be hundreds of peers that are off.
 *
 * @param silenceMs since the peer was heard last; undefined when it never was
 */
export function longestPauseMs(silenceMs: number | undefined): number {
  return silenceMs !== undefined && silenceMs < EXPECTED_BACK_MS ? LONGEST_PAUSE_EXPECTED_MS : LONGEST_PAUSE_MS;
}

/** Does what is heard on a stranger's stream say that ours, which is opened now, arrives? */
export function vouches({ mayCarry, standing, lastHeardAt }: StreamFacts, now: number): boolean {
  return !mayCarry && standing === 'heard' && now - lastHeardAt <= FRESH_WORD_MS;
}

/**
 * Is another stream to be dialled beside the one in use, since it would only be used for as long as strangers please?
 *
 * @param openedAt when a stream was opened to the peer last
 */
export function isDueForSuccessor(chosen: StreamFacts | undefined, openedAt: number, now: number): boolean {
  return chosen?.isVouched === true && now - chosen.lastPacketSentAt < IN_USE_MS && now - openedAt > VOUCHED_MS;
}

/** `doubt`: it is not used, but kept. `give-up`: there is no hope left for it. */
export type StreamFate = 'keep' | 'probe' | 'retire' | 'doubt' | 'give-up';

/**
 * @param chosen the stream that we send on, if any
 * @param patienceMs how long a new stream may be unheard
 */
export function fateOf(
  stream: StreamFacts,
  chosen: StreamFacts | undefined,
  now: number,
  patienceMs = UNHEARD_MS,
): StreamFate {
  const { standing } = stream;
  switch (standing) {
    case 'retired':
      return 'keep';
    case 'new':
      return now - stream.openedAt > patienceMs ? 'give-up' : 'keep';
    case 'doubted':
      return mayComeBack(stream, chosen, now) ? 'keep' : 'give-up';
    case 'heard':
      return chosen === undefined || chosen === stream || !stream.mayCarry
        ? fateOfUsed(stream, now)
        : fateOfReplaced(stream, chosen, now);
    default:
      return standing satisfies never;
  }
}

/** Beside a stream that is in use it may still bring what was under way on it, as one that is retired. */
function mayComeBack(stream: StreamFacts, chosen: StreamFacts | undefined, now: number): boolean {
  if (!stream.answers || now - stream.lastHeardAt > DOUBTED_MS) return false;
  return chosen === undefined || now - chosen.firstHeardAt <= RETIRE_AFTER_MS;
}

/** Each side ends only what it may: its own dial, and what the peer has replaced by a newer stream. */
function fateOfReplaced(stream: StreamFacts, chosen: StreamFacts, now: number): StreamFate {
  const replaced = stream.direction === 'out' || chosen.direction === stream.direction;
  return replaced && now - Math.max(stream.lastSentAt, chosen.firstHeardAt) > RETIRE_AFTER_MS ? 'retire' : 'keep';
}

function fateOfUsed(stream: StreamFacts, now: number): StreamFate {
  const silence = now - stream.lastHeardAt;
  if (!stream.mayCarry) return silence > UNVERIFIED_IDLE_MS ? 'doubt' : 'keep';
  if (stream.probedAt !== undefined) return now - stream.probedAt > PROBE_ANSWER_MS ? 'doubt' : 'keep';
  if (!stream.answers) {
    if (stream.lastPacketSentAt > stream.lastHeardAt && silence > ONIONCAT_UNHEARD_MS) return 'doubt';
    return now - stream.lastSentAt > PROBE_AFTER_SILENCE_MS ? 'probe' : 'keep';
  }
  // Keepalives do not count: each answer would ask for another one.
  const unanswered = stream.lastPacketSentAt > stream.lastHeardAt;
  return (unanswered && silence > PROBE_AFTER_UNANSWERED_MS) || silence > PROBE_AFTER_SILENCE_MS ? 'probe' : 'keep';
}

/**
 * The decisions of a link to one peer, as pure functions: which of its streams carries our packets, which are given up,
 * and when a stream is asked for a sign of life.
 */
import type { B32 } from '../../wire/i2p/destination.ts';

/** Who opened a stream, seen from us. */
export type Direction = 'out' | 'in';

export interface StreamFacts {
  readonly direction: Direction;
  readonly openedAt: number;
  /** The peer has spoken on it. A stream that only was opened proves nothing: routers say OK for peers that are gone. */
  readonly heard: boolean;
  readonly lastHeardAt: number;
  readonly lastSentAt: number;
  /** When an answer was asked for that has not come. */
  readonly probedAt: number | undefined;
  /** The peer answers probes: it announced itself as one of our kind. */
  readonly answers: boolean;
  /** We have ended it: it may still bring something, but carries nothing of ours any more. */
  readonly retired: boolean;
}

/** Both ends must hear within this, or the stream is taken for dead. A slow I2P round trip is 10 s. */
export const UNHEARD_MS = 30_000;
const PROBE_AFTER_UNANSWERED_MS = 10_000;
const PROBE_AFTER_SILENCE_MS = 60_000;
const PROBE_ANSWER_MS = 20_000;
/** How long a stream that is no longer used may still bring what was under way on it. */
const RETIRE_AFTER_MS = 15_000;

/**
 * When both sides have dialled at the same time, both must settle on the same stream: the one dialled by the side whose
 * b32 name sorts first.
 */
export function preferredDirection(own: B32, peer: B32): Direction {
  return own < peer ? 'out' : 'in';
}

/** The stream to send on: one on which the peer has spoken, of the preferred direction, the newest. */
export function chooseStream<Stream extends StreamFacts>(
  streams: Iterable<Stream>,
  preferred: Direction,
): Stream | undefined {
  let best: Stream | undefined;
  for (const stream of streams) {
    if (!stream.heard || stream.retired) continue;
    const better =
      best === undefined ||
      (stream.direction === best.direction ? stream.openedAt >= best.openedAt : stream.direction === preferred);
    if (better) best = stream;
  }
  return best;
}

export type StreamFate = 'keep' | 'probe' | 'retire' | 'dead';

/** @param chosen the stream that we send on, if any */
export function fateOf(stream: StreamFacts, chosen: StreamFacts | undefined, now: number): StreamFate {
  if (stream.retired) return 'keep';
  if (!stream.heard) return now - stream.openedAt > UNHEARD_MS ? 'dead' : 'keep';
  if (chosen !== undefined && chosen !== stream) {
    // Each side gives up only what it may: its own dial, and what the peer has replaced by a newer stream.
    const replaced = stream.direction === 'out' || chosen.direction === stream.direction;
    return replaced && now - Math.max(stream.lastSentAt, chosen.openedAt) > RETIRE_AFTER_MS ? 'retire' : 'keep';
  }
  if (stream.probedAt !== undefined) return now - stream.probedAt > PROBE_ANSWER_MS ? 'dead' : 'keep';
  const silence = now - stream.lastHeardAt;
  if (!stream.answers) return now - stream.lastSentAt > PROBE_AFTER_SILENCE_MS ? 'probe' : 'keep';
  const unanswered = stream.lastSentAt > stream.lastHeardAt && silence > PROBE_AFTER_UNANSWERED_MS;
  return unanswered || silence > PROBE_AFTER_SILENCE_MS ? 'probe' : 'keep';
}

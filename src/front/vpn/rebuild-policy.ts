/**
 * Whether the gateway's session is built anew because a peer cannot be reached on it. A router keeps writing to a peer in
 * the encrypted session that it had with it; a peer whose router was restarted cannot read that, and i2pd 2.45.1 begins a
 * new one only after 120 s, and only when it is spoken to. On a new session of ours everything begins anew. But building
 * takes 20 s and more and ends every stream, so it is the last resort. Pure.
 */
import { DOUBTED_MS } from './link-policy.ts';
import type { LinkReach } from './link-report.ts';

export interface SessionFacts {
  readonly now: number;
  /** Since when this build of the session stands. */
  readonly readySince: number;
  readonly links: Iterable<LinkReach>;
  /** When something last came on a stream of the session that belongs to no link. */
  readonly heardElsewhereAt: number | undefined;
  readonly lastRebuildAt: number | undefined;
  /** Rebuilds so far, each soon after the one before. */
  readonly rebuilds: number;
}

/**
 * A peer is lost when it is wanted, has not been heard for this long, and `LOST_DIALS` dials have come to nothing: as long as
 * its old stream may come back after a cut, which a new session would end. Also longer than the 120 s after which i2pd 2.45.1
 * begins anew by itself, and the 40 s that may pass from one dial of the peer to the next, together.
 */
export const LOST_MS = DOUBTED_MS;
export const LOST_DIALS = 2;
/** Who was heard so lately is alive; links are probed every minute. */
export const ALIVE_MS = 90_000;
/** Between two rebuilds, twice as much each time, up to the longest; begins anew when there was none for so long. */
export const FIRST_PAUSE_MS = 5 * 60_000;
export const LONGEST_PAUSE_MS = 60 * 60_000;

/**
 * @returns how many peers are lost and may be won back by a rebuild, or 0 when there shall be none. Only peers count that
 *   were heard on this very build: for one that never was, it is as good as another
 */
export function peersToWinBack({
  now,
  readySince,
  links,
  heardElsewhereAt,
  lastRebuildAt,
  rebuilds,
}: SessionFacts): number {
  if (lastRebuildAt !== undefined && now - lastRebuildAt < rebuildPause(rebuilds)) return 0;
  if (heardElsewhereAt !== undefined && now - heardElsewhereAt < ALIVE_MS) return 0;
  let lost = 0;
  for (const link of links) {
    const { heardAt } = link;
    if (heardAt === undefined || heardAt < readySince) continue;
    if (link.up && now - heardAt < ALIVE_MS) return 0;
    // A stranger must not have everybody's streams ended by speaking in the name of a peer that is off.
    if (!link.isKnown) continue;
    if (!link.up && link.wanted && now - heardAt >= LOST_MS && link.vainDials >= LOST_DIALS) lost += 1;
  }
  return lost;
}

export function rebuildPause(rebuilds: number): number {
  return Math.min(FIRST_PAUSE_MS * 2 ** Math.max(rebuilds - 1, 0), LONGEST_PAUSE_MS);
}

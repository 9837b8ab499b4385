/** What a link tells about itself: for status, for `ping`, and for whoever decides about the session. */
import type { Peer } from '../../core/peers/table.ts';
import type { GateError } from '../../kit/errors.ts';
import { REFUSALS } from './admission.ts';
import type { BigPacketsState } from './big-packets.ts';
import type { Direction } from './link-policy.ts';
import type { RedialState } from './redialer.ts';

export type LinkState = RedialState | { readonly kind: 'up'; readonly direction: Direction };

/**
 * Why a packet of a link was lost. The first four wait for the peer: no room, too old, dropped to tell its sender to slow
 * down, and longer than the peer takes, as it said meanwhile. The others came from it and were not admitted.
 */
export const LINK_DROPS = ['queueOverflow', 'queueAge', 'queueCongestion', 'queueTooBig', ...REFUSALS] as const;
export type LinkDrop = (typeof LINK_DROPS)[number];

export const LINK_COUNTERS = ['bytesOut', 'packetsIn', 'bytesIn', 'dials', 'deadStreams'] as const;
export type LinkCounter = (typeof LINK_COUNTERS)[number];

/** `marked`: packets that told their receiver of congestion and were not dropped. */
export type LinkTraffic = LinkCounter | 'packetsOut' | 'marked';

export interface LinkReport {
  readonly peer: Peer;
  readonly state: LinkState;
  /** Open, and not being ended. */
  readonly streams: number;
  readonly sinceMs: number;
  /** When the peer was last heard; undefined when it never was. */
  readonly heardAt: number | undefined;
  /** The peer is of our kind and answers when it is asked; undefined while there is no stream in use. */
  readonly answersProbes: boolean | undefined;
  /** Keepalives that answered one of ours so far. */
  readonly answers: number;
  /** Smoothed; undefined while it is unknown, and for an OnionCat. */
  readonly roundTripMs: number | undefined;
  readonly traffic: Readonly<Record<LinkTraffic, number>>;
  readonly queued: { readonly packets: number; readonly bytes: number; readonly flows: number };
  /** On the stream in use: sent and not known to have arrived. Undefined where the peer does not say. */
  readonly underWay: { readonly bytes: number; readonly limit: number } | undefined;
  readonly bigPackets: BigPacketsState;
  readonly drops: Readonly<Record<LinkDrop, number>>;
  readonly lastError: { readonly error: GateError; readonly at: number } | undefined;
}

/** What the decision about the session needs to know of a link. */
export interface LinkReach {
  /** Somebody has had packets for the peer lately, or the link is to be up all the time. */
  readonly wanted: boolean;
  readonly up: boolean;
  readonly heardAt: number | undefined;
  /** It was heard for certain, and not perhaps a stranger in its name. */
  readonly isKnown: boolean;
  /** Dials that came to nothing since then, through no fault of our router. */
  readonly vainDials: number;
}

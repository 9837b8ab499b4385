/**
 * What `ping` answers over the control socket: how far one gets on the way to a peer, step by step from the inside out. A
 * stable form with a version of its own.
 */
import { z } from 'zod';

export const PING_STEPS = ['sam', 'session', 'leaseSet', 'stream', 'gateway', 'ipv6'] as const;

const pingStep = z.object({
  step: z.enum(PING_STEPS),
  /** `unknown`: there is no way to find out, and no reason to stop. After a `failed` one no step is tried. */
  outcome: z.enum(['ok', 'unknown', 'failed']),
  ms: z.number().nonnegative(),
  /** Why it is unknown or failed. */
  text: z.string().optional(),
  /** Dotted and stable. */
  code: z.string().optional(),
  /** What to do about it. */
  advice: z.string().optional(),
});

export const pingReport = z.object({
  schema: z.literal(3),
  peer: z.string(),
  steps: z.array(pingStep),
});

export type PingReport = z.output<typeof pingReport>;
export type PingStepReport = z.output<typeof pingStep>;
export type PingStepName = (typeof PING_STEPS)[number];

/** Longest and shortest time that one ping may take. Milliseconds. */
export const LONGEST_PING_MS = 300_000;
export const SHORTEST_PING_MS = 100;

/** Undefined for what is no report of this version. */
export function parsePing(value: unknown): PingReport | undefined {
  return pingReport.safeParse(value).data;
}

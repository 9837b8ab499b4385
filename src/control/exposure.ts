/** What each peer can reach, as `garligate exposure --json` prints it: a stable form with a version of its own. */
import { z } from 'zod';

const names = z.array(z.string());

const exposureReport = z.object({
  schema: z.literal(1),
  /** `off`: the rules stand nowhere, and everything is open. */
  firewall: z.enum(['on', 'off', 'broken']),
  networks: names,
  peers: z.array(z.object({ name: z.string(), rules: names, icmp: z.boolean(), open: names, filtered: names })),
});

export type ExposureReport = z.output<typeof exposureReport>;

/** Undefined for what is no report of this version. */
export function parseExposure(value: unknown): ExposureReport | undefined {
  return exposureReport.safeParse(value).data;
}

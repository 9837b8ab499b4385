/** What a reload has changed, as `garligate reload --json` prints it: a stable form with a version of its own. */
import { z } from 'zod';

const names = z.array(z.string());

const reloadReport = z.object({
  schema: z.literal(1),
  /** Keys of the config file that have another value now; tables of which there are several as a whole. */
  keys: names,
  /** Names of peers. One that changed in more than its `allow` is in both `removed` and `added`. */
  added: names,
  removed: names,
  /** With another `allow`. */
  regulated: names,
});

export type ReloadReport = z.output<typeof reloadReport>;

/** Undefined for what is no report of this version. */
export function parseReload(value: unknown): ReloadReport | undefined {
  return reloadReport.safeParse(value).data;
}

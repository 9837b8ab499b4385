/** Which processes work in a directory: all of a launcher's, where nothing else was told to. */
import { readdirSync, readlinkSync } from 'node:fs';

/** In no order. Those of other users are seen by root alone. */
export function processesIn(directory: string): readonly number[] {
  return readdirSync('/proc')
    .filter((name) => {
      try {
        return /^\d+$/.test(name) && readlinkSync(`/proc/${name}/cwd`) === directory;
      } catch {
        // It ended meanwhile, and so does not count.
        return false;
      }
    })
    .map(Number);
}

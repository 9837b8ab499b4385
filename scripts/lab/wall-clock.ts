/**
 * A wall clock that can be set, for some programs only: Linux gives a namespace none of its own, so libfaketime stands
 * between these programs and the machine's. What they ask monotonic clocks is answered by the kernel.
 */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface WallClock {
  /** A command that becomes the program by exec, with its arguments. */
  readonly wrapper: readonly string[];
  /** Every program that goes by it sees that within a second. @param seconds after the true time, or before it when negative */
  set(seconds: number): void;
  remove(): void;
}

/** The dynamic linker knows where libraries are on this architecture. */
const LIBRARY = '/usr/$LIB/faketime/libfaketimeMT.so.1';

/** What libfaketime puts there stays when the program is killed. */
const OWN_SHARED_MEMORY = ['unshare', '--mount', 'sh', '-c', 'mount -t tmpfs none /dev/shm && exec "$@"', 'sh'];

/** Shows the true time until it is set. Needs Debian's package libfaketime. */
export function wallClock(): WallClock {
  const directory = mkdtempSync(join(tmpdir(), 'garligate-clock-'));
  // Whoever the program becomes has to read it.
  chmodSync(directory, 0o755);
  const file = join(directory, 'offset');
  const set = (seconds: number) => writeFileSync(file, `${seconds < 0 ? '' : '+'}${seconds}\n`);
  set(0);
  return {
    wrapper: [
      ...OWN_SHARED_MEMORY,
      'env',
      `LD_PRELOAD=${LIBRARY}`,
      `FAKETIME_TIMESTAMP_FILE=${file}`,
      'FAKETIME_CACHE_DURATION=1',
      'FAKETIME_DONT_FAKE_MONOTONIC=1',
    ],
    set,
    remove: () => rmSync(directory, { recursive: true }),
  };
}

/**
 * Where files live unless the config says otherwise: the system's directories for root, the XDG base directories for
 * everybody else.
 */
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { DefaultPaths } from '../config/schema.ts';

export interface Paths extends DefaultPaths {
  readonly configFile: string;
}

/** Root's, and those that the documentation shows. */
export const SYSTEM_PATHS: Paths = pathsIn('/etc/garligate', '/var/lib/garligate', '/run/garligate');

export interface UserEnvironment {
  /** Effective user id. */
  readonly uid: number;
  readonly home: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

export function currentEnvironment(): UserEnvironment {
  return { uid: process.geteuid?.() ?? 0, home: homedir(), env: process.env };
}

export function pathsFor({ uid, home, env }: UserEnvironment): Paths {
  return uid === 0
    ? SYSTEM_PATHS
    : pathsIn(
        join(directory(env['XDG_CONFIG_HOME']) ?? join(home, '.config'), 'garligate'),
        join(directory(env['XDG_STATE_HOME']) ?? join(home, '.local/state'), 'garligate'),
        join(directory(env['XDG_RUNTIME_DIR']) ?? join(home, '.local/state/garligate/run'), 'garligate'),
      );
}

/** The XDG specification wants relative paths ignored. */
function directory(path: string | undefined): string | undefined {
  return path?.startsWith('/') ? path : undefined;
}

function pathsIn(config: string, state: string, run: string): Paths {
  return {
    configFile: join(config, 'garligate.toml'),
    keyFile: join(state, 'identity.key'),
    routerDirectory: join(state, 'router'),
    controlSocket: join(run, 'control.sock'),
  };
}

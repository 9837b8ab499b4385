/**
 * The gateway as people run it, started as often as one likes at one place on disk, and what it has made of its host. Only
 * inside a namespace of its own.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type StatusReport, statusReport } from '../../src/control/status.ts';
import { systemClock } from '../../src/io/clock.ts';
import { connectControl } from '../../src/io/control-socket.ts';
import { PREFIX_TEXT } from '../../src/wire/i2p/address.ts';
import { until } from '../helpers/until.ts';
import type { End } from './namespace.ts';

export const COMMAND = fileURLToPath(new URL('../../bin/garligate', import.meta.url));
const NEVER = new AbortController().signal;
export const START_MS = 20_000;
export const UNREACHABLE = `unreachable ${PREFIX_TEXT} dev lo proto static metric 4294967295 pref medium`;

export interface Place {
  readonly directory: string;
  readonly key: string;
  readonly socket: string;
  readonly socks: string;
  readonly config: string;
}

/** @param more of the config; `HERE` in it is the directory of the place */
export function makePlace(more: string, owner = 0): Place {
  const directory = mkdtempSync(join(tmpdir(), 'garligate-place-'));
  const at = (name: string) => join(directory, name);
  const place = {
    directory,
    key: at('state/id.key'),
    socket: at('run/control.sock'),
    socks: at('run/socks.sock'),
    config: at('toml'),
  };
  mkdirSync(at('state'), { mode: 0o700 });
  const text = `[identity]\nkey_file = "${place.key}"\n[control]\nsocket = "${place.socket}"\n${more.replaceAll('HERE', directory)}`;
  writeFileSync(place.config, text, { mode: 0o600 });
  // As /run and /var/lib are: root's, and open to be walked through.
  chmodSync(directory, 0o755);
  if (owner !== 0) for (const path of [directory, place.config, at('state')]) chownSync(path, owner, owner);
  return place;
}

export interface Running {
  readonly pid: number;
  said(): string;
  isUp(): boolean;
  hasEnded(): boolean;
  status(): Promise<StatusReport>;
  signal(name: NodeJS.Signals): void;
  /** Ctrl-C at a terminal: SIGINT to it and to all that it has started and has not parted from itself. */
  interrupt(): void;
  /** Resolves when it has ended and said everything. */
  readonly ended: Promise<End>;
  /** Sends the signal, and waits for the end. */
  kill(signal: NodeJS.Signals): Promise<End>;
}

/** Starts it, and waits for nothing. @param wrapper a command that becomes the gateway by exec, with its arguments */
export function launch(place: Pick<Place, 'config' | 'socket'>, wrapper: readonly string[] = []): Running {
  const command = [...wrapper, process.execPath, COMMAND, 'run', '--config', place.config];
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', ...command], {
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const pid = child.pid ?? assert.fail('no process');
  const ended = once(child, 'close').then((): End => child.exitCode ?? child.signalCode);
  // The kernel forgets about pdeathsig when it becomes another user.
  const end = () => child.kill('SIGKILL');
  process.once('exit', end);
  void ended.then(() => process.off('exit', end));
  let said = '';
  for (const output of [child.stdout, child.stderr]) {
    output.on('data', (data) => {
      said += String(data);
    });
  }
  const hasEnded = () => child.exitCode !== null || child.signalCode !== null;
  return {
    pid,
    said: () => said,
    isUp: () => /^router: /m.test(said),
    hasEnded,
    status: async () => {
      const control = await connectControl(place.socket, systemClock, NEVER);
      try {
        return statusReport.parse(await control.request('status', {}));
      } finally {
        control.close();
      }
    },
    signal: (name) => void child.kill(name),
    interrupt: () => void (hasEnded() || process.kill(-pid, 'SIGINT')),
    ended,
    kill: (name) => {
      child.kill(name);
      return ended;
    },
  };
}

/** Starts it, and waits until it stands. */
export async function run(place: Pick<Place, 'config' | 'socket'>, wrapper: readonly string[] = []): Promise<Running> {
  const gateway = launch(place, wrapper);
  await until('the gateway is up', () => gateway.isUp() || gateway.hasEnded(), START_MS);
  assert.equal(gateway.hasEnded(), false, gateway.said());
  return gateway;
}

/** Starts it where it must not stand. @returns how that ended */
export async function refused(place: Pick<Place, 'config' | 'socket'>): Promise<{ end: End; said: string }> {
  const gateway = launch(place);
  await until('the start has ended', () => gateway.isUp() || gateway.hasEnded(), START_MS);
  assert.ok(!gateway.isUp(), `it stands: ${gateway.said()}`);
  return { end: await gateway.ended, said: gateway.said() };
}

export function ip(...args: readonly string[]): string {
  return execFileSync('ip', args, { encoding: 'utf8' });
}

/** Of nftables, as it lists them. */
export const tables = () => execFileSync('nft', ['list', 'tables'], { encoding: 'utf8' }).trim();
export const routes = () => ip('-6', 'route', 'show', PREFIX_TEXT).trim();
export const hasInterface = () => / garli0: /.test(ip('-o', 'link'));

/** But the unreachable route. */
export function assertNothingLeft(place: Place): void {
  assert.deepEqual([tables(), routes(), hasInterface()], ['', UNREACHABLE, false]);
  assert.deepEqual([existsSync(place.socket), existsSync(place.socks)], [false, false]);
}

/**
 * The gateway as people run it, started as often as one likes at one place on disk, and what it has made of its host. Only
 * inside a namespace of its own.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type StatusReport, statusReport } from '../../src/control/status.ts';
import { systemClock } from '../../src/io/clock.ts';
import { connectControl } from '../../src/io/control-socket.ts';
import { findProgram } from '../../src/io/processes.ts';
import { usualSearchPath } from '../../src/io/router.ts';
import { PREFIX_TEXT } from '../../src/wire/i2p/address.ts';
import { FakeBridge } from '../helpers/fake-bridge/bridge.ts';
import { FakeNetwork } from '../helpers/fake-bridge/network.ts';
import { until } from '../helpers/until.ts';
import type { End } from './namespace.ts';

export const COMMAND = fileURLToPath(new URL('../../bin/garligate', import.meta.url));
const NEVER = new AbortController().signal;
export const START_MS = 20_000;
/** For many starts, on a machine that is busy with other things. */
export const MANY_STARTS_MS = 150_000;
/** All that docs/operations.md gives it to come down. */
export const DOWN_MS = 5_000;
/** Sections of a config. */
export const NO_ROUTER = '[router]\nsam = "127.0.0.1:1"\n';
export const OWN_ROUTER = '[router]\nsam = "managed"\ndirectory = "HERE/state/router"\n';
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

/** A program that a gateway calls, held up at will. */
export interface SlowProgram {
  /** A wrapper for the gateway that is to meet it. */
  readonly wrapper: readonly string[];
  /** From now on it waits before it does anything. */
  hold(): void;
  /** Resolves when one waits. */
  begun(): Promise<void>;
  release(): void;
}

export async function slowProgram(name: string, { directory }: Place): Promise<SlowProgram> {
  const real = (await findProgram(name, usualSearchPath())) ?? assert.fail(`no ${name}`);
  const programs = mkdtempSync(join(directory, 'programs-'));
  const [held, begun] = [join(programs, 'held'), join(programs, 'begun')];
  const wait = `if [ -e ${held} ]; then touch ${begun}; while [ -e ${held} ]; do sleep 0.01; done; fi`;
  writeFileSync(join(programs, name), `#!/bin/sh\n${wait}\nexec ${real} "$@"\n`, { mode: 0o755 });
  // The gateway may be another user when it calls it.
  chmodSync(programs, 0o777);
  return {
    wrapper: ['env', `PATH=${programs}:${usualSearchPath()}`],
    hold: () => {
      rmSync(begun, { force: true });
      writeFileSync(held, '');
    },
    begun: () => until(`${name} has begun`, () => existsSync(begun), START_MS),
    release: () => rmSync(held),
  };
}

export function ip(...args: readonly string[]): string {
  return execFileSync('ip', args, { encoding: 'utf8' });
}

/** Of nftables, as it lists them. */
export const tables = () => execFileSync('nft', ['list', 'tables'], { encoding: 'utf8' }).trim();
export const routes = () => ip('-6', 'route', 'show', PREFIX_TEXT).trim();
export const hasInterface = () => / garli0: /.test(ip('-o', 'link'));

/** But the unreachable route. */
export function assertNothingLeft(place: Pick<Place, 'socket' | 'socks'>): void {
  assert.deepEqual([tables(), routes(), hasInterface()], ['', UNREACHABLE, false]);
  assert.deepEqual([existsSync(place.socket), existsSync(place.socks)], [false, false]);
}

/** In this network namespace, as the gateway and all that it starts are. */
function processesHere(): readonly string[] {
  const here = readlinkSync('/proc/self/ns/net');
  return readdirSync('/proc').filter((name) => {
    try {
      return /^\d+$/.test(name) && readlinkSync(`/proc/${name}/ns/net`) === here;
    } catch {
      return false; // It has ended.
    }
  });
}

/** What runs here beside gateways. */
const before = new Set(processesHere());

export async function assertNoProcessLeft(): Promise<void> {
  const left = () => processesHere().filter((pid) => !before.has(pid));
  await until('no process of it is left', () => left().length === 0).catch((error: unknown) => {
    throw new Error(`${left().map((pid) => readFileSync(`/proc/${pid}/cmdline`, 'latin1'))}`, { cause: error });
  });
}

/** By the documented way: soon, with success, and nothing of it stays. */
export async function assertStops(gateway: Running, place: Place, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
  const sentAt = performance.now();
  assert.equal(await gateway.kill(signal), 0, gateway.said());
  assert.ok(performance.now() - sentAt < DOWN_MS, `${signal} took ${performance.now() - sentAt} ms`);
  assertNothingLeft(place);
  await assertNoProcessLeft();
}

/** One that does not hold a key when its session has ended, so that the next session comes at once. */
export async function withBridge(work: (bridge: FakeBridge, config: string) => Promise<void>): Promise<void> {
  const bridge = await FakeBridge.start({ network: new FakeNetwork(), temperament: 'java' });
  await work(bridge, `[router]\nsam = "127.0.0.1:${bridge.address.port}"\n`);
  await bridge.stop();
}

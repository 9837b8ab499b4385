/** The gateway as people run it, in a process of its own, on whatever bridge it is given. */
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { type StatusReport, statusReport } from '../../src/control/status.ts';
import { systemClock } from '../../src/io/clock.ts';
import { connectControl } from '../../src/io/control-socket.ts';
import type { PrivateKeys } from '../../src/wire/i2p/destination.ts';
import { until } from './until.ts';

const COMMAND = fileURLToPath(new URL('../../bin/garligate', import.meta.url));
const START_MS = 30_000;
const NEVER = new AbortController().signal;

const INSIDE = z.object({ living: z.number(), resident: z.number(), native: z.number(), latest: z.number() });

/** Loaded before the gateway: says what its process holds after a thorough collection, and how late it was before that. */
const HEAP_PROBE = `
  import { monitorEventLoopDelay } from 'node:perf_hooks';
  import { getHeapCodeStatistics, getHeapStatistics, setFlagsFromString } from 'node:v8';
  import { runInNewContext } from 'node:vm';
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc');
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  const delays = monitorEventLoopDelay();
  delays.enable();
  process.on('message', async () => {
    const latest = delays.max / 1e6;
    for (let count = 0; count < 3; count += 1) {
      await turn();
      collect();
    }
    const { rss: resident, heapUsed, external } = process.memoryUsage();
    const { code_and_metadata_size, bytecode_and_metadata_size } = getHeapCodeStatistics();
    const living = heapUsed - code_and_metadata_size - bytecode_and_metadata_size + external;
    const native = resident - getHeapStatistics().total_physical_size - external;
    delays.reset();
    process.send({ living, resident, native, latest });
  });
  process.channel.unref();
`;

export interface DaemonPlan {
  /** The port for datagrams is that of most routers unless told. */
  readonly bridge: { readonly host: string; readonly port: number; readonly udpPort?: number };
  /** Further keys of [router], as TOML. */
  readonly router?: string;
  /** Keys of its one SOCKS listener, as TOML. */
  readonly socks?: string;
  /** Where its SOCKS listener listens; on a free port of loopback by default. */
  readonly listen?: string;
  /** With a VPN; needs root and a namespace of its own. */
  readonly vpn?: boolean;
  /** What it shall be; it makes an identity of its own otherwise. */
  readonly keys?: PrivateKeys;
  /** Further sections of its config. */
  readonly config?: string;
  /** A command that becomes the gateway by exec, with its arguments. */
  readonly wrapper?: readonly string[];
  /** Lets `inside` be asked for. */
  readonly withHeapProbe?: boolean;
}

/** Bytes after a thorough collection, and what was before it. */
export interface Inside {
  /** In use on the heap and beside it; neither what only waits for a collection, nor what the compiler has made. */
  readonly living: number;
  /** Resident memory of the process. */
  readonly resident: number;
  /** Of that, what is neither the heap of V8, used or not, nor a buffer: what the allocator of C holds, and programs. */
  readonly native: number;
  /** By how much the event loop was late at its latest, since this was asked before. Milliseconds. */
  readonly latest: number;
}

export interface Daemon {
  readonly pid: number;
  readonly socksPort: number;
  status(): Promise<StatusReport>;
  /** Everything that it has printed and logged. */
  said(): string;
  /** Writes another config file; the gateway only looks at it when it is told to. @returns what it was before */
  rewrite(change: (text: string) => string, mode?: number): string;
  /** Calls the command with its config file. @returns what that printed, whether it did well or not */
  command(...words: readonly string[]): Promise<string>;
  /** Resident memory in bytes. */
  memory(): number;
  /** Needs `withHeapProbe`. */
  inside(): Promise<Inside>;
  /** Open file descriptors. */
  descriptors(): number;
  /** Ends it by a signal, SIGKILL unless told; its files stay until `stop`. */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** Ends it by SIGTERM and removes what it left. @throws when it does not end well */
  stop(): Promise<void>;
}

/** Needs `dist/`. */
export async function startDaemon(plan: DaemonPlan): Promise<Daemon> {
  const { bridge, router = '', listen = '127.0.0.1:0', socks = '', vpn = false, keys, config: sections = '' } = plan;
  const { wrapper = [], withHeapProbe = false } = plan;
  const directory = mkdtempSync(join(tmpdir(), 'garligate-daemon-'));
  const config = join(directory, 'garligate.toml');
  const keyFile = join(directory, 'identity.key');
  // Made by the gateway, and on a way that is open: it has to remove the socket when it is not root any more.
  const socket = join(directory, 'run/control.sock');
  chmodSync(directory, 0o755);
  const text = [
    `[router]\nsam = "${bridge.host}:${bridge.port}"\ndirectory = "${join(directory, 'router')}"\n${router}`,
    ...(bridge.udpPort === undefined ? [] : [`udp = "${bridge.udpPort}"`]),
    `[identity]\nkey_file = "${keyFile}"`,
    `[control]\nsocket = "${socket}"`,
    `[[socks]]\nlisten = "${listen}"\n${socks}`,
    `[vpn]\nenabled = ${vpn}`,
    sections,
  ];
  if (keys !== undefined) writeFileSync(keyFile, `${keys.blob.reveal()}\n`, { mode: 0o600 });
  writeFileSync(config, text.join('\n'), { mode: 0o600 });
  const probe = withHeapProbe ? ['--import', `data:text/javascript,${encodeURIComponent(HEAP_PROBE)}`] : [];
  const command = [...wrapper, process.execPath, ...probe, COMMAND, 'run', '--config', config];
  // It dies with the test: by the kernel until it has become another user, which makes the kernel forget that.
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', ...command], {
    stdio: ['ignore', 'pipe', 'pipe', ...(withHeapProbe ? (['ipc'] as const) : [])],
  });
  const end = () => child.kill('SIGKILL');
  process.once('exit', end);
  child.once('exit', () => process.off('exit', end));
  const ended = once(child, 'exit');
  let said = '';
  for (const output of [child.stdout, child.stderr]) {
    output?.on('data', (data) => {
      said += String(data);
    });
  }
  try {
    await until('the gateway is up', () => /^router: /m.test(said) || child.exitCode !== null, START_MS);
    assert.equal(child.exitCode, null, said);
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  }
  const pid = child.pid ?? assert.fail('no process');
  return {
    pid,
    socksPort: Number(/^socks up: (?:127\.0\.0\.1|\[::\]):(\d+)/m.exec(said)?.[1] ?? assert.fail(said)),
    status: async () => {
      const control = await connectControl(socket, systemClock, NEVER);
      try {
        return statusReport.parse(await control.request('status', {}));
      } finally {
        control.close();
      }
    },
    said: () => said,
    rewrite: (change, mode = 0o644) => {
      const before = readFileSync(config, 'utf8');
      writeFileSync(config, change(before));
      chmodSync(config, mode);
      return before;
    },
    command: (...words) =>
      new Promise((resolve) => {
        execFile(process.execPath, [COMMAND, ...words, '--config', config], (_failure, output, complaints) =>
          resolve(output + complaints),
        );
      }),
    memory: () => 1024 * Number(/^VmRSS:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]),
    inside: async () => {
      const answer = once(child, 'message');
      child.send('how are you inside?');
      return INSIDE.parse((await answer)[0]);
    },
    descriptors: () => readdirSync(`/proc/${pid}/fd`).length,
    kill: async (signal = 'SIGKILL') => {
      child.kill(signal);
      await ended;
    },
    stop: async () => {
      const wasKilled = child.signalCode !== null;
      child.kill('SIGTERM');
      await ended;
      rmSync(directory, { recursive: true });
      if (!wasKilled) assert.equal(child.exitCode, 0, said);
    },
  };
}

/**
 * The programs that are compared, each started afresh with a config of its own, on a free port of loopback. garligate runs
 * as users run it: the compiled program, with a config file.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { ROOT } from '../../scripts/lib/command.mjs';
import type { Cleanup } from './cleanup.ts';
import { type Program, startProgram } from './program.ts';

export interface Relay {
  /** `undefined` where nothing stands between the load and the service. */
  readonly program: Program | undefined;
  /** What `load` is told: the proxy's port, and the target. */
  readonly target: readonly [proxy: string, host: string, port: string];
  stop(): Promise<void>;
}

/** What stands behind the relays, and what they are made of. */
export interface RelayParts {
  /** Ports of the service. */
  readonly plain: number;
  readonly sam: number;
  /** Path of bench/load/bare-proxy.c, compiled. */
  readonly bareProxy: string;
}

/** `bare` reaches the service through SAM too, and does nothing else: what the bridge costs, whoever uses it. */
export const RELAYS = ['direct', 'microsocks', 'dante', 'bare', 'garligate'] as const;
export type RelayName = (typeof RELAYS)[number];

const LISTENING_MS = 20_000;
/** Any name does: the service behind the bridge is always the same. */
const TARGET_NAME = `${'a'.repeat(52)}.b32.i2p`;

/** @param cleanup stops it, if nobody has before */
export async function startRelay(name: RelayName, parts: RelayParts, cleanup: Cleanup): Promise<Relay> {
  const plain = ['127.0.0.1', String(parts.plain)] as const;
  if (name === 'direct') return { program: undefined, target: ['0', ...plain], stop: async () => {} };
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), 'garligate-bench-'));
  const program = start(name, port, parts, folder);
  const stop = async () => {
    await program.stop();
    rmSync(folder, { recursive: true, force: true });
  };
  cleanup.add(stop);
  await untilListening(port, program);
  const target = name === 'garligate' || name === 'bare' ? ([TARGET_NAME, '80'] as const) : plain;
  return { program, target: [String(port), ...target], stop };
}

function start(name: Exclude<RelayName, 'direct'>, port: number, parts: RelayParts, folder: string): Program {
  switch (name) {
    case 'microsocks':
      return startProgram('microsocks', ['-i', '127.0.0.1', '-p', String(port)], 'dropped');
    case 'dante': {
      const config = join(folder, 'danted.conf');
      writeFileSync(config, danteConfig(port));
      return startProgram('danted', ['-f', config, '-p', join(folder, 'danted.pid')], 'dropped');
    }
    case 'bare':
      return startProgram(parts.bareProxy, [
        ...['127.0.0.1', String(parts.sam), '127.0.0.1', String(port)],
        ...[TARGET_NAME, 'TRANSIENT', ''],
      ]);
    case 'garligate': {
      const config = join(folder, 'garligate.toml');
      writeFileSync(config, garligateConfig(port, parts.sam, folder), { mode: 0o600 });
      return startProgram(process.execPath, [join(ROOT, 'bin/garligate'), 'run', '--config', config]);
    }
    default:
      return name satisfies never;
  }
}

function danteConfig(port: number): string {
  return `logoutput: /dev/null
internal: 127.0.0.1 port = ${port}
external: 127.0.0.1
clientmethod: none
socksmethod: none
user.privileged: root
user.unprivileged: nobody
client pass { from: 127.0.0.0/8 to: 127.0.0.0/8 }
socks pass { from: 127.0.0.0/8 to: 127.0.0.0/8 }
`;
}

/** The defaults, except for limits that would turn the load away. */
function garligateConfig(port: number, sam: number, folder: string): string {
  return `[router]
sam = "127.0.0.1:${sam}"
[identity]
key_file = "${folder}/identity.key"
[vpn]
enabled = false
[control]
socket = "${folder}/control.sock"
[[socks]]
listen = "127.0.0.1:${port}"
max_clients = 20000
max_clients_per_address = 20000
[limits]
streams = 20000
`;
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}

async function untilListening(port: number, program: Program): Promise<void> {
  const start = performance.now();
  while (!(await answers(port))) {
    if (performance.now() - start > LISTENING_MS) {
      throw new Error(`nothing listens on port ${port}: ${program.said()}${program.complained()}`);
    }
    await pause(50);
  }
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect({ host: '127.0.0.1', port });
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', () => resolve(false));
  });
}

/**
 * One i2pd router in a namespace of its own: its files, its process, its identity. What it needs to meet the others is
 * arranged by i2p-network.ts.
 */
import { createHash } from 'node:crypto';
import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type BackgroundProgram, startInBackground } from './background.ts';
import { messageOf, waitUntil } from './command.ts';
import type { DestinationKeys } from './destination-keys.ts';
import { nearAddress } from './namespaces.ts';
import { addressBookFiles, type LocalTunnel, routerConfig, SAM_PORT, tunnelsConfig } from './router-config.ts';
import type { WallClock } from './wall-clock.ts';

export type RouterPlan = {
  /** `r1`; also the last part of its namespace's name. */
  readonly name: string;
  readonly namespace: string;
  readonly address: string;
  readonly directory: string;
  readonly floodfill: boolean;
  readonly tunnels: readonly (Omit<LocalTunnel, 'keyFile'> & { readonly keys: DestinationKeys })[];
  /** Routers in front of each of these, on the way in. */
  readonly inboundLength: 0 | 1;
  /** Names that its address book knows, with their destinations. */
  readonly names: ReadonlyMap<string, string>;
  /** What it goes by; the machine's unless told. */
  readonly clock?: WallClock | undefined;
};

export interface Router {
  readonly name: string;
  readonly namespace: string;
  readonly address: string;
  /** Its SAM bridge, for programs in the namespaces of the lab. */
  readonly sam: { readonly host: string; readonly port: number };
  readonly directory: string;
  alive(): boolean;
  /** Starts the process; whether it is of any use yet is for others to find out. */
  start(): Promise<void>;
  stop(): Promise<void>;
  /** kill -9; its files stay, so that it can be started again as the same router. */
  kill(): Promise<void>;
  /** The end of its log and of what it printed. */
  said(): Promise<string>;
}

/** What other routers need to know of one: a file for their netDb. */
export type RouterInfo = { readonly path: string; readonly bytes: Buffer };

/** i2pd stops in half a second when asked; nothing of the lab is worth waiting longer for. */
const STOP_GRACE_MS = 2_000;
const DEBIAN_I2PD = '/usr/sbin/i2pd';
const IDENTITY_LENGTH = 391;
/** A router.info shorter than this is still being written. */
const SHORTEST_ROUTER_INFO = 500;

export async function createRouter(plan: RouterPlan): Promise<Router> {
  const { directory } = plan;
  const data = join(directory, 'data');
  await mkdir(data, { recursive: true, mode: 0o700 });
  await mkdir(join(directory, 'tunnels.d'));
  for (const { name, keys } of plan.tunnels) await writeFile(join(data, `${name}.dat`), keys.file, { mode: 0o600 });
  const tunnels = plan.tunnels.map((tunnel) => ({ ...tunnel, keyFile: `${tunnel.name}.dat` }));
  await writeFile(join(directory, 'i2pd.conf'), routerConfig(plan));
  await writeFile(join(directory, 'tunnels.conf'), tunnelsConfig(tunnels, plan.inboundLength));
  for (const [file, text] of Object.entries(addressBookFiles(plan.names))) await writeFile(join(data, file), text);

  const logFile = join(directory, 'printed.log');
  let program: BackgroundProgram | undefined;
  return {
    name: plan.name,
    namespace: plan.namespace,
    address: plan.address,
    sam: { host: nearAddress(plan.address), port: SAM_PORT },
    directory,
    alive: () => program?.alive() ?? false,
    start: async () => {
      if (program?.alive()) throw new Error(`${plan.name} runs already`);
      await rm(join(directory, 'i2pd.pid'), { force: true });
      program = await startInBackground({
        namespace: plan.namespace,
        command: DEBIAN_I2PD,
        args: [`--conf=${directory}/i2pd.conf`, `--datadir=${data}`],
        logFile,
        clock: plan.clock,
      });
    },
    stop: async () => void (await program?.stop(STOP_GRACE_MS)),
    kill: async () => program?.kill(),
    said: async () => {
      const log = await readFile(join(directory, 'i2pd.log'), 'utf8').catch(messageOf);
      return `${log.split('\n').slice(-8).join('\n')}\n${program?.said() ?? ''}`;
    },
  };
}

/**
 * Lets a router make its identity and its router info, which it does first of all, and kills it. i2pd rewrites the file
 * several times while it starts, so it is read only when the process is dead.
 */
export async function makeIdentity(router: Router, signal: AbortSignal): Promise<RouterInfo> {
  const data = join(router.directory, 'data');
  const whole = async () => {
    const sizes = await Promise.all(
      ['router.info', 'router.keys', 'ntcp2.keys'].map(async (file) => (await stat(join(data, file))).size),
    );
    return sizes.every((size, index) => size > (index === 0 ? SHORTEST_ROUTER_INFO : 0)) ? true : undefined;
  };
  return waitUntil(
    `${router.name} has an identity`,
    async () => {
      await router.start();
      try {
        await waitUntil('its files are written', whole, { timeoutMs: 10_000, everyMs: 50, signal });
        await waitUntil('it has settled', settle(), { timeoutMs: 1_000, everyMs: 200, signal });
      } finally {
        await router.kill();
      }
      return (await whole()) && describeRouter(await readFile(join(data, 'router.info')));
    },
    { timeoutMs: 30_000, signal },
  );
}

/** True at the second look. */
function settle(): () => Promise<true | undefined> {
  let looks = 0;
  return async () => (looks++ > 0 ? true : undefined);
}

/** i2pd files a router info under the I2P base64 of its identity's hash. */
function describeRouter(bytes: Buffer): RouterInfo {
  const hash = createHash('sha256').update(bytes.subarray(0, IDENTITY_LENGTH)).digest('base64');
  const name = hash.replaceAll('+', '-').replaceAll('/', '~');
  return { path: join(`r${name.charAt(0)}`, `routerInfo-${name}.dat`), bytes };
}

/** Puts the others into a router's netDb while it does not run. */
export async function introduce(router: Router, others: readonly RouterInfo[]): Promise<void> {
  const netDb = join(router.directory, 'data', 'netDb');
  await rm(netDb, { recursive: true, force: true });
  for (const { path, bytes } of others) {
    await mkdir(join(netDb, path, '..'), { recursive: true });
    await writeFile(join(netDb, path), bytes);
  }
  await writeFile(join(router.directory, 'i2pd.log'), '');
}

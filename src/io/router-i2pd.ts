/**
 * An i2pd of our own: a user of its own without privileges, in its own directory, with nothing but a SAM bridge on a
 * private loopback port, started again when it ends, and ended with us, however we end.
 */
import { chmod, chown, mkdir } from 'node:fs/promises';
import type { TcpEndpoint } from '../config/endpoint.ts';
import type { DatagramPortChoice } from '../config/values.ts';
import type { RouterState } from '../control/status.ts';
import type { DatagramBridgePort } from '../core/ports.ts';
import { firstOf, unlessAborted } from '../kit/abort.ts';
import { type BackoffRange, backoffDelay } from '../kit/backoff.ts';
import { type Clock, isOverWithin, sleep } from '../kit/clock.ts';
import { abortError, asGateError, GateError } from '../kit/errors.ts';
import type { Logger } from '../kit/log.ts';
import type { Service } from '../kit/service.ts';
import { createTcpBridge } from './bridge-tcp.ts';
import { openBridgeDatagrams } from './bridge-udp.ts';
import { freeTcpPort, i2pdArguments } from './i2pd-program.ts';
import { type LaunchedRun, type Launcher, type ProgramEnd, startLauncher } from './launcher.ts';
import { findProgram, findUser, listensAt, type UserIds } from './processes.ts';
import { claimRecord, type RunRecord } from './run-record.ts';

export interface ManagedRouterParts {
  /** Where i2pd keeps its data; made when it is missing. A file `<directory>.pid` stands beside it. */
  readonly directory: string;
  /** Who the gateway will be, when it is another one than now. */
  readonly gatewayUser: UserIds | undefined;
  /** The search path for programs, as in the environment variable. */
  readonly searchPath: string;
  /** Further arguments for i2pd, for tests. */
  readonly extraArguments: readonly string[];
  readonly udp: DatagramPortChoice;
  readonly clock: Clock;
  readonly log: Logger;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

/** Debian's package has made the first of them; the last one is everywhere. */
const USERS = ['i2pd', 'debian-i2pd', 'nobody'];
const RESTART: BackoffRange = { firstMs: 500, longestMs: 60_000 };
/** A router that ran this long did not fail to start. */
const GOOD_RUN_MS = 60_000;
const POLL_MS = 200;
/**
 * All of garligate is to be down within 5 s, of which SOCKS clients may have had three before a router is stopped. i2pd looks
 * once a second whether it shall end, and loses nothing by being killed.
 */
const TERMINATE_MS = 1_200;
/** To be gone, and for that to be told. */
const KILLED_MS = 150;

/** What `start` says where there is no i2pd, in parts. */
export const NO_PROGRAM = {
  code: 'router.no-program',
  why: 'there is no SAM bridge at 127.0.0.1:7656 and no i2pd to start',
  advice: 'install i2pd (apt-get install i2pd), or set router.sam',
} as const;

const LEFT =
  "garligate's own i2pd, or a shell that runs it, does not end, and this gateway may not kill it: " +
  'kill -KILL does, and the next start ends the i2pd';

/** What needs rights that the gateway has only at its start. */
interface Prepared {
  readonly launcher: Launcher;
  readonly record: RunRecord;
  /** Whom the router runs as. */
  readonly uid: number;
}

interface RouterProcess extends LaunchedRun {
  readonly port: number;
  readonly since: number;
  ready: boolean;
}

export class ManagedRouter implements Service {
  readonly bridge: DatagramBridgePort;
  readonly #parts: ManagedRouterParts;
  readonly #stopping = new AbortController();
  #prepared: Prepared | undefined;
  #loop: Promise<void> = Promise.resolve();
  #run: RouterProcess | undefined;
  #restarts = 0;
  #failure = 'it has not been started yet';

  constructor(parts: ManagedRouterParts) {
    this.#parts = parts;
    this.bridge = {
      open: async (signal) => createTcpBridge(await this.#untilReady(signal), parts.clock).open(signal),
      openDatagrams: async (signal) => openBridgeDatagrams(await this.#untilReady(signal), parts.udp, signal),
    };
  }

  /**
   * Does what needs the rights to become another user. `start` does it where it was not done before.
   *
   * @throws GateError `local-io` when another gateway uses the directory, or something cannot be had
   */
  async prepare(): Promise<void> {
    if (this.#prepared !== undefined) return;
    const { clock, directory, searchPath, gatewayUser } = this.#parts;
    try {
      const user = process.geteuid?.() === 0 ? await routersUser(gatewayUser) : undefined;
      const record = await claimRecord(`${directory}.pid`, directory, this.#parts);
      try {
        await prepareDirectory(directory, user);
        const launcher = await startLauncher({ user, directory, searchPath, clock });
        this.#prepared = { launcher, record, uid: user?.uid ?? process.geteuid?.() ?? 0 };
      } catch (error) {
        await record.release();
        throw error;
      }
    } catch (error) {
      throw asGateError(error, "preparing garligate's own i2pd");
    }
  }

  /**
   * Returns as soon as the program runs; its SAM bridge may need minutes at the very first start.
   *
   * @param signal gives it up; `stop` may only be called when it has come to its end
   * @throws GateError `router-down` when there is no i2pd, and what `prepare` throws
   */
  async start(signal: AbortSignal): Promise<void> {
    const program = await findProgram('i2pd', this.#parts.searchPath);
    if (program === undefined) throw noProgram();
    await this.prepare();
    try {
      const first = await this.#launch(program, signal);
      this.#loop = this.#supervise(first, () => this.#launch(program, this.#stopping.signal));
    } catch (error) {
      throw asGateError(error, "starting garligate's own i2pd");
    }
  }

  /** Waits a moment for what does not end, and then leaves it to the next start. */
  async stop(): Promise<void> {
    this.#stopping.abort(new GateError('shutdown', 'shutdown', 'the gateway is ending'));
    await this.#loop;
    const prepared = this.#prepared;
    this.#prepared = undefined;
    if (prepared === undefined) return;
    const { launcher, record } = prepared;
    const left = await launcher.close();
    if (left.length === 0) return record.release();
    this.#parts.log.warn(LEFT, { processes: left.join(' ') });
    await record.keep();
  }

  state(): RouterState {
    if (this.#run === undefined) {
      return {
        kind: 'none',
        why: `garligate's own i2pd does not run: ${this.#failure}`,
        advice: 'it is started again by itself',
      };
    }
    const {
      mark: { pid },
      since,
    } = this.#run;
    return { kind: 'managed', pid, age: (this.#parts.clock.now() - since) / 1000, restarts: this.#restarts };
  }

  /**
   * Waits for the bridge as long as the caller does.
   *
   * @throws GateError `router-down` when that was too short
   */
  async #untilReady(signal: AbortSignal): Promise<TcpEndpoint> {
    const { clock } = this.#parts;
    const stopping = this.#stopping.signal;
    for (;;) {
      const run = this.#run;
      if (run?.ready) return { kind: 'tcp', host: '127.0.0.1', port: run.port };
      // Looked at between the naps: AbortSignal.any would leave a piece of itself at the long-lived signal on Node 20.
      if (stopping.aborted) throw abortError(stopping, "waiting for garligate's own i2pd");
      await sleep(clock, POLL_MS, signal).catch((error: unknown) => {
        throw isGivenUp(error) ? error : notUpYet();
      });
    }
  }

  async #supervise(first: RouterProcess, launch: () => Promise<RouterProcess>): Promise<void> {
    const { clock, log, random } = this.#parts;
    let failures = 0;
    let run: RouterProcess | undefined = first;
    for (;;) {
      if (run !== undefined) {
        const end = await this.#endOf(run);
        if (end !== undefined) this.#failure = explainEnd(end, run.ready);
        failures = clock.now() - run.since > GOOD_RUN_MS ? 1 : failures + 1;
        this.#run = undefined;
      }
      if (this.#stopping.signal.aborted) return;
      const delay = backoffDelay(RESTART, Math.max(failures, 1), random());
      log.warn("garligate's own i2pd has ended and will be started again", { inMs: delay, restarts: this.#restarts });
      try {
        await sleep(clock, delay, this.#stopping.signal);
        this.#restarts += 1;
        run = await launch();
      } catch (error) {
        if (this.#stopping.signal.aborted) return;
        run = undefined;
        failures += 1;
        this.#failure = asGateError(error, "starting garligate's own i2pd").message;
      }
    }
  }

  /** @returns how it ended; undefined where that was our wish, which is not heard of when it is stuck */
  async #endOf(run: RouterProcess): Promise<ProgramEnd | undefined> {
    try {
      return await unlessAborted(run.ended, this.#stopping.signal, "running garligate's own i2pd");
    } catch {
      await terminate(run, this.#parts.clock);
      return undefined;
    }
  }

  async #launch(program: string, signal: AbortSignal): Promise<RouterProcess> {
    const { extraArguments, clock, log } = this.#parts;
    const prepared = this.#prepared;
    if (prepared === undefined) throw new GateError('bug', 'bug', 'a router was started that is not prepared');
    const { launcher, record } = prepared;
    const port = await freeTcpPort();
    const launched = await launcher.run([program, ...i2pdArguments(port), ...extraArguments], signal);
    const run: RouterProcess = { ...launched, port, since: clock.now(), ready: false };
    this.#run = run;
    try {
      await record.write(run.mark);
    } catch (error) {
      // Nobody would find an i2pd again that is not on record, and every further attempt would add one.
      await terminate(run, clock);
      this.#run = undefined;
      throw error;
    }
    log.info('an i2pd of our own was started', { pid: run.mark.pid });
    void this.#watchReadiness(run, prepared.uid);
    return run;
  }

  /** Never rejects. */
  async #watchReadiness(run: RouterProcess, uid: number): Promise<void> {
    const over = firstOf(this.#stopping.signal, abortedBy(run.ended));
    try {
      while (!(await listensAt(uid, run.port))) await sleep(this.#parts.clock, POLL_MS, over.signal);
      run.ready = true;
    } catch {
      // The run is over before its bridge came up: the supervisor says so.
    } finally {
      over.end();
    }
  }
}

/** Nobody wants the bridge any more: that says nothing of the router. */
function isGivenUp(error: unknown): boolean {
  return error instanceof GateError && (error.kind === 'cancelled' || error.kind === 'shutdown');
}

function notUpYet(): GateError {
  const message = "garligate's own i2pd has not opened its SAM bridge yet; the first start takes some minutes";
  return new GateError('router-down', 'router.starting', message);
}

function noProgram(): GateError {
  return new GateError('router-down', NO_PROGRAM.code, `${NO_PROGRAM.why}: ${NO_PROGRAM.advice}`);
}

/** Once its bridge has listened, i2pd's last words may be a name that somebody asked for: those are nobody's business. */
function explainEnd({ how, lastWords }: ProgramEnd, hasListened: boolean): string {
  return hasListened || lastWords === '' ? how : `${how}: ${lastWords}`;
}

function abortedBy(ended: Promise<unknown>): AbortSignal {
  const controller = new AbortController();
  void ended.then(() => controller.abort());
  return controller.signal;
}

/** Waits for no end that does not come: closing the launcher does the rest. */
async function terminate(run: RouterProcess, clock: Clock): Promise<void> {
  run.signal('TERM');
  if (await isOverWithin(clock, TERMINATE_MS, run.ended)) return;
  run.signal('KILL');
  await isOverWithin(clock, KILLED_MS, run.ended);
}

/** Never the gateway's own: who breaks into the router shall not have the gateway as well. */
async function routersUser(gatewayUser: UserIds | undefined): Promise<UserIds> {
  const user = await findUser(USERS, gatewayUser?.uid);
  if (user !== undefined) return user;
  const message = `there is no user for an i2pd of garligate's own besides the one that the gateway has; the package i2pd makes one`;
  throw new GateError('local-io', 'router.no-user', message);
}

async function prepareDirectory(directory: string, user: UserIds | undefined): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  if (user !== undefined) await chown(directory, user.uid, user.gid);
  await chmod(directory, 0o700);
}

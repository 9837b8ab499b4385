/**
 * An i2pd of our own: started without privileges in its own directory, with nothing but a SAM bridge on a private
 * loopback port, started again when it ends, and ended with us, however we end.
 */
import type { ChildProcess } from 'node:child_process';
import { chmod, chown, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import type { TcpEndpoint } from '../config/endpoint.ts';
import type { DatagramPortChoice } from '../config/values.ts';
import type { RouterState } from '../control/status.ts';
import type { DatagramBridgePort } from '../core/ports.ts';
import { type BackoffRange, backoffDelay } from '../kit/backoff.ts';
import { type Clock, sleep } from '../kit/clock.ts';
import { abortError, asGateError, GateError } from '../kit/errors.ts';
import type { Logger } from '../kit/log.ts';
import type { Service } from '../kit/service.ts';
import { tcpBridge } from './bridge-tcp.ts';
import { openBridgeDatagrams } from './bridge-udp.ts';
import { endOf, freePort, spawnI2pd } from './i2pd-program.ts';
import { findProgram, findUser, isAlive, listensAt, markOf, type ProcessMark, type UserIds } from './processes.ts';

export interface ManagedRouterParts {
  /** Where i2pd keeps its data; made when it is missing. A file `<directory>.pid` stands beside it. */
  readonly directory: string;
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
/** All of garligate is to be down within 5 s. i2pd loses nothing by being killed. */
const TERMINATE_MS = 2_000;

/** What `start` says where there is no i2pd, in parts. */
export const NO_PROGRAM = {
  code: 'router.no-program',
  why: 'there is no SAM bridge at 127.0.0.1:7656 and no i2pd to start',
  advice: 'install i2pd (apt-get install i2pd), or set router.sam',
} as const;

/** One run of the program. */
interface Run {
  readonly child: ChildProcess;
  readonly pid: number;
  readonly port: number;
  readonly since: number;
  readonly ended: Promise<string>;
  ready: boolean;
}

export class ManagedRouter implements Service {
  readonly name = 'router';
  readonly bridge: DatagramBridgePort;
  readonly #parts: ManagedRouterParts;
  readonly #stopping = new AbortController();
  #loop: Promise<void> = Promise.resolve();
  #run: Run | undefined;
  #restarts = 0;
  #failure = 'it has not been started yet';

  constructor(parts: ManagedRouterParts) {
    this.#parts = parts;
    this.bridge = {
      open: async (signal) => tcpBridge(await this.#untilReady(signal), parts.clock).open(signal),
      openDatagrams: async (signal) => openBridgeDatagrams(await this.#untilReady(signal), parts.udp, signal),
    };
  }

  /**
   * Returns as soon as the program runs; its SAM bridge may need minutes at the very first start.
   *
   * @throws GateError `router-down` when there is no i2pd, `local-io` when another gateway uses the directory
   */
  async start(): Promise<void> {
    const { directory, searchPath } = this.#parts;
    const program = await findProgram('i2pd', searchPath);
    if (program === undefined) throw noProgram();
    const setpriv = await findProgram('setpriv', searchPath);
    const user = process.geteuid?.() === 0 ? await findUser(USERS) : undefined;
    try {
      await endLeftover(this.#pidFile, this.#parts);
      await prepareDirectory(directory, user);
      const first = await this.#launch(program, setpriv, user);
      this.#loop = this.#supervise(first, () => this.#launch(program, setpriv, user));
    } catch (error) {
      throw asGateError(error, 'starting the own i2pd');
    }
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new GateError('shutdown', 'shutdown', 'the gateway is ending'));
    const run = this.#run;
    if (run !== undefined) await terminate(run, this.#parts.clock);
    await this.#loop;
    await rm(this.#pidFile, { force: true }).catch((error: unknown) => {
      // Harmless: what it names does not run any more, and the next start sees that.
      const { message, code } = asGateError(error, 'removing the mark of the own i2pd');
      this.#parts.log.warn(message, { code });
    });
  }

  state(): RouterState {
    if (this.#run === undefined) {
      return {
        kind: 'none',
        why: `the own i2pd does not run: ${this.#failure}`,
        advice: 'it is started again by itself',
      };
    }
    const { pid, since } = this.#run;
    return { kind: 'managed', pid, age: (this.#parts.clock.now() - since) / 1000, restarts: this.#restarts };
  }

  get #pidFile(): string {
    return `${this.#parts.directory}.pid`;
  }

  /** Waits for the bridge as long as the caller does. */
  async #untilReady(signal: AbortSignal): Promise<TcpEndpoint> {
    const { clock } = this.#parts;
    const stopping = this.#stopping.signal;
    for (;;) {
      const run = this.#run;
      if (run?.ready) return { kind: 'tcp', host: '127.0.0.1', port: run.port };
      // Looked at between the naps: AbortSignal.any would leave a piece of itself at the long-lived signal on Node 20.
      if (stopping.aborted) throw abortError(stopping, 'waiting for the own i2pd');
      await sleep(clock, POLL_MS, signal);
    }
  }

  async #supervise(first: Run, launch: () => Promise<Run>): Promise<void> {
    const { clock, log, random } = this.#parts;
    let failures = 0;
    let run: Run | undefined = first;
    for (;;) {
      if (run !== undefined) {
        this.#failure = await run.ended;
        failures = clock.now() - run.since > GOOD_RUN_MS ? 1 : failures + 1;
        this.#run = undefined;
      }
      if (this.#stopping.signal.aborted) return;
      const delay = backoffDelay(RESTART, Math.max(failures, 1), random());
      log.warn('the own i2pd has ended and will be started again', { inMs: delay, restarts: this.#restarts });
      try {
        await sleep(clock, delay, this.#stopping.signal);
        this.#restarts += 1;
        run = await launch();
        // Stopped while it was starting: nobody else knows of it yet.
        if (this.#stopping.signal.aborted) await terminate(run, clock);
      } catch (error) {
        if (this.#stopping.signal.aborted) return;
        run = undefined;
        failures += 1;
        this.#failure = asGateError(error, 'starting the own i2pd').message;
      }
    }
  }

  async #launch(program: string, setpriv: string | undefined, user: UserIds | undefined): Promise<Run> {
    const { directory, extraArguments, clock, log } = this.#parts;
    const port = await freePort();
    const child = spawnI2pd({ program, setpriv, user, directory, port, extraArguments });
    const ended = endOf(child);
    const { pid } = child;
    if (pid === undefined) throw new GateError('local-io', 'router.start', `i2pd cannot be started: ${await ended}`);
    const run: Run = { child, pid, port, since: clock.now(), ended, ready: false };
    this.#run = run;
    try {
      await recordRun(this.#pidFile, pid);
    } catch (error) {
      // Nobody would find an i2pd again that is not on record, and every further attempt would add one.
      await terminate(run, clock);
      this.#run = undefined;
      throw asGateError(error, `recording the own i2pd in ${this.#pidFile}`);
    }
    log.info('an own i2pd was started', { pid });
    void this.#watchReadiness(run);
    return run;
  }

  /** Never rejects. */
  async #watchReadiness(run: Run): Promise<void> {
    const over = AbortSignal.any([this.#stopping.signal, abortedBy(run.ended)]);
    try {
      while (!(await listensAt(run.pid, run.port))) await sleep(this.#parts.clock, POLL_MS, over);
      run.ready = true;
    } catch {
      // The run is over before its bridge came up: the supervisor says so.
    }
  }
}

function noProgram(): GateError {
  return new GateError('router-down', NO_PROGRAM.code, `${NO_PROGRAM.why}: ${NO_PROGRAM.advice}`);
}

function abortedBy(ended: Promise<unknown>): AbortSignal {
  const controller = new AbortController();
  void ended.then(() => controller.abort());
  return controller.signal;
}

async function terminate({ child, ended }: Run, clock: Clock): Promise<void> {
  child.kill('SIGTERM');
  const timer = clock.after(TERMINATE_MS, () => child.kill('SIGKILL'));
  await ended;
  timer.cancel();
}

async function prepareDirectory(directory: string, user: UserIds | undefined): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  if (user !== undefined) await chown(directory, user.uid, user.gid);
  await chmod(directory, 0o700);
}

/** The child first, then the gateway that owns it. */
async function recordRun(pidFile: string, pid: number): Promise<void> {
  const marks = [await markOf(pid), await markOf(process.pid)];
  await writeFile(pidFile, `${JSON.stringify(marks)}\n`, { mode: 0o600 });
}

/** Ends what a gateway that was killed has left running in our directory. */
async function endLeftover(pidFile: string, { clock, log, directory }: ManagedRouterParts): Promise<void> {
  const [child, owner] = await readMarks(pidFile);
  if (child === undefined || !(await isAlive(child))) return;
  if (owner !== undefined && owner.pid !== process.pid && (await isAlive(owner))) {
    const message = `another gateway (process ${owner.pid}) runs a router in ${directory}; set router.directory`;
    throw new GateError('local-io', 'router.directory-in-use', message);
  }
  log.warn('ending an i2pd that a killed gateway left behind', { pid: child.pid });
  process.kill(child.pid, 'SIGTERM');
  const end = clock.now() + TERMINATE_MS;
  const never = new AbortController().signal;
  while (clock.now() < end && (await isAlive(child))) await sleep(clock, POLL_MS, never);
  if (await isAlive(child)) process.kill(child.pid, 'SIGKILL');
}

async function readMarks(pidFile: string): Promise<readonly (ProcessMark | undefined)[]> {
  const text = await readFile(pidFile, 'utf8').catch(() => '');
  const marks = parseJson(text);
  return Array.isArray(marks) ? marks.map((mark) => (isMark(mark) ? mark : undefined)) : [];
}

/** A file that was cut off by a power failure names no process that could still run. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isMark(value: unknown): value is ProcessMark {
  return (
    typeof value === 'object' &&
    value !== null &&
    'pid' in value &&
    typeof value.pid === 'number' &&
    'startedAt' in value &&
    typeof value.startedAt === 'string'
  );
}

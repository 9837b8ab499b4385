/**
 * The life of a SAM session, whatever it carries: an I2P destination with its tunnels, kept for as long as somebody wants
 * it. Builds it, watches it, and builds it again after a pause when it is lost; everybody else only sees its state.
 */
import type { Duplex } from 'node:stream';
import { createSharedController, firstOf } from '../../kit/abort.ts';
import { type BackoffRange, backoffDelay } from '../../kit/backoff.ts';
import { type Clock, within } from '../../kit/clock.ts';
import { abortError, GateError } from '../../kit/errors.ts';
import { type Logger, logDefect } from '../../kit/log.ts';
import type { Destination, PrivateKeys } from '../../wire/i2p/destination.ts';
import type { SamCredentials, SessionOptions, SessionStyle } from '../../wire/sam/command.ts';
import { createSession, hello, type SamVersion } from '../../wire/sam/conversation.ts';
import type { SamDatagram } from '../../wire/sam/datagram.ts';
import { isRefusal } from '../../wire/sam/reply.ts';
import type { BridgePort } from '../ports.ts';
import { continueConversation, converse } from './bridge.ts';
import { watchControl } from './control.ts';
import { KeyHold } from './key-hold.ts';
import { askRouterKind, type RouterKind } from './router-kind.ts';

export interface ReadySession {
  /** SAM's name of the session, new for every build. */
  readonly id: string;
  readonly me: Destination;
  readonly version: SamVersion;
  /** Aborts when this very build of the session is over. */
  readonly over: AbortSignal;
  /** Resolves when that is known, or with undefined when this build is over before. Never rejects. */
  readonly router: Promise<RouterKind | undefined>;
  /** For whoever hears from the router that it no longer knows the session, though the control connection still stands. */
  readonly gone: (why: GateError) => void;
}

export type SessionState =
  | { readonly kind: 'idle' }
  | { readonly kind: 'building'; readonly since: number; readonly attempt: number }
  | { readonly kind: 'ready'; readonly since: number; readonly session: ReadySession }
  | { readonly kind: 'waiting'; readonly since: number; readonly until: number; readonly why: GateError }
  /** No retry can help; somebody must change something. */
  | { readonly kind: 'failed'; readonly since: number; readonly why: GateError }
  | { readonly kind: 'closed' };

export interface SessionSettings {
  readonly keys: PrivateKeys | 'transient';
  /** Until when, by the clock, the router may hold these keys for an earlier process; never unless told. */
  readonly keysHeldUntil?: number | undefined;
  readonly options: SessionOptions;
  readonly credentials: SamCredentials | undefined;
}

/** What one build of a session carries besides its life. */
export interface SessionCarrier {
  readonly style: SessionStyle;
  /** A datagram came on the control connection; absent where none can. */
  readonly take?: (datagram: SamDatagram) => void;
  /** The session stands. Whatever else is written to `control` is whole commands. */
  begin?(session: ReadySession, control: Duplex): void;
  /** This build is over, or never came to stand. */
  end?(): void;
}

/** Asked anew for every build. @throws GateError when it cannot be had now */
export type OpenCarrier = (signal: AbortSignal) => Promise<SessionCarrier>;

export interface SessionEnvironment {
  readonly bridge: BridgePort;
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: () => number;
  /** Runs `build` when it is this session's turn: many sessions lost at once must not all be built at once. */
  readonly takeTurn: <T>(build: () => Promise<T>, signal: AbortSignal) => Promise<T>;
}

/** A router that is well answers HELLO at once, however busy it is; whoever is silent for so long may be none. */
const GREETING_DEADLINE_MS = 20_000;
/** i2pd 2.45.1 answers after 20 s or 40 s, a cold router later; beyond this it has forgotten us. */
const BUILD_DEADLINE_MS = 180_000;
const REBUILD: BackoffRange = { firstMs: 1_000, longestMs: 60_000 };
/** Whether a router is there again costs it nothing to be asked, and everybody waits for the answer. */
const ROUTER_DOWN: BackoffRange = { firstMs: 1_000, longestMs: 5_000 };
/** While the router still holds our old self, asking again at once only renews the trouble. */
const REBUILD_DUPLICATED: BackoffRange = { firstMs: 15_000, longestMs: 120_000 };
/** How often somebody who needs the session now may cut a pause short. */
const LEAST_PAUSE_MS = 1_000;

function pausesAfter(why: GateError): BackoffRange {
  if (why.kind === 'router-down') return ROUTER_DOWN;
  return why.code === 'sam.duplicated-destination' ? REBUILD_DUPLICATED : REBUILD;
}

/** A session that was just built. */
interface LiveSession {
  readonly carrier: SessionCarrier;
  readonly control: Duplex;
  readonly session: ReadySession;
  readonly end: AbortController;
  /** Aborts when the router disowns the session. */
  readonly loss: AbortSignal;
}

export class SessionLife {
  readonly #openCarrier: OpenCarrier;
  readonly #settings: SessionSettings;
  readonly #environment: SessionEnvironment;
  readonly #closing = createSharedController();
  readonly #watchers = new Set<(state: SessionState) => void>();
  #state: SessionState = { kind: 'idle' };
  /** Transient keys are new every time, and nobody can hold them. */
  readonly #keyHold: KeyHold | undefined;
  #running: Promise<void> | undefined;
  /** The log has said so. */
  #isLost = false;
  #pause: { readonly since: number; readonly mayBeCut: boolean; readonly end: () => void } | undefined;

  constructor(openCarrier: OpenCarrier, settings: SessionSettings, environment: SessionEnvironment) {
    this.#openCarrier = openCarrier;
    this.#settings = settings;
    this.#environment = environment;
    const { keys, keysHeldUntil = Number.NEGATIVE_INFINITY } = settings;
    this.#keyHold =
      keys === 'transient' ? undefined : new KeyHold(environment.bridge, environment.clock, keysHeldUntil);
  }

  get state(): SessionState {
    return this.#state;
  }

  /** Begins to build the session, and keeps it until `close`. */
  open(): void {
    this.#running ??= this.#run();
  }

  async close(): Promise<void> {
    this.#closing.abort(new GateError('shutdown', 'shutdown', 'the session was closed'));
    await this.#running;
    this.#become({ kind: 'closed' });
  }

  onState(watch: (state: SessionState) => void): () => void {
    this.#watchers.add(watch);
    return () => this.#watchers.delete(watch);
  }

  /**
   * Waits while the session is being built. A pause after a failure is cut short for the sake of the caller; when that
   * attempt fails too, its reason is thrown, so that nobody waits for a router that is not there.
   */
  ready(signal: AbortSignal): Promise<ReadySession> {
    this.open();
    const state = this.#state;
    if (state.kind === 'ready' && !state.session.over.aborted && !signal.aborted) return Promise.resolve(state.session);
    if (state.kind === 'waiting' && this.#pause !== undefined) {
      if (!this.#cutPauseShort()) return Promise.reject(state.why);
    }
    return this.#ready(signal, 'until it fails');
  }

  /** Waits for as long as there is hope, through pauses too, and hurries nobody. Rejects when the session is over for good. */
  readySomeTime(signal: AbortSignal): Promise<ReadySession> {
    this.open();
    return this.#ready(signal, 'some time');
  }

  #ready(signal: AbortSignal, patience: 'until it fails' | 'some time'): Promise<ReadySession> {
    return new Promise((resolve, reject) => {
      const settle = (now: SessionState) => {
        switch (now.kind) {
          case 'idle':
          case 'building':
            return;
          case 'ready':
            // Lost, and about to be called so.
            if (!now.session.over.aborted) finish(() => resolve(now.session));
            return;
          case 'waiting':
            if (patience === 'until it fails') finish(() => reject(now.why));
            return;
          case 'failed':
            return finish(() => reject(now.why));
          case 'closed':
            return finish(() => reject(new GateError('shutdown', 'session.closed', 'the session was closed')));
          default:
            return now satisfies never;
        }
      };
      const onAbort = () => finish(() => reject(abortError(signal, 'waiting for the session')));
      const finish = (done: () => void) => {
        unwatch();
        signal.removeEventListener('abort', onAbort);
        done();
      };
      const unwatch = this.onState(settle);
      if (signal.aborted) return onAbort();
      signal.addEventListener('abort', onAbort, { once: true });
      // A pause that is on now is one that has just been cut short.
      if (this.#state.kind !== 'waiting') settle(this.#state);
    });
  }

  async #run(): Promise<void> {
    const signal = this.#closing.signal;
    for (let attempt = 1; !signal.aborted; attempt += 1) {
      let why: GateError;
      try {
        const live = await this.#environment.takeTurn(() => this.#build(attempt, signal), signal);
        const readyAt = this.#environment.clock.now();
        why = await this.#live(live, signal);
        // A session that lived for a while has earned a fresh start.
        if (this.#environment.clock.now() - readyAt > REBUILD.longestMs) attempt = 0;
      } catch (error) {
        why = logDefect(this.#environment.log, error, 'creating the session');
      }
      if (signal.aborted) return;
      // Only a wrong key is beyond hope: routers come back, and refuse for reasons that pass.
      if (why.kind === 'config') {
        this.#environment.log.error(`no session: ${why.message}`, { code: why.code });
        this.#become({ kind: 'failed', since: this.#environment.clock.now(), why });
        return;
      }
      await this.#rest(why, Math.max(attempt, 1));
    }
  }

  async #build(attempt: number, signal: AbortSignal): Promise<LiveSession> {
    const { clock } = this.#environment;
    this.#become({ kind: 'building', since: clock.now(), attempt });
    await this.#keyHold?.over(signal);
    const id = `garligate-${Math.floor(this.#environment.random() * 2 ** 48).toString(36)}`;
    const late = new GateError(
      'router-refused',
      'sam.session-late',
      `the router built no session within ${BUILD_DEADLINE_MS / 1000} s; it may be starting up or have no network`,
    );
    const carrier = await this.#openCarrier(signal);
    const { keys, options } = this.#settings;
    const request = createSession({ id, style: carrier.style, keys, options });
    const built = within(clock, BUILD_DEADLINE_MS, late, signal, async (limit) => {
      const { stream: control, out: version } = await this.#greet(limit);
      try {
        const { destination } = await continueConversation(control, request, 'creating the session', limit);
        return { control, version, me: destination };
      } catch (error) {
        control.destroy();
        // Unless it said no, the router may have begun the session, whatever we make of its answer.
        if (!isRefusal(error)) this.#keyHold?.begin();
        throw error;
      }
    });
    // What was opened for this build must not outlive it.
    const { control, version, me } = await built.catch((error: unknown) => {
      carrier.end?.();
      throw error;
    });
    const [end, loss] = [createSharedController(), new AbortController()];
    const gone = (why: GateError) => loss.abort(why);
    const router = askRouterKind(version, this.#settings.credentials, this.#environment, end.signal);
    const session = { id, me, version, over: end.signal, router, gone };
    return { carrier, control, session, end, loss: loss.signal };
  }

  #greet(signal: AbortSignal) {
    const { bridge, clock } = this.#environment;
    const silent = new GateError(
      'router-protocol',
      'sam.silent',
      `something takes connections at the SAM port and does not answer HELLO within ${GREETING_DEADLINE_MS / 1000} s; see ` +
        'whether the router is well, and whether it is its SAM bridge that listens there',
    );
    return within(clock, GREETING_DEADLINE_MS, silent, signal, (limit) =>
      converse(bridge, hello(this.#settings.credentials), 'greeting the SAM bridge', limit),
    );
  }

  async #live({ carrier, control, session, end, loss }: LiveSession, signal: AbortSignal): Promise<GateError> {
    const { clock, log } = this.#environment;
    carrier.begin?.(session, control);
    if (this.#isLost) log.info('the session stands again', { code: 'session.back' });
    this.#isLost = false;
    this.#become({ kind: 'ready', since: clock.now(), session });
    const over = firstOf(signal, loss);
    const why = await watchControl(control, clock, session.router, over.signal, carrier.take);
    over.end();
    end.abort(why);
    carrier.end?.();
    this.#keyHold?.begin();
    if (!signal.aborted) {
      this.#isLost = true;
      log.warn(`session lost: ${why.message}`, { code: why.code });
    }
    return why;
  }

  #rest(why: GateError, attempt: number): Promise<void> {
    const { clock, log, random } = this.#environment;
    const ms = backoffDelay(pausesAfter(why), attempt, random());
    const since = clock.now();
    log.debug(`no session: ${why.message}`, { code: why.code, attempt, retryMs: ms });
    return new Promise((resolve) => {
      const end = () => {
        timer.cancel();
        this.#closing.signal.removeEventListener('abort', end);
        this.#pause = undefined;
        resolve();
      };
      const timer = clock.after(ms, end);
      this.#closing.signal.addEventListener('abort', end, { once: true });
      // Asking a router that is not there costs nothing, and a session that lived may be had again at once; but one that
      // keeps dying costs a whole set of tunnels each time.
      const mayBeCut = why.kind === 'router-down' || (why.kind === 'session-lost' && attempt === 1);
      this.#pause = { since, mayBeCut, end };
      this.#become({ kind: 'waiting', since, until: since + ms, why });
    });
  }

  #cutPauseShort(): boolean {
    const pause = this.#pause;
    if (pause === undefined || !pause.mayBeCut) return false;
    if (this.#environment.clock.now() - pause.since < LEAST_PAUSE_MS) return false;
    pause.end();
    return true;
  }

  #become(state: SessionState): void {
    this.#state = state;
    for (const watch of [...this.#watchers]) watch(state);
  }
}

/**
 * Keeps STREAM ACCEPTs armed on a session while it is ready, and hands over each stream that arrives on one together
 * with the destination it comes from: the only authenticated fact about it.
 */
import type { Duplex } from 'node:stream';
import { createSharedController, firstOf } from '../../kit/abort.ts';
import { type BackoffRange, backoffDelay } from '../../kit/backoff.ts';
import { type Clock, sleep, within } from '../../kit/clock.ts';
import { abortError, GateError } from '../../kit/errors.ts';
import { type Logger, logFailure } from '../../kit/log.ts';
import type { Service } from '../../kit/service.ts';
import type { SamCredentials } from '../../wire/sam/command.ts';
import { type AcceptedPeer, acceptedPeer, armAccept, knowsPorts } from '../../wire/sam/conversation.ts';
import type { BridgePort } from '../ports.ts';
import { continueConversation, converse } from './bridge.ts';
import type { ReadySession } from './life.ts';
import type { Session } from './session.ts';

export interface InboundStream extends AcceptedPeer {
  readonly stream: Duplex;
}

export interface Acceptor extends Service {
  /** STREAM ACCEPTs that wait at this moment. */
  readonly armed: number;
  /** Resolves as soon as a stream can come. @throws GateError for the abort of the signal */
  whenArmed(signal: AbortSignal): Promise<void>;
}

export interface AcceptorOptions {
  readonly session: Session;
  readonly bridge: BridgePort;
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: () => number;
  readonly credentials: SamCredentials | undefined;
  /** STREAM ACCEPTs armed at one time, at most. */
  readonly slots: number;
  /** Takes over the stream; must not throw. */
  readonly take: (inbound: InboundStream) => void;
}

/**
 * i2pd from 2.5x on closes ACCEPTs that were armed less than 3 s before another on the same session. It speaks SAM 3.2
 * or later, as Java I2P does, which takes them all at once, and refuses streams that find none armed. Until it is known
 * which one this is, it is taken for i2pd.
 */
const BURST_WINDOW_MS = 3_500;
/**
 * i2pd 2.45.1 may hand two streams to one ACCEPT when several are armed and both come at once: what the second peer sends
 * then follows the first one's, under the first one's name (docs/adr/0027). It speaks SAM 3.1, which no other router does
 * any more. While none is armed it keeps what comes, for ten seconds.
 */
const SLOTS_OF_OLD_I2PD = 1;
const ARM_DEADLINE_MS = 20_000;
const RETRY: BackoffRange = { firstMs: 500, longestMs: 15_000 };

export function createAcceptor(options: AcceptorOptions): Acceptor {
  const { session, bridge, clock, log } = options;
  const stopping = createSharedController();
  const onArmed = new Set<() => void>();
  let armed = 0;
  let running: Promise<void> | undefined;

  const run = async () => {
    const signal = stopping.signal;
    for (let failures = 0; !signal.aborted; ) {
      try {
        const ready = await session.readySomeTime(signal);
        const over = firstOf(signal, ready.over);
        await keepArmed(ready, over.signal).finally(over.end);
        failures = 0;
      } catch (error) {
        const { kind } = logFailure(log, error, 'accepting streams');
        // A session that is over for good.
        if (kind === 'config' || kind === 'shutdown') return;
        failures += 1;
        await rest(failures, signal);
      }
    }
  };

  const rest = (failures: number, signal: AbortSignal) =>
    sleep(clock, backoffDelay(RETRY, failures, options.random()), signal).catch(() => {});

  /** Keeps arming until the session is over. An ACCEPT is given up only with it: closing one can swallow a CONNECT. */
  const keepArmed = async (ready: ReadySession, signal: AbortSignal) => {
    const most = knowsPorts(ready.version) ? options.slots : SLOTS_OF_OLD_I2PD;
    let window = knowsPorts(ready.version) ? BURST_WINDOW_MS : 0;
    /** When each slot in use was armed. */
    const slots = new Map<Duplex, number>();
    let change = () => {};
    void ready.router.then((kind) => {
      if (kind !== 'java') return;
      window = 0;
      change();
    });
    for (let failures = 0; !signal.aborted; ) {
      const youngest = Math.max(Number.NEGATIVE_INFINITY, ...slots.values());
      const pause = slots.size >= most ? Number.POSITIVE_INFINITY : youngest + window - clock.now();
      if (pause > 0) {
        const changed = new Promise<void>((resolve) => {
          change = resolve;
        });
        await waitFor(changed, pause, signal);
        continue;
      }
      try {
        const stream = await arm(ready, signal);
        failures = 0;
        slots.set(stream, clock.now());
        void serve(stream, signal).finally(() => {
          slots.delete(stream);
          change();
        });
      } catch (error) {
        if (signal.aborted) return;
        failures += 1;
        const why = logFailure(log, error, 'arming an accept');
        if (why.kind === 'session-lost') ready.gone(why);
        await rest(failures, signal);
      }
    }
  };

  const arm = async (ready: ReadySession, signal: AbortSignal): Promise<Duplex> => {
    const late = new GateError('router-protocol', 'sam.accept-late', 'the SAM bridge did not answer STREAM ACCEPT');
    const { stream } = await within(clock, ARM_DEADLINE_MS, late, signal, (limit) =>
      converse(bridge, armAccept(ready.id, options.credentials), 'arming an accept', limit),
    );
    return stream;
  };

  /** Waits for `changed`, for `ms`, or for the end of the session. */
  const waitFor = (changed: Promise<void>, ms: number, signal: AbortSignal) =>
    new Promise<void>((resolve) => {
      const timer = Number.isFinite(ms) ? clock.after(ms, () => finish()) : undefined;
      const finish = () => {
        timer?.cancel();
        signal.removeEventListener('abort', finish);
        resolve();
      };
      if (signal.aborted) return finish();
      signal.addEventListener('abort', finish, { once: true });
      void changed.then(finish);
    });

  const serve = async (stream: Duplex, signal: AbortSignal) => {
    armed += 1;
    for (const tell of [...onArmed]) tell();
    try {
      const peer = await continueConversation(stream, acceptedPeer(), 'waiting for a peer', signal).finally(() => {
        armed -= 1;
      });
      options.take({ stream, ...peer });
    } catch (error) {
      stream.destroy();
      logFailure(log, error, 'accepting a stream');
      // Without this pause a bridge that closes every ACCEPT would be asked without end.
      await sleep(clock, RETRY.firstMs, signal).catch(() => {});
    }
  };

  return {
    get armed() {
      return armed;
    },
    whenArmed: (signal) =>
      new Promise((resolve, reject) => {
        const settle = () => {
          if (armed === 0 && !signal.aborted) return;
          onArmed.delete(settle);
          signal.removeEventListener('abort', settle);
          if (signal.aborted) reject(abortError(signal, 'waiting for an accept'));
          else resolve();
        };
        onArmed.add(settle);
        signal.addEventListener('abort', settle, { once: true });
        settle();
      }),
    start: async () => {
      running ??= run();
    },
    stop: async () => {
      stopping.abort(new GateError('shutdown', 'shutdown', 'the acceptor was stopped'));
      await running;
    },
  };
}

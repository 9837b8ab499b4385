/**
 * The effort to open a stream to one peer: one dial at a time, and growing pauses between those that fail. Whether a
 * stream is wanted is for others to say. Knows no packets.
 */
import type { RelayEnd } from '../../core/dial/target.ts';
import { backoffDelay } from '../../kit/backoff.ts';
import type { Clock, Timer } from '../../kit/clock.ts';
import { asGateError, GateError } from '../../kit/errors.ts';

export type RedialState =
  | { readonly kind: 'idle' }
  | { readonly kind: 'dialing' }
  | { readonly kind: 'waiting'; readonly untilMs: number };

export interface RedialerParts {
  readonly clock: Clock;
  readonly random: () => number;
  dial(signal: AbortSignal): Promise<RelayEnd>;
  /** Takes over the stream. */
  opened(end: RelayEnd): void;
  failed(error: GateError): void;
  /** A dial was given up, or a pause is over. */
  idle(): void;
}

const FIRST_PAUSE_MS = 1_000;

export class Redialer {
  readonly #parts: RedialerParts;
  #dialing: { readonly abort: AbortController; readonly over: Promise<void> } | undefined;
  #pause: { readonly timer: Timer; readonly until: number } | undefined;
  #failures = 0;
  #stopped = false;

  constructor(parts: RedialerParts) {
    this.#parts = parts;
  }

  get state(): RedialState {
    if (this.#dialing !== undefined) return { kind: 'dialing' };
    return this.#pause === undefined ? { kind: 'idle' } : { kind: 'waiting', untilMs: this.#pause.until };
  }

  /** Only while idle. */
  dial(): void {
    if (this.state.kind !== 'idle' || this.#stopped) return;
    const abort = new AbortController();
    this.#dialing = { abort, over: this.#run(abort.signal) };
  }

  /** For a stream that came to nothing: no dial for a while, for longer every time up to `longestMs`. Only while idle. */
  rest(longestMs: number): void {
    if (this.state.kind !== 'idle' || this.#stopped) return;
    const { clock, random } = this.#parts;
    this.#failures += 1;
    const ms = backoffDelay({ firstMs: FIRST_PAUSE_MS, longestMs }, this.#failures, random());
    const timer = clock.after(ms, () => this.#endPause());
    this.#pause = { timer, until: clock.now() + ms };
  }

  /** What was in the way of every dial is gone: a pause ends, and what has failed so far counts no more. */
  hurry(): void {
    this.#failures = 0;
    if (this.#pause !== undefined) this.#endPause();
  }

  /** The peer was heard: the next pause is a short one. */
  succeeded(): void {
    this.#failures = 0;
  }

  giveUp(): void {
    this.#dialing?.abort.abort(new GateError('cancelled', 'link.dial-needless', 'the peer has dialled itself'));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#pause?.timer.cancel();
    this.#pause = undefined;
    this.giveUp();
    await this.#dialing?.over;
  }

  #endPause(): void {
    this.#pause?.timer.cancel();
    this.#pause = undefined;
    this.#parts.idle();
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { dial, opened, failed, idle } = this.#parts;
    try {
      const end = await dial(signal);
      this.#dialing = undefined;
      opened(end);
    } catch (error) {
      this.#dialing = undefined;
      if (signal.aborted) idle();
      else failed(asGateError(error, 'connecting to a peer'));
    }
  }
}

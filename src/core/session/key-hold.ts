/**
 * How long a router may hold a key after the session that used it has ended. i2pd keeps the destination for 5 s (2.45.1 and
 * later; SAMBridge::CloseSession). A SESSION CREATE with the same key is answered OK at once meanwhile, on a destination
 * that is thrown away a moment later: the new session is dead then, and nobody is told. So a key is not given to a router
 * again before it must have let go of it.
 */
import { type Clock, sleep } from '../../kit/clock.ts';
import { asGateError } from '../../kit/errors.ts';
import type { BridgePort } from '../ports.ts';

export const KEY_LINGERS_MS = 6_000;

export class KeyHold {
  readonly #bridge: BridgePort;
  readonly #clock: Clock;
  #until: number;

  /** @param until by the clock, for a session of an earlier process */
  constructor(bridge: BridgePort, clock: Clock, until: number) {
    this.#bridge = bridge;
    this.#clock = clock;
    this.#until = until;
  }

  /** A session with the key has ended, or a router that was asked for one may have begun it. */
  begin(): void {
    this.#until = this.#clock.now() + KEY_LINGERS_MS;
  }

  /**
   * Waits until the router no longer holds the key.
   *
   * @throws GateError when the router is gone meanwhile, and the key with it; or for the abort of the signal
   */
  async over(signal: AbortSignal): Promise<void> {
    if (this.#left() <= 0) return;
    try {
      (await this.#bridge.open(signal)).destroy();
    } catch (error) {
      const why = asGateError(error, 'connecting to the SAM bridge');
      if (why.kind === 'router-down') this.#until = Number.NEGATIVE_INFINITY;
      throw why;
    }
    if (this.#left() > 0) await sleep(this.#clock, this.#left(), signal);
  }

  #left(): number {
    return this.#until - this.#clock.now();
  }
}

/**
 * Protocol steps without I/O. A machine is fed bytes and answers with exactly one thing to do next; a driver does it.
 * Bytes that came behind the end of the protocol are part of the result, so that they cannot be lost by accident.
 */

export type Step<Out> =
  /** More bytes are needed: call `step` again with the next ones. */
  | { readonly kind: 'receive' }
  /** Send these, then call `step` again with no bytes. */
  | { readonly kind: 'send'; readonly bytes: Uint8Array }
  /** The protocol is over; `rest` came behind its end and belongs to whoever uses the stream next. */
  | { readonly kind: 'done'; readonly out: Out; readonly rest: Uint8Array };

export interface Machine<Out> {
  /**
   * @param input bytes received since the last call; empty at the first call and after a `send`
   * @throws GateError when the other side breaks the protocol or refuses
   */
  step(input: Uint8Array): Step<Out>;
}

export const RECEIVE: Step<never> = { kind: 'receive' };
export const NO_BYTES: Uint8Array = new Uint8Array(0);

/**
 * Runs a machine over a stream. The only code that joins the two, used for SAM and for SOCKS alike. Leaves the stream
 * paused, with every byte that the protocol did not use still readable from it.
 */
import type { Duplex } from 'node:stream';
import { startTimeLimit, type TimeLimit } from './clock.ts';
import { abortError, asGateError, type GateError } from './errors.ts';
import { type Machine, NO_BYTES, type Step } from './step.ts';

export interface DriveOptions {
  /** What is being done, as a gerund phrase, for error messages. */
  readonly doing: string;
  readonly signal: AbortSignal;
  /** Ends it as well: for work that ends with its owner or with what the stream stands on. */
  readonly over?: AbortSignal | undefined;
  /** Of the protocol as a whole, however slowly its bytes come. */
  readonly limit?: TimeLimit;
  /** The error for a stream that ends in the middle of the protocol. */
  readonly onEnd: () => GateError;
}

/**
 * @throws GateError from the machine, from `onEnd`, of the limit, or for the abort of the signal; the stream is not
 *   destroyed
 */
export function drive<Out>(machine: Machine<Out>, stream: Duplex, options: DriveOptions): Promise<Out> {
  const { doing, signal, over, limit, onEnd } = options;
  return new Promise((resolve, reject) => {
    let settled = false;
    const finish = (settle: () => void) => {
      settled = true;
      timer?.cancel();
      stream.pause();
      stream.off('data', stepThrough);
      stream.off('end', onOver);
      stream.off('error', onError);
      stream.off('close', onOver);
      signal.removeEventListener('abort', onAbort);
      over?.removeEventListener('abort', onAbort);
      settle();
    };
    /** Until the machine wants bytes or is done. */
    const advance = (input: Uint8Array) => {
      let step: Step<Out> = machine.step(input);
      const words: Uint8Array[] = [];
      for (; step.kind === 'send'; step = machine.step(NO_BYTES)) words.push(step.bytes);
      if (step.kind === 'done') {
        const { out, rest } = step;
        finish(() => {
          if (rest.length > 0) stream.unshift(rest);
          resolve(out);
        });
      }
      // Not before the machine has come to rest: a stream in memory may answer at once, and that answer steps it again.
      // Protocol lines are far below any high-water mark, and the next step waits for the answer to them.
      for (const bytes of words) stream.write(bytes);
    };
    /**
     * Stepping, pausing and putting back happen in one go: a stream that has been read empty emits its end as soon as
     * it can, and nothing can be put back after that.
     */
    const stepThrough = (chunk: Uint8Array) => {
      try {
        advance(chunk);
      } catch (error) {
        finish(() => reject(error));
      }
    };
    const fail = (error: GateError) => finish(() => reject(error));
    const onOver = () => fail(stream.errored ? asGateError(stream.errored, doing) : onEnd());
    const onError = (error: Error) => fail(asGateError(error, doing));
    const onAbort = () => fail(abortError(over?.aborted && !signal.aborted ? over : signal, doing));

    const timer = limit && startTimeLimit(limit, fail);
    if (signal.aborted || over?.aborted) return onAbort();
    stream.on('end', onOver);
    stream.on('close', onOver);
    stream.on('error', onError);
    signal.addEventListener('abort', onAbort, { once: true });
    over?.addEventListener('abort', onAbort, { once: true });
    stepThrough(NO_BYTES);
    if (settled) return;
    if (stream.destroyed || stream.readableEnded) return onOver();
    stream.on('data', stepThrough);
    stream.resume();
  });
}

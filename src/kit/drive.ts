/**
 * Runs a machine over a stream. The only code that joins the two, used for SAM and for SOCKS alike. Leaves the stream
 * paused, with every byte that the protocol did not use still readable from it.
 */
import type { Duplex } from 'node:stream';
import { abortError, asGateError, type GateError } from './errors.ts';
import { type Machine, NO_BYTES, type Step } from './step.ts';

export interface DriveOptions {
  /** What is being done, as a gerund phrase, for error messages. */
  readonly doing: string;
  readonly signal: AbortSignal;
  /** The error for a stream that ends in the middle of the protocol. */
  readonly onEnd: () => GateError;
}

/**
 * @throws GateError from the machine, from `onEnd`, or for the abort of the signal; the stream is not destroyed
 */
export function drive<Out>(machine: Machine<Out>, stream: Duplex, options: DriveOptions): Promise<Out> {
  return new Promise((resolve, reject) => {
    let settled = false;
    let stepping = false;
    const finish = (settle: () => void) => {
      settled = true;
      stream.off('readable', onReadable);
      stream.off('end', onEnd);
      stream.off('error', onError);
      stream.off('close', onEnd);
      options.signal.removeEventListener('abort', onAbort);
      settle();
    };
    /** Until the machine wants bytes or is done. */
    const advance = (input: Uint8Array) => {
      let step: Step<Out> = machine.step(input);
      for (; step.kind === 'send'; step = machine.step(NO_BYTES)) {
        // Protocol lines are far below any high-water mark, and the next step waits for the answer to them.
        stream.write(step.bytes);
      }
      if (step.kind === 'receive') return;
      const { out, rest } = step;
      finish(() => {
        if (rest.length > 0) stream.unshift(rest);
        resolve(out);
      });
    };
    /**
     * Reading, stepping and putting back happen in one go: a stream that has been read empty emits its end as soon as
     * it can, and nothing can be put back after that.
     */
    const stepThrough = (first: Uint8Array | null) => {
      if (stepping) return;
      stepping = true;
      try {
        if (first !== null) advance(first);
        while (!settled) {
          const chunk: unknown = stream.read();
          if (!(chunk instanceof Uint8Array)) break;
          advance(chunk);
        }
      } catch (error) {
        finish(() => reject(error));
      } finally {
        stepping = false;
      }
    };
    const onReadable = () => stepThrough(null);
    const onEnd = () =>
      finish(() => reject(stream.errored ? asGateError(stream.errored, options.doing) : options.onEnd()));
    const onError = (error: Error) => finish(() => reject(asGateError(error, options.doing)));
    const onAbort = () => finish(() => reject(abortError(options.signal, options.doing)));

    if (options.signal.aborted) return reject(abortError(options.signal, options.doing));
    stream.on('end', onEnd);
    stream.on('close', onEnd);
    stream.on('error', onError);
    options.signal.addEventListener('abort', onAbort, { once: true });
    stream.on('readable', onReadable);
    stepThrough(NO_BYTES);
    if (!settled && (stream.destroyed || stream.readableEnded)) onEnd();
  });
}

/**
 * Runs a machine over a stream. The only code that joins the two, used for SAM and for SOCKS alike. Leaves the stream
 * paused, with every byte that the protocol did not use still readable from it.
 */
import type { Duplex } from 'node:stream';
import { abortError, asGateError, type GateError } from './errors.ts';
import { type Machine, NO_BYTES } from './step.ts';

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
export async function drive<Out>(machine: Machine<Out>, stream: Duplex, options: DriveOptions): Promise<Out> {
  let input: Uint8Array = NO_BYTES;
  for (;;) {
    const step = machine.step(input);
    input = NO_BYTES;
    switch (step.kind) {
      case 'done':
        if (step.rest.length > 0) stream.unshift(step.rest);
        return step.out;
      case 'send':
        // Protocol lines are far below any high-water mark, and the next step waits for the answer to them.
        stream.write(step.bytes);
        break;
      case 'receive':
        input = await nextChunk(stream, options);
        break;
      default:
        return step satisfies never;
    }
  }
}

/** The next bytes of a paused stream. */
export function nextChunk(stream: Duplex, options: DriveOptions): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const finish = (settle: () => void) => {
      stream.off('readable', onReadable);
      stream.off('end', onEnd);
      stream.off('error', onError);
      stream.off('close', onEnd);
      options.signal.removeEventListener('abort', onAbort);
      settle();
    };
    const onReadable = () => {
      const chunk: unknown = stream.read();
      if (chunk instanceof Uint8Array) finish(() => resolve(chunk));
    };
    const onEnd = () => finish(() => reject(options.onEnd()));
    const onError = (error: Error) => finish(() => reject(asGateError(error, options.doing)));
    const onAbort = () => finish(() => reject(abortError(options.signal, options.doing)));

    if (options.signal.aborted) return reject(abortError(options.signal, options.doing));
    if (stream.destroyed || stream.readableEnded) return reject(options.onEnd());
    stream.on('end', onEnd);
    stream.on('close', onEnd);
    stream.on('error', onError);
    options.signal.addEventListener('abort', onAbort, { once: true });
    stream.on('readable', onReadable);
    onReadable();
  });
}

/** Abort signals that many share, and signals made of two. Both need more care than the platform takes on Node 20. */
import { setMaxListeners } from 'node:events';

/** A controller whose signal many may listen to at a time. Node 20 warns of a leak from the eleventh on. */
export function sharedController(): AbortController {
  const controller = new AbortController();
  setMaxListeners(0, controller.signal);
  return controller;
}

/** A signal that aborts with the first of two, and with its reason. */
export interface EitherSignal {
  readonly signal: AbortSignal;
  /** Must be called when the guarded work is over: it frees the hold on both. */
  clear(): void;
}

/** Unlike `AbortSignal.any`, leaves nothing behind on signals that live longer than the work. */
export function eitherSignal(one: AbortSignal, other: AbortSignal): EitherSignal {
  const controller = new AbortController();
  const onOne = () => controller.abort(one.reason);
  const onOther = () => controller.abort(other.reason);
  if (one.aborted) onOne();
  else if (other.aborted) onOther();
  one.addEventListener('abort', onOne, { once: true });
  other.addEventListener('abort', onOther, { once: true });
  return {
    signal: controller.signal,
    clear: () => {
      one.removeEventListener('abort', onOne);
      other.removeEventListener('abort', onOther);
    },
  };
}

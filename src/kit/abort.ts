/** Abort signals that many share need more care than the platform takes on Node 20. */
import { setMaxListeners } from 'node:events';

/** A controller whose signal many may listen to at a time. Node 20 warns of a leak from the eleventh on. */
export function sharedController(): AbortController {
  const controller = new AbortController();
  setMaxListeners(0, controller.signal);
  return controller;
}

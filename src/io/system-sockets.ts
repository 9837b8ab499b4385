/** Which sockets this process uses: those of the native part where it is built. */
import { asGateError } from '../kit/errors.ts';
import { loadNative } from './native.ts';
import { createNodeSockets } from './node-sockets.ts';
import { SocketSet } from './socket-set.ts';
import type { Sockets } from './sockets.ts';

let chosen: Sockets | undefined;

/** The same for all, so that the event loop watches one descriptor for every socket of the process. */
export function systemSockets(): Sockets {
  chosen ??= choose();
  return chosen;
}

function choose(): Sockets {
  try {
    return new SocketSet(loadNative());
  } catch (error) {
    return createNodeSockets(asGateError(error, 'loading the native part'));
  }
}

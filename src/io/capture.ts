/** Looks on at what leaves this machine, whichever interface it takes. Needs root (CAP_NET_RAW) and the native part. */
import { asGateError, GateError } from '../kit/errors.ts';
import { type CapturedPacket, isNativeError, loadNative } from './native.ts';

export interface Capture {
  /** What has left since the last call, by any interface. */
  read(): readonly CapturedPacket[];
  /** Packets that nobody could look at since the last call, because there were too many. */
  missed(): number;
  /** Idempotent. */
  close(): void;
}

/** @throws GateError `permission`, or `local-io` */
export function openCapture(): Capture {
  const native = loadNative();
  try {
    const handle = native.openCapture();
    return {
      read: () => {
        const all: CapturedPacket[] = [];
        for (let some = native.readCapture(handle); some.length > 0; some = native.readCapture(handle))
          all.push(...some);
        return all;
      },
      missed: () => native.captureMissed(handle),
      close: () => native.closeCapture(handle),
    };
  } catch (error) {
    if (!isNativeError(error) || error.code !== 'EPERM')
      throw asGateError(error, 'looking at what leaves this machine');
    const message = 'Only root may look at what leaves this machine. Run: sudo garligate leak-test';
    throw new GateError('permission', 'capture.permission', message, { cause: error });
  }
}

/**
 * Keeps little in the kernel's send buffer of a socket (UnsentLimitedStream in core/ports.ts). Node has no option for it, so
 * the native addon sets it; without the addon everything works as before, only with more waiting in the kernel.
 */
import type { Socket } from 'node:net';
import { loadNative, type NativeAddon } from './native.ts';

/** @returns a method for sockets, one for all of them; the addon is looked for when the first of them uses it */
export function unsentLimit(load: () => NativeAddon = loadNative): (this: Socket, bytes: number) => void {
  let native: NativeAddon | 'none' | undefined;
  return function (bytes) {
    native ??= nativeOrNone(load);
    const descriptor = descriptorOf(this);
    if (native === 'none' || descriptor === undefined) return;
    try {
      native.setUnsentMark(descriptor, bytes);
    } catch {
      // A kernel or a socket that has no such option: it is only an improvement.
    }
  };
}

function nativeOrNone(load: () => NativeAddon): NativeAddon | 'none' {
  try {
    return load();
  } catch {
    // Whoever cannot do without says so.
    return 'none';
  }
}

/** Node shows it nowhere else. */
function descriptorOf(socket: Socket): number | undefined {
  const handle = '_handle' in socket ? socket._handle : undefined;
  if (typeof handle !== 'object' || handle === null || !('fd' in handle)) return undefined;
  return typeof handle.fd === 'number' && handle.fd >= 0 ? handle.fd : undefined;
}

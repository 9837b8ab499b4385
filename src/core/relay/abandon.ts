/** How a stream is given up of which the other side has failed, or which nobody wants. */
import type { Duplex } from 'node:stream';

/** Closes a stream so that its user sees a failure and not a regular end, where the stream can say so. */
export function abandon(stream: Duplex): void {
  // A unix socket has the method and throws; it has no address either.
  const isTcp = 'remoteAddress' in stream && stream.remoteAddress !== undefined;
  // Once an end is on its way libuv refuses a reset, and Node (20 to 24) then never closes the socket at all.
  const endUnderWay = stream.writableEnded && stream.writableLength === 0;
  if (isTcp && !endUnderWay && 'resetAndDestroy' in stream && typeof stream.resetAndDestroy === 'function') {
    stream.resetAndDestroy();
  } else stream.destroy();
}

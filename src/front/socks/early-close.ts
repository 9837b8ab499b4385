/**
 * A service that wants nobody ends a stream as soon as it is open. Where the end arrives together with the router's OK,
 * the client can still be told the truth; where it comes later, the client has its success already, since a stream on
 * which nothing is said may as well belong to a service that waits to be asked.
 */
import type { Duplex } from 'node:stream';

/**
 * Whether the stream has ended already without a byte. Looks at what has arrived and waits for nothing: a chunk and the
 * end behind it are read in two turns of the event loop.
 *
 * @param stream paused; stays so, and loses no byte
 */
export function endedAtOnce(stream: Duplex): Promise<boolean> {
  return new Promise((resolve) => {
    let ended = stream.destroyed || stream.readableEnded;
    const onEnd = () => {
      ended = true;
    };
    // Reading nothing is enough to be told of an end, and takes no byte away.
    const onReadable = () => {
      if (stream.readableLength === 0) stream.read(0);
    };
    const done = () => {
      stream.off('end', onEnd);
      stream.off('close', onEnd);
      stream.off('readable', onReadable);
      resolve(ended);
    };
    stream.on('end', onEnd);
    stream.on('close', onEnd);
    stream.on('readable', onReadable);
    onReadable();
    setImmediate(() => setImmediate(done));
  });
}

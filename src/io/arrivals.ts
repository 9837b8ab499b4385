/**
 * A bound socket and the clients that arrive at it, by the native part where there is one, otherwise by Node's server. The
 * native part is what lets clients read into buffers that are used again (lending.ts): Node's own server does not.
 */
import { lstatSync } from 'node:fs';
import { unlink } from 'node:fs/promises';
import { createServer, type ListenOptions, type Socket } from 'node:net';
import ipaddr from 'ipaddr.js';
import type { Endpoint } from '../config/endpoint.ts';
import { leaveToOwner } from './connected.ts';
import { lendingSockets } from './lending.ts';
import { isNativeError, type ListenerHandle, type NativeAddon } from './native.ts';

/** Connections that the kernel holds while we are busy; Node's server, which takes them at once, holds as many itself. */
const BACKLOG = 128;

export interface ArrivalSettings {
  readonly endpoint: Endpoint;
  /** Of both directions of a client, in bytes; Node's own mark unless told. */
  readonly highWaterMark?: number;
}

export interface Arrivals {
  /** Of a TCP socket, and 0 for a unix socket. */
  readonly port: number;
  /**
   * @param take gets each client paused, with half-open allowed and without delay for small segments
   * @param failed told of each attempt to accept that failed
   */
  accept(take: (client: Socket) => void, failed: (error: NodeJS.ErrnoException) => void): void;
  /** Resolves when the address is free; clients in hand live on with their owners. */
  close(): Promise<void>;
}

/** @throws NativeError with the errno's name as `code` */
export function nativeArrivals({ endpoint, ...marks }: ArrivalSettings, native: NativeAddon): Arrivals {
  const sockets = lendingSockets();
  const { handle, port } =
    endpoint.kind === 'tcp'
      ? native.listenTcp(Buffer.from(ipaddr.parse(endpoint.host).toByteArray()), endpoint.port, BACKLOG)
      : native.listenUnix(endpoint.path, BACKLOG);
  const file = endpoint.kind === 'unix' ? fileAt(endpoint.path) : undefined;
  let closed = false;
  return {
    port,
    accept: (take, failed) => {
      const takeSome = () => {
        if (closed) return;
        const batch = nextClients(native, handle, failed);
        for (const fd of batch) take(sockets.adopt(fd, { allowHalfOpen: true, ...marks }));
        // The others of the event loop first.
        if (batch.length > 0) setImmediate(takeSome);
      };
      native.startAccepting(handle, takeSome);
    },
    close: async () => {
      closed = true;
      // Somebody may have moved it away, and another one may stand there.
      if (endpoint.kind === 'unix' && fileAt(endpoint.path) === file) await unlink(endpoint.path).catch(() => {});
      native.stopListening(handle);
    },
  };
}

/** Tells files apart; undefined when there is none, or none that may be seen by the user whom we are at the end. */
function fileAt(path: string): string | undefined {
  try {
    const { dev, ino } = lstatSync(path, { bigint: true });
    return `${dev} ${ino}`;
  } catch {
    return undefined;
  }
}

function nextClients(
  native: NativeAddon,
  handle: ListenerHandle,
  failed: (error: NodeJS.ErrnoException) => void,
): readonly number[] {
  try {
    return native.acceptClients(handle);
  } catch (error) {
    if (!isNativeError(error)) throw error;
    failed(error);
    return [];
  }
}

/** @throws the system's error */
export async function nodeArrivals({ endpoint, ...marks }: ArrivalSettings): Promise<Arrivals> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true, ...marks });
  const waiting = new Set<Socket>();
  let take: ((client: Socket) => void) | undefined;
  server.on('connection', (client) => {
    Object.assign(client, { writesThrough: true });
    if (take !== undefined) take(client);
    else if (waiting.size < BACKLOG) waiting.add(client.on('error', leaveToOwner));
    else client.destroy();
  });
  const where: ListenOptions =
    endpoint.kind === 'tcp'
      ? { host: endpoint.host, port: endpoint.port, ipv6Only: endpoint.host.includes(':') }
      : { path: endpoint.path };
  // No asynchronous step before this one: the caller may have set the umask for it.
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ ...where, backlog: BACKLOG, exclusive: true }, () => {
      server.off('error', reject);
      resolve();
    });
  });
  const bound = server.address();
  return {
    port: typeof bound === 'object' && bound !== null ? bound.port : 0,
    accept: (accepted, failed) => {
      server.on('error', failed);
      take = accepted;
      for (const client of waiting) take(client);
      waiting.clear();
    },
    close: () =>
      new Promise((resolve) => {
        for (const client of waiting) client.destroy();
        waiting.clear();
        server.close();
        setImmediate(resolve);
      }),
  };
}

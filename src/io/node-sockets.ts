/** Node's own sockets, for where the native part is not built: the same, at about three times the cost per byte. */
import { connect, createServer, type ListenOptions, type Socket } from 'node:net';
import ipaddr from 'ipaddr.js';
import type { Endpoint } from '../config/endpoint.ts';
import type { GateError } from '../kit/errors.ts';
import { type Arrivals, BACKLOG, type Client, leaveToOwner, type Sockets, type StreamMarks } from './sockets.ts';

/** @param why there is no native part */
export function createNodeSockets(why: GateError): Sockets {
  return {
    plain: why,
    connect: (to, marks, { connected, failed }) => {
      const where =
        to.kind === 'tcp'
          ? { host: ipaddr.fromByteArray([...to.address]).toString(), port: to.port }
          : { path: to.path };
      const socket = connect({ ...where, noDelay: true, allowHalfOpen: true, ...marks });
      socket.pause();
      socket.once('error', failed);
      socket.once('connect', () => {
        socket.off('error', failed);
        connected(throughout(socket));
      });
      return () => socket.off('error', failed).on('error', leaveToOwner).destroy();
    },
    listen,
  };
}

function throughout(socket: Socket): Socket {
  return Object.assign(socket, { writesThrough: true as const });
}

async function listen(endpoint: Endpoint, marks: StreamMarks): Promise<Arrivals> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true, ...marks });
  const waiting = new Set<Socket>();
  let take: ((client: Client) => void) | undefined;
  server.on('connection', (client) => {
    throughout(client);
    if (take !== undefined) take(client);
    else if (waiting.size < BACKLOG) waiting.add(client.on('error', leaveToOwner));
    else client.destroy();
  });
  const where: ListenOptions =
    endpoint.kind === 'tcp'
      ? { host: endpoint.host, port: endpoint.port, ipv6Only: endpoint.host.includes(':') }
      : { path: endpoint.path };
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

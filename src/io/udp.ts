/** UDP sockets on literal addresses, as ports.ts wants them. No resolver sees an address. */
import { createSocket, type Socket, type SocketType } from 'node:dgram';
import type { UdpPort, UdpSocket } from '../core/ports.ts';
import { abortError, GateError } from '../kit/errors.ts';
import type { UdpAddress } from '../wire/sam/command.ts';
import { exhaustionError } from './exhaustion.ts';

/** Asked of the kernel, which gives at most net.core.rmem_max: a burst from the router comes faster than we read. */
const RECEIVE_BUFFER = 1024 * 1024;
/** Bytes that may wait for the kernel: Node and libuv would queue without end. */
const MOST_QUEUED = 512 * 1024;
/** What a datagram costs while it waits, however small it is. Bytes. */
const COST_OF_ONE = 512;

export const kernelUdp: UdpPort = {
  bind: async (address, port) => {
    const socket = socketFor(address);
    // Exclusive: in a cluster of processes nobody else may get our datagrams.
    await opened(socket, 'opening a UDP socket', (ready) => socket.bind({ address, port, exclusive: true }, ready));
    return wrapped(socket);
  },
};

/**
 * A socket that hears and reaches only `remote`; the kernel chooses our address for it.
 *
 * @throws GateError
 */
export async function connectUdp(remote: UdpAddress, signal: AbortSignal): Promise<UdpSocket> {
  const doing = 'opening a UDP socket to the SAM bridge';
  if (signal.aborted) throw abortError(signal, doing);
  const socket = socketFor(remote.address);
  await opened(socket, doing, (ready) => socket.connect(remote.port, remote.address, ready));
  return wrapped(socket);
}

function socketFor(address: string): Socket {
  const type: SocketType = address.includes(':') ? 'udp6' : 'udp4';
  return createSocket({ type, recvBufferSize: RECEIVE_BUFFER, lookup: asItStands });
}

/** In the place of Node's look-up: what is given is an address already. */
function asItStands(address: string, _options: unknown, done: (error: null, address: string, family: number) => void) {
  done(null, address, address.includes(':') ? 6 : 4);
}

/** @throws GateError; the socket is closed then */
function opened(socket: Socket, doing: string, open: (done: (error?: Error | null) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (error: Error) => {
      socket.close();
      reject(openError(error, doing));
    };
    socket.once('error', failed);
    // `connect` tells its error here, in contrast to the types: a socket that is not connected would hear everybody.
    open((error) => (error ? failed(error) : resolve()));
  });
}

function wrapped(socket: Socket): UdpSocket {
  let closed = false;
  let queued = 0;
  let failed: (error: GateError) => void = () => {};
  socket.removeAllListeners('error');
  socket.on('error', (error) => failed(explain(error, 'sending or receiving UDP')));
  const { address, port } = socket.address();
  return {
    local: { address, port },
    onDatagram: (take) => {
      socket.on('message', (bytes, from) => take(bytes, { address: from.address, port: from.port }));
    },
    onError: (report) => {
      failed = report;
    },
    send: (bytes, to) => {
      // Strangers choose it where we answer. Nobody can be there, and Node throws.
      if (to?.port === 0) return false;
      const cost = bytes.length + COST_OF_ONE;
      if (closed || queued + cost > MOST_QUEUED) return false;
      queued += cost;
      // An error of one datagram comes with the callback, and not as an event where there is one.
      const sent = (error: Error | null) => {
        queued -= cost;
        if (error !== null && !closed) failed(explain(error, 'sending UDP'));
      };
      if (to === undefined) socket.send(bytes, sent);
      else socket.send(bytes, to.port, to.address, sent);
      return true;
    },
    close: () => {
      if (closed) return;
      closed = true;
      socket.close();
    },
  };
}

function openError(error: NodeJS.ErrnoException, doing: string): GateError {
  const told = (kind: 'permission' | 'local-io', code: string, message: string) =>
    new GateError(kind, code, message, { facts: { errno: error.code }, cause: error });
  switch (error.code) {
    case 'EACCES':
    case 'EPERM':
      return told('permission', 'udp.permission', `${doing} is not allowed to this user`);
    case 'EADDRINUSE':
      return told('local-io', 'udp.port-taken', 'another program has this UDP port already');
    case 'EADDRNOTAVAIL':
      return told('local-io', 'udp.address', 'this machine does not have the address for a UDP socket');
    default:
      return explain(error, doing);
  }
}

function explain(error: NodeJS.ErrnoException, doing: string): GateError {
  return (
    exhaustionError(error) ??
    new GateError('local-io', 'udp.failed', `${doing} failed (${error.code ?? error.message})`, {
      facts: { errno: error.code },
      cause: error,
    })
  );
}

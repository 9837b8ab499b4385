/** UDP sockets on literal addresses, as ports.ts wants them. Asks no resolver. */
import { createSocket, type Socket } from 'node:dgram';
import type { UdpPort, UdpSocket } from '../core/ports.ts';
import { abortError, GateError } from '../kit/errors.ts';
import type { UdpAddress } from '../wire/sam/command.ts';
import { exhausted } from './exhausted.ts';

/** Asked of the kernel, which gives at most net.core.rmem_max: a burst from the router comes faster than we read. */
const RECEIVE_BUFFER = 1024 * 1024;
/** Bytes that may wait for the kernel: Node and libuv would queue without end. */
const MOST_QUEUED = 512 * 1024;

export const kernelUdp: UdpPort = {
  bind: async (address) => wrapped(await bound(address)),
};

/**
 * A socket that hears and reaches only `remote`; the kernel chooses our address for it.
 *
 * @throws GateError
 */
export async function connectUdp(remote: UdpAddress, signal: AbortSignal): Promise<UdpSocket> {
  const doing = 'opening a UDP socket to the SAM bridge';
  if (signal.aborted) throw abortError(signal, doing);
  const socket = createSocket({ type: typeOf(remote.address), recvBufferSize: RECEIVE_BUFFER });
  await new Promise<void>((resolve, reject) => {
    socket.once('error', (error) => reject(explain(error, doing)));
    socket.connect(remote.port, remote.address, () => resolve());
  });
  return wrapped(socket);
}

function bound(address: string): Promise<Socket> {
  const socket = createSocket({ type: typeOf(address), recvBufferSize: RECEIVE_BUFFER });
  return new Promise((resolve, reject) => {
    socket.once('error', (error) => {
      socket.close();
      reject(
        'code' in error && error.code === 'EADDRNOTAVAIL'
          ? new GateError('local-io', 'udp.address', 'this machine does not have the address for a UDP socket')
          : explain(error, 'opening a UDP socket'),
      );
    });
    // Exclusive: in a cluster of processes nobody else may get our datagrams.
    socket.bind({ address, port: 0, exclusive: true }, () => resolve(socket));
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
      if (closed || queued + bytes.length > MOST_QUEUED) return false;
      queued += bytes.length;
      // An error of one datagram comes with the callback, and not as an event where there is one.
      const sent = (error: Error | null) => {
        queued -= bytes.length;
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

function typeOf(address: string): 'udp4' | 'udp6' {
  return address.includes(':') ? 'udp6' : 'udp4';
}

function explain(error: NodeJS.ErrnoException, doing: string): GateError {
  return (
    exhausted(error) ??
    new GateError('local-io', 'udp.failed', `${doing} failed (${error.code ?? error.message})`, {
      facts: { errno: error.code },
      cause: error,
    })
  );
}

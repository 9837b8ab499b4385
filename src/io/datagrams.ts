/** UDP sockets on one address of this host (DatagramPort). Addresses are bytes on both ways: no resolver sees them. */
import { createSocket, type Socket } from 'node:dgram';
import type { DatagramPort, Datagrams } from '../core/ports.ts';
import { asGateError, GateError } from '../kit/errors.ts';
import { formatAddress, parseIpv6 } from '../wire/i2p/address.ts';

export const kernelDatagrams: DatagramPort = {
  bind: (address, port) =>
    new Promise((resolve, reject) => {
      const socket = createSocket({ type: 'udp6', ipv6Only: true, lookup: asItStands });
      socket.once('error', (error) => {
        socket.close();
        reject(bindError(error, port));
      });
      socket.bind({ address: formatAddress(address), port, exclusive: true }, () => {
        socket.removeAllListeners('error');
        // An ICMP error about a datagram that was sent: whoever asked is not there any more.
        socket.on('error', () => {});
        resolve(datagrams(socket));
      });
    }),
};

function datagrams(socket: Socket): Datagrams {
  let closed = false;
  return {
    onDatagram: (take) => {
      socket.on('message', (bytes, { address, port }) => {
        const from = parseIpv6(address);
        if (from !== undefined) take(bytes, from, port);
      });
    },
    send: (bytes, to, port) => {
      if (!closed) socket.send(bytes, port, formatAddress(to), () => {});
    },
    close: () =>
      new Promise((resolve) => {
        if (closed) return resolve();
        closed = true;
        socket.close(() => resolve());
      }),
  };
}

/** In the place of Node's look-up: what is given is an address already. */
function asItStands(address: string, _options: unknown, done: (error: null, address: string, family: number) => void) {
  done(null, address, 6);
}

function bindError(error: Error & { readonly code?: string }, port: number): GateError {
  switch (error.code) {
    case 'EACCES':
    case 'EPERM':
      return new GateError(
        'permission',
        'dns.permission',
        `UDP port ${port} of the VPN address may not be used by this user; run as root, give the process ` +
          'CAP_NET_BIND_SERVICE, or set vpn.dns = "off"',
        { cause: error },
      );
    case 'EADDRINUSE':
      return new GateError(
        'local-io',
        'dns.port-taken',
        `another program answers on UDP port ${port} of the VPN address already; keep it to its own addresses, or set ` +
          'vpn.dns = "off"',
        { cause: error },
      );
    default:
      return asGateError(error, `binding UDP port ${port} of the VPN address`);
  }
}

/** TCP connections of this host to addresses inside the /48, as the kernel routes them. */
import type { ConnectorPort } from '../core/ports.ts';
import { GateError } from '../kit/errors.ts';
import { exhaustionError } from './exhaustion.ts';
import { openConnection } from './open-connection.ts';
import { systemSockets } from './system-sockets.ts';

export const kernelConnector: ConnectorPort = {
  connect: (address, port, signal) =>
    openConnection(
      systemSockets(),
      { kind: 'tcp', address, port },
      { signal, doing: 'connecting through the VPN', explain },
    ),
};

function explain(error: NodeJS.ErrnoException): GateError {
  const more = { facts: { errno: error.code }, cause: error };
  switch (error.code) {
    case 'ECONNREFUSED':
    case 'ECONNRESET':
      return new GateError('peer-refused', 'peer.port-closed', 'nothing listens at this port of the peer', more);
    case 'ETIMEDOUT':
      return new GateError('peer-timeout', 'peer.no-answer', 'the peer did not answer in time', more);
    default:
      // EHOSTUNREACH and ENETUNREACH, and EACCES, which is how an unreachable or prohibit route speaks.
      return (
        exhaustionError(error) ??
        new GateError(
          'peer-unreachable',
          'peer.no-route',
          'the peer cannot be reached: it is offline, or the VPN is down',
          more,
        )
      );
  }
}

/** TCP connections to a SAM bridge at a literal address. Never asks a resolver. */
import ipaddr from 'ipaddr.js';
import { formatEndpoint, type TcpEndpoint } from '../config/endpoint.ts';
import type { BridgePort } from '../core/ports.ts';
import type { Clock, TimeLimit } from '../kit/clock.ts';
import { GateError } from '../kit/errors.ts';
import { exhaustionError } from './exhaustion.ts';
import { openConnection } from './open-connection.ts';
import type { Remote, Sockets } from './sockets.ts';
import { systemSockets } from './system-sockets.ts';

/** A bridge on this machine answers at once, one behind a network within seconds. */
const CONNECT_TIMEOUT_MS = 10_000;

export function createTcpBridge(endpoint: TcpEndpoint, clock: Clock, sockets: Sockets = systemSockets()): BridgePort {
  const address = Uint8Array.from(ipaddr.parse(endpoint.host).toByteArray());
  const remote: Remote = { kind: 'tcp', address, port: endpoint.port };
  const limit: TimeLimit = { clock, ms: CONNECT_TIMEOUT_MS, late: () => noAnswer(endpoint) };
  const explain = (error: NodeJS.ErrnoException) => exhaustionError(error) ?? refused(endpoint, error);
  const doing = 'connecting to the SAM bridge';
  return { open: (signal) => openConnection(sockets, remote, { signal, doing, explain, limit }) };
}

function noAnswer(endpoint: TcpEndpoint): GateError {
  return new GateError(
    'router-down',
    'router.no-answer',
    `the SAM bridge at ${formatEndpoint(endpoint)} does not answer; see whether the router runs, and router.sam`,
  );
}

function refused(endpoint: TcpEndpoint, error: NodeJS.ErrnoException): GateError {
  const where = formatEndpoint(endpoint);
  const message =
    error.code === 'ECONNREFUSED'
      ? `nothing listens at ${where}: start the router, enable its SAM bridge, or set router.sam`
      : `the SAM bridge at ${where} cannot be reached (${error.code ?? error.message}); see router.sam`;
  return new GateError('router-down', 'router.unreachable', message, { facts: { errno: error.code }, cause: error });
}

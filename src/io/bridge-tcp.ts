/** TCP connections to a SAM bridge at a literal address. Never asks a resolver. */
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { formatEndpoint, type TcpEndpoint } from '../config/endpoint.ts';
import type { BridgePort } from '../core/ports.ts';
import { type Clock, within } from '../kit/clock.ts';
import { GateError } from '../kit/errors.ts';
import { connected, STREAM_MARKS } from './connected.ts';
import { exhausted } from './exhausted.ts';
import { type LendingConnect, lendingConnect } from './lending.ts';

/** A bridge on this machine answers at once, one behind a network within seconds. */
const CONNECT_TIMEOUT_MS = 10_000;

export function tcpBridge(endpoint: TcpEndpoint, clock: Clock): BridgePort {
  const connect = lendingConnect();
  return {
    open: (signal) =>
      within(
        clock,
        CONNECT_TIMEOUT_MS,
        () => noAnswer(endpoint),
        signal,
        (limited) => openSocket(connect, endpoint, limited),
      ),
  };
}

function openSocket(connect: LendingConnect, endpoint: TcpEndpoint, signal: AbortSignal): Promise<Duplex> {
  const socket: Socket = connect({
    host: endpoint.host,
    port: endpoint.port,
    noDelay: true,
    allowHalfOpen: true,
    ...STREAM_MARKS,
  });
  return connected(
    socket,
    signal,
    'connecting to the SAM bridge',
    (error) => exhausted(error) ?? refused(endpoint, error),
  );
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

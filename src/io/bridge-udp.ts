/** The UDP port of a SAM bridge: where it is, and a socket to it. */
import type { TcpEndpoint } from '../config/endpoint.ts';
import type { DatagramPortChoice } from '../config/values.ts';
import type { BridgePort, DatagramBridgePort, UdpSocket } from '../core/ports.ts';
import { connectUdp } from './udp.ts';

export function withDatagrams(
  bridge: BridgePort,
  endpoint: TcpEndpoint,
  choice: DatagramPortChoice,
): DatagramBridgePort {
  return { open: bridge.open, openDatagrams: (signal) => openBridgeDatagrams(endpoint, choice, signal) };
}

/** @returns undefined where the config wants datagrams on the TCP connection */
export async function openBridgeDatagrams(
  { host, port }: TcpEndpoint,
  choice: DatagramPortChoice,
  signal: AbortSignal,
): Promise<UdpSocket | undefined> {
  switch (choice.kind) {
    case 'off':
      return undefined;
    case 'auto':
      return connectUdp({ address: host, port: port - 1 }, signal);
    case 'port':
      return connectUdp({ address: host, port: choice.port }, signal);
    default:
      return choice satisfies never;
  }
}

/** The way of datagrams to and from peers: a socket on our own VPN address, whose datagrams the kernel puts on the TUN. */
import type { DatagramPort, Datagrams } from '../../../core/ports.ts';
import { GateError } from '../../../kit/errors.ts';
import { type Addresses, inPrefix } from '../../../wire/i2p/address.ts';
import { encodeUdpReply } from '../../../wire/socks/datagram.ts';

export interface TunWayParts {
  readonly own: Addresses;
  /** Undefined where there is no TUN. */
  readonly vpn: DatagramPort | undefined;
}

/**
 * @param take gets what comes from inside the /48, with its source in front
 * @throws GateError where there is no TUN, or it is down
 */
export async function openTunWay({ own, vpn }: TunWayParts, take: (bytes: Buffer) => void): Promise<Datagrams> {
  if (vpn === undefined) {
    throw new GateError('peer-unreachable', 'datagram.needs-tun', 'datagrams reach peers only through a TUN interface');
  }
  const socket = await vpn.bind(own.oc, 0);
  socket.onDatagram((payload, bytes, port) => {
    // This machine could write from another address of its own; a peer cannot.
    if (inPrefix(bytes, 0)) take(encodeUdpReply({ kind: 'ipv6', bytes }, port, payload));
  });
  return socket;
}

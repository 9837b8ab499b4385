/** The way of datagrams to and from peers: a socket on our own VPN address, whose datagrams the kernel puts on the TUN. */
import type { UdpPort, UdpSocket } from '../../../core/ports.ts';
import { GateError } from '../../../kit/errors.ts';
import {
  type Address,
  type Addresses,
  formatAddress,
  inPrefix,
  parseIpv6,
  toAddress,
} from '../../../wire/i2p/address.ts';
import { encodeUdpReply } from '../../../wire/socks/datagram.ts';

export interface TunWayParts {
  readonly own: Addresses;
  /** Undefined where there is no TUN. */
  readonly vpn: UdpPort | undefined;
}

export interface TunWayTakers {
  /** Gets what comes from inside the /48, with its source in front. */
  readonly arrived: (from: Address, bytes: Buffer) => void;
  /** The kernel had no way for something that it was given. */
  readonly refused: () => void;
}

/**
 * @throws GateError where there is no TUN, or it is down
 */
export async function openTunWay({ own, vpn }: TunWayParts, { arrived, refused }: TunWayTakers): Promise<UdpSocket> {
  if (vpn === undefined) {
    throw new GateError('peer-unreachable', 'datagram.needs-tun', 'datagrams reach peers only through a TUN interface');
  }
  const socket = await vpn.bind(formatAddress(own.oc), 0);
  socket.onDatagram((payload, { address, port }) => {
    const bytes = parseIpv6(address);
    // This machine could write from another address of its own; a peer cannot.
    if (bytes === undefined || !inPrefix(bytes, 0)) return;
    arrived(toAddress(bytes), encodeUdpReply({ kind: 'ipv6', bytes }, port, payload));
  });
  socket.onError(refused);
  return socket;
}

/** A socket for datagrams to and from peers: on an address of our own in the VPN, so that the kernel puts them on the TUN. */
import type { UdpPort, UdpSocket } from '../../../core/ports.ts';
import { GateError } from '../../../kit/errors.ts';
import { type Address, formatAddress, inPrefix, parseIpv6, toAddress } from '../../../wire/i2p/address.ts';
import { encodeUdpReply } from '../../../wire/socks/datagram.ts';

export interface TunSocketHandlers {
  /** Gets what comes from inside the /48, with its source in front. */
  readonly arrived: (from: Address, bytes: Buffer) => void;
  /** The kernel had no route for something that it was given. */
  readonly refused: () => void;
}

/**
 * @param vpn undefined where there is no TUN
 * @throws GateError where there is none, or it is down
 */
export async function openTunSocket(
  vpn: UdpPort | undefined,
  ours: Address,
  { arrived, refused }: TunSocketHandlers,
): Promise<UdpSocket> {
  if (vpn === undefined) {
    throw new GateError('peer-unreachable', 'datagram.needs-tun', 'datagrams reach peers only through a TUN interface');
  }
  const socket = await vpn.bind(formatAddress(ours), 0);
  socket.onDatagram((payload, { address, port }) => {
    const bytes = parseIpv6(address);
    // This machine could write from another address of its own; a peer cannot.
    if (bytes === undefined || !inPrefix(bytes, 0)) return;
    arrived(toAddress(bytes), encodeUdpReply({ kind: 'ipv6', bytes }, port, payload));
  });
  socket.onError(refused);
  return socket;
}

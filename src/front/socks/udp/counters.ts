/** What is counted of the datagrams of a listener's clients. Every one of them adds to exactly one of these, but for the last. */
export const UDP_COUNTERS = [
  /** Handed to the router, or to the VPN. */
  'sent',
  /** Handed to a client. */
  'received',
  /** From somebody who is not the client of the association. */
  'foreignSource',
  /** FRAG is not 0. */
  'fragment',
  'malformed',
  /** Nothing behind the header; I2P carries no datagram without a byte. */
  'empty',
  /** Larger than what this router carries. */
  'oversize',
  /** More than `udp_rate` in a second. */
  'rate',
  /** To something outside I2P or to no valid name, or to or from somebody whom the operator's lists do not admit. */
  'policyRefused',
  /** To an address of a peer, without a TUN to reach it by. */
  'needsTun',
  /** To an address that is no peer's and that nobody has written from. */
  'unknownAddress',
  /** To a name that the router does not know or could not look up. */
  'nameFailed',
  /** No session in time, or no further one allowed. */
  'noSession',
  /** Too many waited for the same name or session, or they waited for too long. */
  'queueFull',
  /** Another destination has the same address. */
  'lookalike',
  /** The router or the kernel took no more. */
  'busy',
  /** For a client that has not said where it listens. */
  'clientUnknown',
  /** Was taken and counted above, and then the kernel had no way for it: the TUN is down, or it is too large. */
  'kernelRefused',
] as const;

export type UdpCounter = (typeof UDP_COUNTERS)[number];

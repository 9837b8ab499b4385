/**
 * What a packet that leaves this machine leaks of I2P: an address of the VPN, or a name that was asked for. Looks at
 * the beginning of an IP packet; knows nothing of interfaces.
 */
import { inPrefix } from '../i2p/address.ts';
import { DESTINATION_OFFSET, HEADER_LENGTH, isIpv6, NEXT_HEADER_ICMPV6, NEXT_HEADER_OFFSET } from './ipv6.ts';

/** What leaves: a packet for the VPN, the question who has one of its addresses, or a question for a name. */
export type LeakKind = 'packet' | 'neighbor' | 'name';

const TCP = 6;
const UDP = 17;
/** DNS, multicast DNS, LLMNR (RFC 1035, RFC 6762, RFC 4795): where somebody can be asked for a name in plain text. */
const NAME_PORTS: ReadonlySet<number> = new Set([53, 5353, 5355]);
/** RFC 4861, section 4.3: the address that is asked about stands behind 8 bytes. */
const NEIGHBOR_SOLICITATION = 135;
const TARGET_OFFSET = HEADER_LENGTH + 8;
const ADDRESS_LENGTH = 16;

/**
 * @param bytes the beginning of an IP packet, perhaps cut off
 * @param label of the name that was asked for, in lower case; it must occur nowhere else
 */
export function leakOf(bytes: Buffer, label: string): LeakKind | undefined {
  if (isIpv6(bytes[0])) return leakOfIpv6(bytes, label);
  if ((bytes[0] ?? 0) >> 4 !== 4 || bytes.length < 20) return undefined;
  // RFC 791, section 3.1.
  const headerLength = 4 * ((bytes[0] ?? 0) & 0xf);
  return asksFor(bytes, bytes[9], headerLength, label) ? 'name' : undefined;
}

function leakOfIpv6(bytes: Buffer, label: string): LeakKind | undefined {
  if (bytes.length < HEADER_LENGTH) return undefined;
  if (inPrefix(bytes, DESTINATION_OFFSET)) return 'packet';
  const next = bytes[NEXT_HEADER_OFFSET];
  const asksNeighbor = next === NEXT_HEADER_ICMPV6 && bytes[HEADER_LENGTH] === NEIGHBOR_SOLICITATION;
  if (asksNeighbor && bytes.length >= TARGET_OFFSET + ADDRESS_LENGTH && inPrefix(bytes, TARGET_OFFSET))
    return 'neighbor';
  return asksFor(bytes, next, HEADER_LENGTH, label) ? 'name' : undefined;
}

function asksFor(bytes: Buffer, protocol: number | undefined, at: number, label: string): boolean {
  if ((protocol !== TCP && protocol !== UDP) || bytes.length < at + 4) return false;
  // Programs may play with small and capital letters (draft-vixie-dnsext-dns0x20).
  return NAME_PORTS.has(bytes.readUInt16BE(at + 2)) && bytes.toString('latin1', at).toLowerCase().includes(label);
}

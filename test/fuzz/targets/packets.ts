/**
 * What a peer sends on a packet link, against a slow second opinion: nothing reaches the TUN but whole packets from one of
 * the peer's addresses to one of ours, in order and unchanged, up to the first byte that begins no packet.
 */
import { PacketAdmission } from '../../../src/front/vpn/admission.ts';
import { InboundPackets, type Judge } from '../../../src/front/vpn/inbound-packets.ts';
import { addressesOf } from '../../../src/wire/i2p/address.ts';
import { parseB32 } from '../../../src/wire/i2p/destination.ts';
import { encodeKeepalive } from '../../../src/wire/packet/keepalive.ts';
import { peer } from '../../unit/core/support.ts';
import { inProcess } from '../engine.ts';
import { answerOf, inPiecesOf } from '../support.ts';

const PEER_NAME = parseB32('j3dtidfppd6mkxecq6cz7raw44auavkmihlvuqb4fea7qcwuqtua');
const OWN = addressesOf(parseB32('ktmhezukbp6jyuldedcjmso6p4e6aegeikqli2mne67hnttgmvfa'));
const PEER = addressesOf(PEER_NAME);
const OTHER = addressesOf(parseB32('frtqmwskz5wdqjhwk4mljdavu7u524qa2fze5a3ypoxefnsvl4dq'));
const SENDER = peer(1, { b32: PEER_NAME, addresses: PEER });
const ADMISSION = new PacketAdmission(OWN, [SENDER], []);

function packet(from: Buffer, to: Buffer, payload: number, next = 17): Buffer {
  const bytes = Buffer.alloc(40 + payload, 0xab);
  bytes.writeUInt32BE(0x60000000, 0);
  bytes.writeUInt16BE(payload, 4);
  bytes[6] = next;
  bytes[7] = 64;
  from.copy(bytes, 8);
  to.copy(bytes, 24);
  return bytes;
}

/** Packet too big, about one that went there. */
function icmpError(to: Buffer, quoted = 44): Buffer {
  const bytes = packet(PEER.oc, OWN.oc, 8 + quoted, 58);
  bytes[40] = 2;
  packet(OWN.oc, to, 8).copy(bytes, 48, 0, quoted);
  return bytes;
}

function keepalive(to: Buffer): Buffer {
  const announcement = { wantsAnswer: true, knowsFlows: true, mtu: 1500 };
  return encodeKeepalive({ source: PEER.oc, destination: OWN.oc, flowLabel: 1, name: PEER_NAME, announcement }).fill(
    to,
    24,
    40,
  );
}

const inPieces = (...packets: readonly Buffer[]) => Buffer.concat([Buffer.from([16]), ...packets]);

export const target = inProcess({
  name: 'packets',
  seeds: [
    inPieces(keepalive(OWN.oc), packet(PEER.oc, OWN.oc, 8), packet(PEER.ocat4, OWN.ocat4, 0)),
    inPieces(packet(PEER.oc, OWN.oc, 40), packet(OTHER.oc, OWN.oc, 3), packet(PEER.oc, OTHER.oc, 1)),
    inPieces(packet(PEER.oc, OWN.ocat4, 9, 0), packet(PEER.oc, OWN.oc, 16, 44), packet(PEER.oc, OWN.oc, 24, 58)),
    inPieces(icmpError(PEER.oc), icmpError(OTHER.oc), icmpError(PEER.ocat4, 39), packet(PEER.oc, OWN.oc, 5)),
    inPieces(packet(PEER.oc, OWN.oc, 0, 59), Buffer.from('4500001400000000', 'hex'), packet(PEER.oc, OWN.oc, 5)),
    inPieces(packet(PEER.oc, OWN.oc, 4_000, 6), packet(PEER.oc, OWN.oc, 1_460, 6), packet(PEER.oc, OTHER.oc, 4_000, 6)),
    inPieces(packet(OWN.oc, OWN.oc, 2), packet(Buffer.alloc(16), OWN.oc, 2), packet(Buffer.alloc(16, 0xff), OWN.oc, 2)),
  ],
  run: (input) => {
    const expected = admitted(input.subarray(1));
    const seen: Buffer[] = [];
    const judge: Judge = (bytes, start, end) => ADMISSION.judgeInbound(SENDER, 'verified', bytes, start, end);
    const inbound = new InboundPackets(judge, {
      packets: (run) => seen.push(Buffer.from(run)),
      keepalive: () => {},
      refused: () => {},
    });
    const outcome = answerOf(() => {
      for (const piece of inPiecesOf(input)) {
        inbound.push(piece);
        // A socket uses its buffer again.
        piece.fill(0x66);
      }
      return undefined;
    });
    if (outcome !== undefined && outcome !== 'peer-protocol packet.framing') throw new Error(`answered by ${outcome}`);
    const got = Buffer.concat(seen);
    if (!got.equals(expected)) throw new Error(`${got.toString('hex')} instead of ${expected.toString('hex')}`);
  },
});

/** The second opinion, which reads everything again from the start. */
function admitted(bytes: Buffer): Buffer {
  const kept: Buffer[] = [];
  for (let at = 0; bytes.length - at >= 40 && (bytes[at] ?? 0) >> 4 === 6; ) {
    const end = at + 40 + bytes.readUInt16BE(at + 4);
    if (end > bytes.length) break;
    const one = bytes.subarray(at, end);
    const from = one.toString('hex', 8, 24);
    const to = one.toString('hex', 24, 40);
    const mayPass = isOf(PEER, from) && isOf(OWN, to) && one[6] !== 59;
    if (mayPass && isHarmless(icmpOf(one[6] ?? 0, one.subarray(40), 8))) kept.push(one);
    at = end;
  }
  return Buffer.concat(kept);
}

/** No neighbour discovery or its like, and no error about what went to somebody else. */
function isHarmless(icmp: Buffer | 'none' | 'hidden'): boolean {
  if (icmp === 'none') return true;
  if (icmp === 'hidden' || [130, 131, 132, 133, 134, 135, 136, 137, 143].includes(icmp[0] ?? 0)) return false;
  return (icmp[0] ?? 0) >= 128 || (icmp.length >= 48 && isOf(PEER, icmp.toString('hex', 32, 48)));
}

/** The ICMPv6 message behind at most so many extension headers, and in the first fragment where there are several. */
function icmpOf(header: number, rest: Buffer, more: number, isFragment = false): Buffer | 'none' | 'hidden' {
  if (![58, 0, 43, 44, 51, 60].includes(header)) return 'none';
  if (rest.length === 0) return isFragment ? 'hidden' : 'none';
  if (header === 58) return rest;
  if (more === 0) return 'hidden';
  const isLaterFragment = header === 44 && (((rest[2] ?? 0) << 8) | (rest[3] ?? 0)) >> 3 !== 0;
  const length = header === 44 ? 8 : 8 + (header === 51 ? 4 : 8) * (rest[1] ?? 0);
  return isLaterFragment ? 'none' : icmpOf(rest[0] ?? 0, rest.subarray(length), more - 1, isFragment || header === 44);
}

function isOf({ oc, ocat4 }: typeof PEER, hex: string): boolean {
  return hex === oc.toString('hex') || hex === ocat4.toString('hex');
}

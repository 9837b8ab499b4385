/**
 * Repliable datagrams as SAM v3 carries them: over UDP, each behind one line that says where it goes or comes from, or
 * on the control connection of their session behind a line that gives their size too. Ports travel from SAM 3.2 on, and
 * of the routers seen only Java I2P carries them.
 */
import { GateError } from '../../kit/errors.ts';
import { type Destination, parseDestination } from '../i2p/destination.ts';
import { LONGEST_LINE } from './line.ts';
import { parseReply, unexpected } from './reply.ts';

/** I2P's ports, 0 to 65535; 0 where nobody said any. */
export interface DatagramPorts {
  readonly from: number;
  readonly to: number;
}

/** One that has arrived. */
export interface SamDatagram {
  readonly sender: Destination;
  readonly ports: DatagramPorts;
  readonly payload: Buffer;
}

export type ReceivedHead = Omit<SamDatagram, 'payload'> & {
  /** Of the payload, in bytes. */
  readonly size: number;
};

export interface OutgoingDatagram {
  /** SAM's name of the session. */
  readonly id: string;
  /** Whole: i2pd takes no names here. */
  readonly destination: Destination;
  /** Undefined for a router that takes anything behind the destination for a part of it, as i2pd does. */
  readonly ports: DatagramPorts | undefined;
  readonly payload: Buffer;
}

const LF = 0x0a;

/** For the UDP port of the bridge. */
export function encodeForUdp({ id, destination, ports, payload }: OutgoingDatagram): Buffer {
  const head =
    ports === undefined ? `3.0 ${id} ${destination.base64}` : `3.2 ${id} ${destination.base64}${portValues(ports)}`;
  return behind(`${head}\n`, payload);
}

/** For the control connection. To be written at once: i2pd wants line and payload in one segment. */
export function encodeForControl({ destination, ports, payload }: Omit<OutgoingDatagram, 'id'>): Buffer {
  const more = ports === undefined ? '' : portValues(ports);
  return behind(`DATAGRAM SEND DESTINATION=${destination.base64} SIZE=${payload.length}${more}\n`, payload);
}

/**
 * What the bridge forwards over UDP: the sender's destination, ports where it knows them, a newline, the payload.
 *
 * @throws GateError `router-protocol`
 */
export function parseForwarded(bytes: Buffer): SamDatagram {
  const end = bytes.subarray(0, LONGEST_LINE).indexOf(LF);
  if (end < 0) throw unexpected('a datagram behind the line of its sender');
  const line = bytes.toString('latin1', 0, end);
  const [destination = ''] = line.split(/[ \r]/, 1);
  const { values } = parseReply(line);
  return { sender: senderOf(destination), ports: portsOf(values), payload: Buffer.from(bytes.subarray(end + 1)) };
}

/**
 * `DATAGRAM RECEIVED DESTINATION=... SIZE=...`, the line before a datagram on the control connection.
 *
 * @throws GateError `router-protocol`, also for a size that no datagram has
 */
export function parseReceived(line: string): ReceivedHead {
  const { values } = parseReply(line);
  const size = values.get('SIZE') ?? '';
  if (!/^\d{1,5}$/.test(size) || Number(size) > 0xffff) throw unexpected('the size of a datagram');
  return { sender: senderOf(values.get('DESTINATION') ?? ''), ports: portsOf(values), size: Number(size) };
}

function behind(head: string, payload: Buffer): Buffer {
  return Buffer.concat([Buffer.from(head, 'latin1'), payload]);
}

function portValues({ from, to }: DatagramPorts): string {
  return ` FROM_PORT=${from} TO_PORT=${to}`;
}

function portsOf(values: ReadonlyMap<string, string>): DatagramPorts {
  return { from: portIn(values, 'FROM_PORT'), to: portIn(values, 'TO_PORT') };
}

function portIn(values: ReadonlyMap<string, string>, name: string): number {
  const text = values.get(name) ?? '0';
  if (!/^\d{1,5}$/.test(text) || Number(text) > 0xffff) throw unexpected('the ports of a datagram');
  return Number(text);
}

function senderOf(base64: string): Destination {
  try {
    return parseDestination(base64);
  } catch (error) {
    throw new GateError(
      'router-protocol',
      'sam.destination-unreadable',
      'the SAM bridge sent a destination that cannot be read',
      { cause: error },
    );
  }
}

/** What the TUN tests share: addresses, UDP packets made and taken apart by hand, the tables of the kernel. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TunPort } from '../../src/core/ports.ts';
import { openTun, type TunOptions } from '../../src/io/tun-linux.ts';
import { type Address, PREFIX_TEXT, parseIpv6, toAddress } from '../../src/wire/i2p/address.ts';

export const NAME = 'garlitest0';
export const OURS_TEXT = 'fd60:db4d:ddb5:54d8:7266:8a0b:fc9c:5163';
export const OURS_TOO_TEXT = 'fd60:db4d:ddb5:4698:d27b:e76c:e666:54a0';
export const PEER_TEXT = 'fd60:db4d:ddb5:1:2:3:4:5';
export const OURS = address(OURS_TEXT);
const OURS_TOO = address(OURS_TOO_TEXT);
export const PEER = address(PEER_TEXT);

function address(words: string): Address {
  return toAddress(parseIpv6(words) ?? assert.fail(words));
}

/** Shell text: a device node that everybody may open, as most systems have it. */
export const NODE_FOR_ALL = 'mount -t tmpfs none /dev/net; mknod /dev/net/tun c 10 200; chmod 666 /dev/net/tun';

export function open(options: Partial<TunOptions> = {}): TunPort {
  return openTun({
    name: NAME,
    mtu: 1500,
    addresses: [OURS, OURS_TOO],
    routes: { networks: [], hosts: [] },
    keepUnreachable: true,
    offload: false,
    ...options,
  });
}

const UDP = 17;
export const HEADERS = 48;

/** An IPv6 packet with a UDP datagram (RFC 8200 section 3, RFC 768). */
export function udpPacket(from: Buffer, to: Buffer, ports: readonly [number, number], payload: Buffer): Buffer {
  const packet = Buffer.alloc(HEADERS + payload.length);
  packet.writeUInt32BE(0x6000_0000, 0);
  packet.writeUInt16BE(8 + payload.length, 4);
  packet.writeUInt8(UDP, 6);
  packet.writeUInt8(64, 7);
  packet.set(from, 8);
  packet.set(to, 24);
  packet.writeUInt16BE(ports[0], 40);
  packet.writeUInt16BE(ports[1], 42);
  packet.writeUInt16BE(8 + payload.length, 44);
  packet.set(payload, HEADERS);
  packet.writeUInt16BE(~onesSum(packet) & 0xffff || 0xffff, 46);
  return packet;
}

/** The sum over pseudo-header and datagram: 0xffff when a checksum in it is right. */
export function onesSum(packet: Buffer): number {
  let sum = packet.readUInt16BE(4) + packet.readUInt8(6);
  for (let at = 8; at < packet.length; at += 2) {
    sum += at + 1 < packet.length ? packet.readUInt16BE(at) : packet.readUInt8(at) << 8;
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
  return sum;
}

export function lengthOf(run: Buffer, at: number): number {
  return 40 + run.readUInt16BE(at + 4);
}

/** The packets of a run; those that the kernel sends by itself (MLD and the like) are left out. */
export function udpPacketsOf(run: Buffer): readonly Buffer[] {
  const packets: Buffer[] = [];
  let at = 0;
  while (at < run.length) {
    const packet = run.subarray(at, at + lengthOf(run, at));
    assert.equal(packet.readUInt8(0) >> 4, 6);
    at += packet.length;
    if (packet.readUInt8(6) === UDP) packets.push(packet);
  }
  assert.equal(at, run.length, 'a run ends with a whole packet');
  return packets;
}

export async function udpSocket(where: string): Promise<Socket> {
  const socket = createSocket({ type: 'udp6', recvBufferSize: 200_000 });
  socket.bind(0, where);
  await once(socket, 'listening');
  return socket;
}

/** Resolves when `holds` does; looks again with every turn of the event loop. @throws after ten seconds */
export async function until(holds: () => boolean, what: string): Promise<void> {
  const start = performance.now();
  while (!holds()) {
    assert.ok(performance.now() - start < 10_000, `never: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** Compiles `NAME.c` of this folder, for what Node cannot ask the kernel for, and runs it. @throws when it fails */
export function runProgram(name: string, words: readonly string[], input?: Buffer): void {
  const folder = mkdtempSync(join(tmpdir(), 'garligate-program-'));
  try {
    const program = join(folder, name);
    execFileSync('cc', ['-O1', '-o', program, fileURLToPath(new URL(`${name}.c`, import.meta.url))]);
    execFileSync(program, words, { input });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

export function ip(...args: string[]): string {
  return execFileSync('ip', args, { encoding: 'utf8' });
}

type Table = readonly Readonly<Record<string, unknown>>[];

function table(...args: string[]): Table {
  const parsed: Table = JSON.parse(ip('-6', '-j', ...args) || '[]');
  return parsed;
}

export function interfaceExists(name = NAME): boolean {
  return table('link').some((link) => link['ifname'] === name);
}

/** As `ip` tells them. */
export function addressesOn(name = NAME): Table {
  const info: unknown = table('addr', 'show', 'dev', name).find((link) => link['ifname'] === name)?.['addr_info'];
  return Array.isArray(info) ? info : [];
}

function routesToPrefix(): Table {
  return table('route', 'show', PREFIX_TEXT);
}

export function describeRoutes(): readonly string[] {
  return routesToPrefix()
    .map((route) => `${route['type'] ?? 'unicast'} ${route['dev']} ${route['metric']} ${route['prefsrc'] ?? '-'}`)
    .sort();
}

export const UNREACHABLE = 'unreachable lo 4294967295 -';
export const THROUGH_TUN = `unicast ${NAME} 1024 ${OURS_TEXT}`;

/** Of this namespace: `Udp6InErrors` and the like of IPv6, or `TcpInCsumErrors` and the like of TCP. */
export function kernelCounter(name: string): number {
  const line = readFileSync('/proc/self/net/snmp6', 'utf8').match(new RegExp(`^${name}\\s+(\\d+)$`, 'm'));
  if (line !== null) return Number(line[1]);
  const [names, numbers] = readFileSync('/proc/self/net/snmp', 'utf8')
    .split('\n')
    .filter((each) => each.startsWith('Tcp:'))
    .map((each) => each.split(' '));
  const at = names?.indexOf(name.replace('Tcp', '')) ?? -1;
  return Number(numbers?.[at] ?? assert.fail(name));
}

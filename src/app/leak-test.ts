/**
 * `garligate leak-test`: sends packets to addresses of the VPN, asks the SOCKS listeners for names that nobody has, and
 * looks on at what leaves this machine meanwhile. Works whether a gateway runs or not: that is what it is to find out.
 */
import { randomBytes } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { networkInterfaces } from 'node:os';
import { b32Of } from '../config/rules.ts';
import type { Config } from '../config/schema.ts';
import { type Capture, openCapture } from '../io/capture.ts';
import { type Clock, deadline, sleep } from '../kit/clock.ts';
import { GateError } from '../kit/errors.ts';
import { type Address, addressesOf, addressOfShortName, formatAddress } from '../wire/i2p/address.ts';
import { encodeBase32 } from '../wire/i2p/base32.ts';
import { type LeakKind, leakOf } from '../wire/packet/leak.ts';
import { askForNames, type NamesAsked } from './leak-names.ts';

/** A packet that gave something away, and by which interface it left. */
export interface Leak {
  readonly what: LeakKind;
  readonly interface: string;
  readonly packets: number;
}

export interface LeakReport {
  readonly schema: 1;
  /** Packets that were sent to addresses of the VPN, and those that the kernel refused at once. */
  readonly packets: { readonly tried: number; readonly refused: number };
  /** Where names were asked for, and where nobody could be asked. */
  readonly names: readonly NamesAsked[];
  readonly leaks: readonly Leak[];
  /** Packets that left while too many did, and were not looked at. */
  readonly missed: number;
}

/** Addresses of the VPN that nobody has. */
const PROBES = 4;
const DISCARD_PORT = 9;
/** The kernel repeats the question for a neighbour after a second. */
const LOOKING_ON_MS = 2_500;
const ANSWER_MS = 5_000;
const LOOPBACK = 'lo';

/** @throws GateError `permission` without root; `bug` when the watch sees nothing of what certainly leaves */
export async function leakTest(config: Config, clock: Clock, signal: AbortSignal): Promise<LeakReport> {
  const label = `leaktest${encodeBase32(randomBytes(10))}`;
  const capture = openCapture();
  try {
    await proveSight(capture, label, clock, signal);
    const probes = Array.from({ length: PROBES }, () => addressOfShortName(encodeBase32(randomBytes(10))));
    const peers = config.peer.map(({ destination }) => addressesOf(b32Of(destination)).oc);
    const packets = await sendTo([...probes, ...peers]);
    const names = [];
    for (const { listen, users } of config.socks) {
      names.push(await askForNames(listen, users.length > 0, label, clock, signal));
    }
    await sleep(clock, LOOKING_ON_MS, signal);
    return {
      schema: 1,
      packets,
      names,
      leaks: leaksAmong(capture, config.vpn.interface, label),
      missed: capture.missed(),
    };
  } finally {
    capture.close();
  }
}

/** A question that goes no further than this machine has to be seen, else nothing that is not seen means anything. */
async function proveSight(capture: Capture, label: string, clock: Clock, signal: AbortSignal): Promise<void> {
  const socket = createSocket('udp4');
  socket.on('error', () => {}); // Nobody listens there: that is said, and does not matter.
  socket.send(label, 53, '127.0.0.1');
  const limit = deadline(
    clock,
    ANSWER_MS,
    new GateError('bug', 'leak-test.blind', 'what leaves cannot be seen here'),
    signal,
  );
  try {
    const isSeen = () => capture.read().some(({ bytes }) => leakOf(bytes, label) === 'name');
    while (!isSeen()) await sleep(clock, 20, limit.signal);
  } finally {
    limit.clear();
    socket.close();
  }
}

/** From whichever address the kernel chooses, and from every other one of this machine that programs could choose. */
async function sendTo(targets: readonly Address[]): Promise<LeakReport['packets']> {
  const own = Object.values(networkInterfaces()).flatMap((all = []) => all);
  const sources = own.filter(({ family, internal, scopeid }) => family === 'IPv6' && !internal && !scopeid);
  let [tried, refused] = [0, 0];
  for (const source of [undefined, ...sources.map(({ address }) => address)]) {
    const socket = createSocket('udp6');
    socket.on('error', () => {}); // Each send tells its own.
    try {
      if (!(await tryBind(socket, source))) continue;
      for (const target of targets) {
        tried += 1;
        const failure = await new Promise((resolve) => {
          socket.send('garligate leak-test', DISCARD_PORT, formatAddress(target), resolve);
        });
        if (failure) refused += 1;
      }
    } finally {
      socket.close();
    }
  }
  return { tried, refused };
}

/** @returns false for an address that no program can use: it is still tried for duplicates, or has gone */
async function tryBind(socket: Socket, source: string | undefined): Promise<boolean> {
  const listening = once(socket, 'listening');
  socket.bind({ port: 0, ...(source !== undefined && { address: source }) });
  return listening.then(
    () => true,
    () => false,
  );
}

function leaksAmong(capture: Capture, ownInterface: string, label: string): readonly Leak[] {
  const counts = new Map<string, Leak>();
  for (const packet of capture.read()) {
    const what = leakOf(packet.bytes, label);
    if (what === undefined || packet.interface === ownInterface) continue;
    // Our own addresses lie behind the loopback interface as well; a question for a name goes to a resolver there.
    if (packet.interface === LOOPBACK && what !== 'name') continue;
    const key = `${what} ${packet.interface}`;
    counts.set(key, { what, interface: packet.interface, packets: (counts.get(key)?.packets ?? 0) + 1 });
  }
  return [...counts.values()];
}

/**
 * Two gateways over a slow line, beside a relay that writes each packet as it comes, in virtual time: what a ping, a lone
 * download and downloads side by side see. The hosts are models (test/helpers/cubic.ts); the links are the real ones.
 */
import assert from 'node:assert/strict';
import type { Duplex } from 'node:stream';
import { test } from 'node:test';
import { Deframer } from '../../../../src/wire/packet/deframer.ts';
import { packetLength } from '../../../../src/wire/packet/ipv6.ts';
import { CubicSender } from '../../../helpers/cubic.ts';
import { FakeClock } from '../../../helpers/fake-clock.ts';
import { type LineShape, slowLine } from '../../../helpers/slow-line.ts';
import { own } from '../../core/support.ts';
import { node } from './packets.ts';

const MTU = 1_500;
const ACK = 60;
const PING = 84;
const TCP = 6;
const ICMPV6 = 58;
const ECHO_REQUEST = 128;
const ECHO_REPLY = 129;
/** 4 MB, as Linux allows by default. */
const RECEIVE_WINDOW = 2_700;
const A = own(1).addresses.oc;
const B = own(2).addresses.oc;

/** Carries packets both ways. */
interface Carrier {
  send(from: 'left' | 'right', packet: Buffer): void;
  stop(): Promise<void>;
}

type Deliver = (at: 'left' | 'right', packet: Buffer) => void;
type MakeCarrier = (clock: FakeClock, shape: () => LineShape, deliver: Deliver) => Carrier;

const ourLinks: MakeCarrier = (clock, shape, deliver) => {
  const queue = { packets: 1_024, bytes: 1024 * 1024, ageMs: 30_000 };
  const left = node({
    clock,
    me: 1,
    them: 2,
    queue,
    dial: () => {
      const [ours, theirs] = slowLine(clock, shape);
      right.link.accept(theirs, 'verified');
      return Promise.resolve({ stream: ours, halfClose: false });
    },
    deliver: (packet) => deliver('left', packet),
  });
  const right = node({ clock, me: 2, them: 1, queue, deliver: (packet) => deliver('right', packet) });
  left.link.start();
  right.link.start();
  return {
    send: (from, packet) => (from === 'left' ? left : right).link.send(packet),
    stop: async () => {
      await Promise.all([left.link.stop(), right.link.stop()]);
    },
  };
};

/** As an OnionCat does it, but without its losses: every packet at once into the stream. */
const plainRelay: MakeCarrier = (clock, shape, deliver) => {
  const [left, right] = slowLine(clock, shape);
  const receive = (stream: Duplex, at: 'left' | 'right') => {
    const deframer = new Deframer();
    stream.on('data', (chunk: Buffer) => {
      deframer.push(chunk, (bytes, start, end) => deliver(at, Buffer.from(bytes.subarray(start, end))));
    });
  };
  receive(left, 'left');
  receive(right, 'right');
  return {
    send: (from, packet) => void (from === 'left' ? left : right).write(packet),
    stop: async () => {
      left.destroy();
      right.destroy();
    },
  };
};

function packet(
  from: 'left' | 'right',
  next: number,
  flow: number,
  number: number,
  length: number,
  ecn: number,
): Buffer {
  const bytes = Buffer.alloc(length);
  bytes[0] = 0x60;
  bytes[1] = ecn;
  bytes.writeUInt16BE(length - 40, 4);
  bytes[6] = next;
  (from === 'left' ? A : B).copy(bytes, 8);
  (from === 'left' ? B : A).copy(bytes, 24);
  bytes.writeUInt32BE(flow, 40);
  if (next === ICMPV6) bytes[40] = from === 'left' ? ECHO_REQUEST : ECHO_REPLY;
  bytes.writeUInt32BE(number, 44);
  return bytes;
}

interface Seen {
  /** Round trips of pings, sorted. Milliseconds. */
  readonly pings: readonly number[];
  /** Bytes per second that each flow got across, packets that were sent twice counted once. */
  readonly goodputs: readonly number[];
}

interface Scene {
  readonly make: MakeCarrier;
  readonly shape: LineShape;
  readonly flows: number;
  /** The hosts know ECN. */
  readonly ecn?: boolean;
  readonly warmUpMs?: number;
  readonly ms?: number;
}

async function play({ make, shape, flows, ecn = false, warmUpMs = 10_000, ms = 20_000 }: Scene): Promise<Seen> {
  const clock = new FakeClock();
  const pings: number[] = [];
  const pinged = new Map<number, number>();
  const arrived = Array.from({ length: flows }, () => new Set<number>());
  const counted = Array.from({ length: flows }, () => 0);
  let isCounting = false;
  const deliver: Deliver = (at, bytes) => {
    const [flow, number] = [bytes.readUInt32BE(40), bytes.readUInt32BE(44)];
    const isMarked = ((bytes[1] ?? 0) & 0x30) === 0x30;
    assert.equal(packetLength(bytes, 0), bytes.length);
    if (bytes[6] === ICMPV6 && at === 'right') carrier.send('right', packet('right', ICMPV6, 0, number, PING, 0));
    else if (bytes[6] === ICMPV6) {
      if (isCounting) pings.push(clock.now() - (pinged.get(number) ?? 0));
      pinged.delete(number);
    } else if (at === 'right') {
      const seen = arrived[flow];
      if (isCounting && seen?.has(number) === false) counted[flow] = (counted[flow] ?? 0) + bytes.length;
      seen?.add(number);
      carrier.send('right', packet('right', TCP, flow, isMarked ? number + 2 ** 31 : number, ACK, 0));
    } else senders[flow]?.acknowledged(number % 2 ** 31, number >= 2 ** 31);
  };
  const carrier = make(clock, () => shape, deliver);
  const senders = Array.from({ length: flows }, (_, flow) => {
    return new CubicSender({
      clock,
      receiveWindow: RECEIVE_WINDOW,
      send: (number) => carrier.send('left', packet('left', TCP, flow, number, MTU, ecn ? 0x20 : 0)),
    });
  });
  const ping = (number: number) => {
    pinged.set(number, clock.now());
    carrier.send('left', packet('left', ICMPV6, 0, number, PING, 0));
    clock.after(97, () => ping(number + 1));
  };
  ping(0);
  for (const sender of senders) sender.start();
  await clock.advance(warmUpMs);
  isCounting = true;
  await clock.advance(ms);
  isCounting = false;
  // Pings that are still out count for as long as they have been.
  for (const at of pinged.values()) pings.push(clock.now() - at);
  await carrier.stop();
  return { pings: pings.sort((one, other) => one - other), goodputs: counted.map((bytes) => bytes / (ms / 1_000)) };
}

function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

/** 1 MB/s, as a quick I2P stream, through a router that swallows 36 MB. */
const LINE: LineShape = { bytesPerMs: 1_000, latencyMs: 50, swallows: 36 * 1024 * 1024 };
const IDLE_MS = 100;

test('one download: a ping waits a tenth of what it waits behind a plain relay, which is hardly faster', async (t) => {
  const plain = await play({ make: plainRelay, shape: LINE, flows: 1 });
  const ours = await play({ make: ourLinks, shape: LINE, flows: 1 });
  const [theirPing, ourPing] = [percentile(plain.pings, 0.99), percentile(ours.pings, 0.99)];
  const [theirs, our] = [plain.goodputs[0] ?? 0, ours.goodputs[0] ?? 0];
  const told = `ping ${ourPing.toFixed(0)} of ${theirPing.toFixed(0)} ms, ${our.toFixed(0)} of ${theirs.toFixed(0)} B/s`;
  assert.ok(ourPing <= theirPing / 10, told);
  assert.ok(our >= 0.97 * theirs, told);
  t.diagnostic(told);
});

test('the same where the hosts know ECN: nothing is dropped to slow them down', async () => {
  const ours = await play({ make: ourLinks, shape: LINE, flows: 1, ecn: true });
  assert.ok((ours.goodputs[0] ?? 0) >= 0.95 * 1_000_000, `${ours.goodputs}`);
  assert.ok(percentile(ours.pings, 0.99) < 1.5 * IDLE_MS + 2);
});

test('two downloads get the same within a tenth', async (t) => {
  const { goodputs } = await play({ make: ourLinks, shape: LINE, flows: 2, ms: 30_000 });
  const [one = 0, other = 0] = goodputs;
  t.diagnostic(`${goodputs}`);
  assert.ok(Math.abs(one - other) < 0.1 * Math.max(one, other), `${goodputs}`);
});

test('beside eight downloads a ping takes less than one and a half idle round trips and a packet', async (t) => {
  const { pings, goodputs } = await play({ make: ourLinks, shape: LINE, flows: 8 });
  const told = `p99 ${percentile(pings, 0.99).toFixed(1)} ms, ${goodputs.map((one) => one.toFixed(0))}`;
  t.diagnostic(told);
  assert.ok(percentile(pings, 0.99) < 1.5 * IDLE_MS + MTU / LINE.bytesPerMs, told);
});

test('on a line like I2P, of 100 kB/s and 800 ms, a ping beside a download takes less than two idle round trips', async (t) => {
  const shape = { bytesPerMs: 100, latencyMs: 400, swallows: 36 * 1024 * 1024 };
  const { pings, goodputs } = await play({ make: ourLinks, shape, flows: 1, warmUpMs: 30_000, ms: 60_000 });
  const told = `p99 ${percentile(pings, 0.99).toFixed(0)} ms, ${goodputs.map((one) => one.toFixed(0))} B/s`;
  t.diagnostic(told);
  assert.ok(percentile(pings, 0.99) < 2 * 800, told);
  assert.ok((goodputs[0] ?? 0) > 0.9 * 100_000, told);
});

test('on 20 kB/s the round trip under load stays below ten idle ones, from the start', async (t) => {
  const shape = { bytesPerMs: 20, latencyMs: 100, swallows: 36 * 1024 * 1024 };
  const { pings } = await play({ make: ourLinks, shape, flows: 1, warmUpMs: 0, ms: 40_000 });
  const worst = pings.at(-1) ?? 0;
  t.diagnostic(`worst ${worst.toFixed(0)} p50 ${percentile(pings, 0.5).toFixed(0)}`);
  assert.ok(worst < 10 * 200, `${worst.toFixed(0)} ms`);
  assert.ok(percentile(pings, 0.5) < 4 * 200);
});

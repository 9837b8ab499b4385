/** Packets between the kernel and us, both ways: whole, unchanged, in order, and counted where they are dropped. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { declareScenarios, type Scenario } from './namespace.ts';
import {
  describeRoutes,
  HEADERS,
  ip,
  kernelCounter,
  lengthOf,
  NAME,
  OURS,
  OURS_TEXT,
  onesSum,
  open,
  PEER,
  PEER_TEXT,
  udpPacket,
  udpPacketsOf,
  udpSocket,
  until,
} from './tun-kit.ts';

/** Sends numbered datagrams in one go, after the first `ahead` of them have left the queue of the kernel, and says when it is done. */
const FLOOD = `
  const { readFileSync } = require('node:fs');
  const { workerData } = require('node:worker_threads');
  const { ahead, count, size, from, to, done, counter } = workerData;
  const socket = require('node:dgram').createSocket('udp6');
  const finish = () => socket.close(() => {
    Atomics.store(done, 0, 1);
    Atomics.notify(done, 0);
  });
  let sent = 0;
  const send = (first, end) => {
    for (let number = first; number < end; number += 1) {
      const payload = Buffer.alloc(size);
      payload.writeUInt32BE(number);
      socket.send(payload, () => {
        sent += 1;
        if (sent === count) finish();
      });
    }
  };
  const goOn = () => {
    if (Number(readFileSync(counter, 'utf8')) < ahead) setTimeout(goOn, 1);
    else send(ahead, count);
  };
  socket.bind(0, from, () => {
    // Connected, so that no name is looked up for each datagram.
    socket.connect(9, to, () => {
      send(0, ahead);
      goOn();
    });
  });
`;

function flood(load: { ahead: number; count: number; size: number }): Int32Array {
  const done = new Int32Array(new SharedArrayBuffer(4));
  const counter = statistic('tx_packets');
  new Worker(FLOOD, {
    eval: true,
    execArgv: [],
    workerData: { ...load, from: OURS_TEXT, to: PEER_TEXT, done, counter },
  });
  return done;
}

/** The file with a counter of the interface: what was read from it is what it has sent. */
function statistic(name: 'tx_packets' | 'tx_dropped'): string {
  return `/sys/class/net/${NAME}/statistics/${name}`;
}

function droppedByInterface(): number {
  return Number(readFileSync(statistic('tx_dropped'), 'utf8'));
}

/** Exchanges source and destination, addresses and ports: the checksum is a sum and stays right. */
function turnRound(packet: Buffer): void {
  const [from, to] = [Buffer.from(packet.subarray(8, 24)), Buffer.from(packet.subarray(24, 40))];
  packet.set(to, 8);
  packet.set(from, 24);
  const port = packet.readUInt16BE(40);
  packet.writeUInt16BE(packet.readUInt16BE(42), 40);
  packet.writeUInt16BE(port, 42);
}

const scenarios = (offload: boolean): Readonly<Record<string, Scenario>> => ({
  'datagrams for a peer arrive as packets from our first address': {
    run: async () => {
      const tun = open({ offload });
      const seen: Buffer[] = [];
      tun.onPackets((run) => seen.push(...udpPacketsOf(run).map((packet) => Buffer.from(packet))));
      const socket = await udpSocket('::');
      socket.send('into the /48', 9, PEER_TEXT);
      await until(() => seen.length > 0, 'a packet');
      const [packet] = seen;
      assert.ok(packet !== undefined);
      // The kernel makes up a flow label (RFC 6437).
      packet.writeUInt32BE(0x6000_0000, 0);
      assert.deepEqual(packet, udpPacket(OURS, PEER, [socket.address().port, 9], Buffer.from('into the /48')));
      assert.equal(onesSum(packet), 0xffff);
      socket.close();
      await tun.close();
    },
  },
  'packets that came before anybody took them are kept': {
    run: async () => {
      const tun = open({ offload });
      const socket = await udpSocket(OURS_TEXT);
      socket.send('early', 9, PEER_TEXT);
      await new Promise((resolve) => setTimeout(resolve, 50));
      let taken = 0;
      tun.onPackets((run) => {
        taken += udpPacketsOf(run).length;
      });
      await until(() => taken === 1, 'the early packet');
      socket.close();
      await tun.close();
    },
  },
  'packets for us come in from the moment on in which the interface is up': {
    run: async () => {
      // What the kernel leaves to a worker of its own comes a moment later, and not every time.
      for (let round = 0; round < 40; round += 1) {
        const tun = open();
        const heard = kernelCounter('Udp6NoPorts');
        tun.write(udpPacket(PEER, OURS, [5_000, 5_001], Buffer.from('at once')));
        assert.equal(kernelCounter('Udp6NoPorts'), heard + 1);
        await tun.close();
      }
    },
  },
  'a ping is answered': {
    run: async () => {
      const tun = open({ offload });
      tun.onPackets((run) => {
        for (let at = 0; at < run.length; at += lengthOf(run, at)) {
          if (run.readUInt8(at + 6) !== 58 || run.readUInt8(at + 40) !== 128) continue;
          const reply = Buffer.from(run.subarray(at, at + lengthOf(run, at)));
          reply.set(run.subarray(at + 24, at + 40), 8);
          reply.set(run.subarray(at + 8, at + 24), 24);
          // Echo reply instead of echo request: 0x8100 instead of 0x8000 in the sum.
          reply.writeUInt8(129, 40);
          const sum = reply.readUInt16BE(42) - 0x0100;
          reply.writeUInt16BE(sum < 0 ? sum + 0xffff : sum, 42);
          tun.write(reply);
        }
      });
      const ping = spawn('ping', ['-6', '-c', '3', '-i', '0.05', '-W', '3', PEER_TEXT], { stdio: 'ignore' });
      const [status] = await once(ping, 'close');
      assert.equal(status, 0);
      await tun.close();
    },
  },
  'thousands of datagrams of all sizes go out and come back unchanged': {
    run: async () => {
      const [tun, socket] = [open({ offload }), await udpSocket(OURS_TEXT)];
      let largest = 0;
      tun.onPackets((run) => {
        const packets = udpPacketsOf(run);
        largest = Math.max(largest, packets.length);
        for (const packet of packets) {
          assert.equal(onesSum(packet), 0xffff);
          turnRound(packet);
        }
        // Whole runs are written back, with what the kernel sends by itself in between.
        tun.write(run);
      });
      const total = 6000;
      const expected = new Map<number, Buffer>();
      let received = 0;
      socket.on('message', (message) => {
        const number = message.readUInt32BE();
        assert.deepEqual(message, expected.get(number));
        expected.delete(number);
        received += 1;
      });
      for (let number = 0; number < total; number += 1) {
        const payload = randomBytes(4 + (number % 1449));
        payload.writeUInt32BE(number);
        expected.set(number, payload);
        socket.send(payload, 9, PEER_TEXT);
        // The receive buffer of the socket is the narrowest place on the way.
        if (expected.size >= 64) await until(() => expected.size === 0, `echo of ${number}`);
      }
      await until(() => received === total, 'all echoes');
      assert.ok(largest > 1, 'several packets came in one batch');
      assert.equal(kernelCounter('Udp6InCsumErrors'), 0);
      assert.ok(Object.values(tun.drops()).every((count) => count === 0));
      socket.close();
      await tun.close();
    },
  },
  'a run of many packets is written whole': {
    run: async () => {
      const [tun, socket] = [open({ offload }), await udpSocket(OURS_TEXT)];
      const messages: string[] = [];
      socket.on('message', (message, from) => messages.push(`${from.address} ${message.toString()}`));
      const ports = [4000, socket.address().port] as const;
      const words = Array.from({ length: 100 }, (_, number) => `packet ${number} ${'x'.repeat(number)}`);
      tun.write(Buffer.concat(words.map((text) => udpPacket(PEER, OURS, ports, Buffer.from(text)))));
      await until(() => messages.length === words.length, 'all packets');
      assert.deepEqual(
        messages,
        words.map((text) => `${PEER_TEXT} ${text}`),
      );
      socket.close();
      await tun.close();
    },
  },
  'the largest packets that an interface can have are carried': {
    run: async () => {
      const [tun, socket] = [open({ offload, mtu: 65535 }), await udpSocket(OURS_TEXT)];
      const messages: Buffer[] = [];
      socket.on('message', (message) => messages.push(message));
      tun.onPackets((run) => {
        for (const packet of udpPacketsOf(run)) turnRound(packet);
        tun.write(run);
      });
      const payload = randomBytes(65535 - HEADERS);
      socket.send(payload, 9, PEER_TEXT);
      await until(() => messages.length === 1, 'the echo');
      assert.deepEqual(messages, [payload]);
      socket.close();
      await tun.close();
    },
  },
  'packets that are not IPv6 are counted and not handed over': {
    run: async () => {
      const tun = open({ offload });
      let taken = 0;
      tun.onPackets((run) => {
        taken += udpPacketsOf(run).length;
      });
      ip('addr', 'add', '192.0.2.1/24', 'dev', NAME);
      const old = createSocket('udp4');
      for (let count = 0; count < 5; count += 1) old.send('old', 9, '192.0.2.2');
      const socket = await udpSocket(OURS_TEXT);
      socket.send('new', 9, PEER_TEXT);
      await until(() => taken === 1 && tun.drops()['readNotIpv6'] === 5, 'one packet and five drops');
      old.close();
      socket.close();
      await tun.close();
    },
  },
  'a slow taker loses nothing that slabs and the queue of the kernel can hold': {
    run: async () => {
      const tun = open({ offload });
      const numbers: number[] = [];
      let done: Int32Array | undefined;
      tun.onPackets((run) => {
        // The first batch is held until every datagram has been sent.
        if (done !== undefined) assert.notEqual(Atomics.wait(done, 0, 0, 10_000), 'timed-out');
        for (const packet of udpPacketsOf(run)) numbers.push(packet.readUInt32BE(HEADERS));
      });
      // Packets of about 1 KB: 1950 in the queue, which holds 2000 and a few of the kernel's own may be among them; the
      // others in the slab of 512 KiB that is not with the taker. Their reader needs its moment to get them there.
      done = flood({ ahead: 400, count: 2350, size: 1000 });
      await until(() => numbers.length === 2350, 'all packets');
      assert.equal(droppedByInterface(), 0);
      assert.deepEqual(numbers, [...numbers.keys()]);
      await tun.close();
    },
  },
  'a taker that is slower than its sender forever gets whole packets in order': {
    run: async () => {
      const tun = open({ offload });
      const numbers: number[] = [];
      const done = flood({ ahead: 0, count: 20_000, size: 1200 });
      tun.onPackets((run) => {
        for (const packet of udpPacketsOf(run)) numbers.push(packet.readUInt32BE(HEADERS));
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 3);
      });
      await until(() => Atomics.load(done, 0) === 1, 'the end of the flood');
      // Not until it is quiet: on a busy machine a pause says nothing of what is still in the queue of the kernel.
      await until(() => numbers.length + droppedByInterface() === 20_000, 'each packet here, or counted as dropped');
      assert.ok(numbers.every((number, at) => at === 0 || number > (numbers[at - 1] ?? Number.NaN)));
      await tun.close();
    },
  },
  'what a taker throws is an uncaught exception and does not stop the packets': {
    run: async () => {
      const [tun, socket] = [open({ offload }), await udpSocket(OURS_TEXT)];
      const caught: unknown[] = [];
      process.on('uncaughtException', (error) => caught.push(error.message));
      let calls = 0;
      tun.onPackets((run) => {
        calls += udpPacketsOf(run).length;
        if (calls === 1) throw new Error('taker');
      });
      socket.send('one', 9, PEER_TEXT);
      await until(() => calls === 1, 'the first packet');
      socket.send('two', 9, PEER_TEXT);
      await until(() => calls === 2, 'the second packet');
      assert.deepEqual(caught, ['taker']);
      socket.close();
      await tun.close();
    },
  },
  'a malformed run is a bug of the caller, and what stands before it is written': {
    run: async () => {
      const [tun, socket] = [open({ offload }), await udpSocket(OURS_TEXT)];
      const messages: string[] = [];
      socket.on('message', (message) => messages.push(message.toString()));
      const packet = (words: string) => udpPacket(PEER, OURS, [1, socket.address().port], Buffer.from(words));
      const bug = { kind: 'bug', code: 'tun.malformed-run' };
      const versionFour = packet('c');
      versionFour.writeUInt8(0x45, 0);
      assert.throws(() => tun.write(Buffer.concat([packet('a'), packet('b').subarray(0, -1)])), bug);
      assert.throws(() => tun.write(Buffer.concat([packet('b'), Buffer.alloc(39, 0x60)])), bug);
      assert.throws(() => tun.write(Buffer.concat([packet('c'), versionFour])), bug);
      tun.write(Buffer.alloc(0));
      await until(() => messages.length === 3, 'three datagrams');
      assert.deepEqual(messages, ['a', 'b', 'c']);
      socket.close();
      await tun.close();
    },
  },
  'packets that the kernel does not take are counted by cause': {
    run: async () => {
      const tun = open({ offload });
      const packet = udpPacket(PEER, OURS, [1, 2], Buffer.from('x'));
      ip('link', 'set', NAME, 'down');
      tun.write(Buffer.concat([packet, packet, packet]));
      assert.equal(tun.drops()['writeInterfaceDown'], 3);
      ip('link', 'del', NAME);
      tun.write(packet);
      assert.equal(tun.drops()['writeInterfaceGone'], 1);
      await tun.close();
      tun.write(packet);
      assert.equal(tun.drops()['runsAfterClose'], 1);
      assert.deepEqual(describeRoutes().length, 1);
    },
  },
});

const named = (offload: boolean, how: string) =>
  Object.entries(scenarios(offload)).map(([title, scenario]) => [`${title}, ${how}`, scenario] as const);

// Whoever handles packets must not see the difference.
await declareScenarios(
  import.meta.filename,
  Object.fromEntries([...named(false, 'packet by packet'), ...named(true, 'with offload')]),
);

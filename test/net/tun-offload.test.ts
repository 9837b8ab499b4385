/**
 * With offload the kernel passes larger pieces than packets, and whoever handles packets must not see it: what arrives is
 * whole, each packet is right by itself, and one that is wrong is dropped alone.
 *
 * The connections are real and to themselves: every packet comes back with its addresses exchanged, so that what goes out to
 * the peer's port arrives from the peer at ours. Sums of addresses do not depend on their order.
 */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { createServer, connect as dialTcp, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TunPort } from '../../src/core/ports.ts';
import { isAlike } from '../../src/wire/packet/flow.ts';
import { declareScenarios } from './namespace.ts';
import {
  kernelCounter,
  lengthOf,
  NAME,
  OURS,
  OURS_TEXT,
  onesSum,
  open,
  PEER,
  PEER_TEXT,
  runProgram,
  until,
} from './tun-kit.ts';

const MTU = 1500;
const TCP = 6;
const UDP = 17;
/** WHOLE_PLACES of native/whole.h. */
const REMEMBERED = 256;

interface Seen {
  packets: number;
  /** Longer than the MTU. */
  big: number;
  runs: number;
  longest: number;
  wrong: number;
}

/** What the interface says of a run holds: whole packets, alike, none longer than the first of its row. */
function checkRows(run: Buffer, rows: Uint32Array): void {
  let at = 0;
  for (let row = 0; row < rows.length; row += 2) {
    const [start, firstEnd] = [at, at + lengthOf(run, at)];
    for (let packets = rows[row + 1] ?? 0; packets > 0; packets -= 1) {
      const end = at + lengthOf(run, at);
      if (at > start) assert.ok(isAlike(run, start, firstEnd, at, end) && end - at <= firstEnd - start);
      at = end;
    }
    assert.equal(at, start + (rows[row] ?? 0));
  }
  assert.equal(at, run.length);
}

/**
 * @param change a packet on its way back; returns what becomes of it
 * @param segment see TunPort.write
 */
function reflect(tun: TunPort, change: (packet: Buffer) => void = () => {}, segment?: number): Seen {
  const seen: Seen = { packets: 0, big: 0, runs: 0, longest: 0, wrong: 0 };
  tun.onPackets((run, rows) => {
    seen.runs += 1;
    checkRows(run, rows ?? assert.fail('the interface knows its rows'));
    for (let at = 0; at < run.length; at += lengthOf(run, at)) {
      const packet = run.subarray(at, at + lengthOf(run, at));
      seen.packets += 1;
      if (packet.length > tun.mtu) seen.big += 1;
      seen.longest = Math.max(seen.longest, packet.length);
      const protocol = packet.readUInt8(6);
      if ((protocol === TCP || protocol === UDP) && onesSum(packet) !== 0xffff) seen.wrong += 1;
      const source = Buffer.from(packet.subarray(8, 24));
      packet.copyWithin(8, 24, 40);
      packet.set(source, 24);
      change(packet);
    }
    tun.write(run, segment);
  });
  return seen;
}

/** A server at our address that sends back what it gets, and a connection to it by way of the peer's address. */
async function echo(): Promise<{ client: Socket; end: () => Promise<void> }> {
  const server = createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket));
  server.listen(0, OURS_TEXT);
  await once(server, 'listening');
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  const client = dialTcp({ host: PEER_TEXT, port: address.port, allowHalfOpen: true });
  await once(client, 'connect');
  return {
    client,
    end: async () => {
      client.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Sends so many random bytes, gets them back, and compares. */
async function roundTrip(client: Socket, bytes: number): Promise<void> {
  const [sent, received] = [createHash('sha256'), createHash('sha256')];
  let back = 0;
  client.on('data', (chunk: Buffer) => {
    received.update(chunk);
    back += chunk.length;
  });
  const block = randomBytes(1_000_003);
  for (let left = bytes; left > 0; left -= block.length) {
    const piece = block.subarray(0, Math.min(left, block.length));
    sent.update(piece);
    if (!client.write(piece)) await once(client, 'drain');
  }
  client.end();
  await once(client, 'end');
  assert.equal(back, bytes);
  assert.equal(received.digest('hex'), sent.digest('hex'));
}

function sendSegments(bytes: Buffer, port: number, size: number): void {
  runProgram('send-segments', [OURS_TEXT, PEER_TEXT, String(port), String(size)], bytes);
}

/** The checksum made right again, so that only what was changed can give the packet away. */
function summed(packet: Buffer): Buffer {
  packet.writeUInt16BE(0, 56);
  packet.writeUInt16BE(~onesSum(packet) & 0xffff, 56);
  return packet;
}

const [TCP_OFFSET, TCP_FLAGS] = [52, 53];
const SYN_FIN_URGENT = 0x23;

/** What may come in place of a row of packets. The bytes of the connection must not be among it. */
const LIES: ReadonlyArray<(packet: Buffer) => Buffer> = [
  // Headers that are longer than the packet, or shorter than any.
  (packet) =>
    summed(
      Buffer.from(packet)
        .fill(0xf0, TCP_OFFSET, TCP_OFFSET + 1)
        .fill(SYN_FIN_URGENT, TCP_FLAGS, TCP_FLAGS + 1),
    ),
  (packet) => summed(packet.fill(0x10, TCP_OFFSET, TCP_OFFSET + 1)),
  // To a connection that nobody has.
  (packet) => summed(packet.fill(0x77, 42, 44)),
  // What no row has: the flags of an opening and of an end.
  (packet) => summed(packet.fill(0x77, 42, 44).fill(SYN_FIN_URGENT, TCP_FLAGS, TCP_FLAGS + 1)),
  // Another protocol: UDP cannot be whole, and is not cut.
  (packet) => packet.fill(UDP, 6, 7),
  (packet) => packet.fill(0, 6, 7),
  // Garbage behind a right header.
  (packet) => packet.fill(0xa5, 40),
];

await declareScenarios(import.meta.filename, {
  'TCP: what comes back is what was sent, in packets that are right and no longer than the MTU': {
    run: async () => {
      const tun = open({ offload: true, mtu: MTU });
      const seen = reflect(tun);
      const { client, end } = await echo();
      await roundTrip(client, 30_000_000);
      assert.equal(seen.wrong, 0);
      assert.equal(seen.longest, MTU);
      assert.equal(kernelCounter('Ip6InDiscards'), 0);
      const { reads, writes } = tun.traffic();
      assert.ok(reads < seen.packets / 4, `${reads} reads for ${seen.packets} packets`);
      assert.ok(writes < seen.packets / 4, `${writes} writes for ${seen.packets} packets`);
      await end();
      await tun.close();
    },
  },
  'TCP: a packet that was changed on its way is dropped alone, and what arrives is right': {
    run: async () => {
      const tun = open({ offload: true, mtu: MTU });
      let full = 0;
      let changed = 0;
      reflect(tun, (packet) => {
        if (packet.length < MTU) return;
        full += 1;
        if (full % 1000 !== 0) return;
        changed += 1;
        packet.writeUInt8(packet.readUInt8(700) ^ 0xff, 700);
      });
      const { client, end } = await echo();
      await roundTrip(client, 10_000_000);
      assert.ok(changed > 5);
      assert.equal(kernelCounter('TcpInCsumErrors'), changed);
      await end();
      await tun.close();
    },
  },
  'TCP: rows of packets that may stay whole do, with a right checksum, and arrive as they were sent': {
    run: async () => {
      const tun = open({ offload: true, mtu: MTU });
      assert.equal(tun.takesBig, true);
      tun.keepWhole(PEER, MTU);
      const seen = reflect(tun, () => {}, MTU);
      const { client, end } = await echo();
      await roundTrip(client, 30_000_000);
      assert.equal(seen.wrong, 0);
      assert.ok(seen.longest > 10 * MTU, `at most ${seen.longest} bytes`);
      assert.equal(kernelCounter('TcpInCsumErrors'), 0);
      assert.equal(kernelCounter('Ip6InDiscards'), 0);
      assert.equal(tun.drops()['writeRefused'], 0);
      // Whole ones are what most bytes came in.
      assert.ok(seen.packets < 60_000_000 / MTU / 2, `${seen.packets} packets`);

      const before = seen.big;
      tun.cutAll();
      const again = await echo();
      await roundTrip(again.client, 5_000_000);
      assert.equal(seen.big, before, 'none is whole any more');
      for (const one of [{ end }, again]) await one.end();
      await tun.close();
    },
  },
  'TCP: rows for another address, of another size, or without offload are cut': {
    run: async () => {
      for (const [offload, wish] of [
        [true, (tun: TunPort) => tun.keepWhole(OURS, MTU)],
        [true, (tun: TunPort) => tun.keepWhole(PEER, MTU - 1)],
        [false, (tun: TunPort) => tun.keepWhole(PEER, MTU)],
      ] as const) {
        const tun = open({ offload, mtu: MTU });
        assert.equal(tun.takesBig, offload);
        wish(tun);
        const seen = reflect(tun, () => {}, MTU);
        const { client, end } = await echo();
        await roundTrip(client, 2_000_000);
        assert.deepEqual([seen.big, seen.wrong], [0, 0]);
        await end();
        await tun.close();
      }
    },
  },
  'TCP: where more destinations want whole rows than are remembered, those that are forgotten get packets': {
    run: async () => {
      const tun = open({ offload: true, mtu: MTU });
      tun.keepWhole(PEER, MTU);
      for (let other = 0; other < 20 * REMEMBERED; other += 1) {
        tun.keepWhole(Buffer.concat([PEER.subarray(0, 8), randomBytes(8)]), MTU);
      }
      const seen = reflect(tun, () => {}, MTU);
      const { client, end } = await echo();
      await roundTrip(client, 2_000_000);
      assert.deepEqual([seen.big, seen.wrong], [0, 0]);
      tun.keepWhole(PEER, MTU);
      const again = await echo();
      await roundTrip(again.client, 5_000_000);
      assert.ok(seen.big > 0, 'remembered again');
      for (const one of [{ end }, again]) await one.end();
      await tun.close();
    },
  },
  'TCP: a row that was changed on its way is dropped whole, and what arrives is right': {
    run: async () => {
      const tun = open({ offload: true, mtu: MTU });
      tun.keepWhole(PEER, MTU);
      let changed = 0;
      const seen = reflect(
        tun,
        (packet) => {
          if (packet.length <= MTU || seen.big % 50 !== 49) return;
          changed += 1;
          packet.writeUInt8(packet.readUInt8(packet.length - 1) ^ 0xff, packet.length - 1);
        },
        MTU,
      );
      const { client, end } = await echo();
      await roundTrip(client, 20_000_000);
      assert.ok(changed > 0);
      assert.equal(kernelCounter('TcpInCsumErrors'), changed);
      await end();
      await tun.close();
    },
  },
  'a peer that lies about long packets harms nobody else': {
    run: async () => {
      const tun = open({ offload: true, mtu: MTU });
      tun.keepWhole(PEER, MTU);
      let lies = 0;
      tun.onPackets((run) => {
        for (let at = 0; at < run.length; at += lengthOf(run, at)) {
          const packet = Buffer.from(run.subarray(at, at + lengthOf(run, at)));
          const source = Buffer.from(packet.subarray(8, 24));
          packet.copyWithin(8, 24, 40);
          packet.set(source, 24);
          if (packet.length > MTU) {
            const lie = LIES[lies % LIES.length]?.(Buffer.from(packet)) ?? assert.fail();
            lies += 1;
            tun.write(lie, MTU);
          }
          tun.write(packet, MTU);
        }
      });
      const { client, end } = await echo();
      await roundTrip(client, 20_000_000);
      assert.ok(lies > 3 * LIES.length, `${lies} lies`);
      await end();
      await tun.close();
    },
  },
  'a persistent interface is taken over from a program with longer headers': {
    prepare: `ip tuntap add mode tun name ${NAME}`,
    run: async () => {
      for (const offload of [true, false]) {
        runProgram('leave-header', [NAME, '12']);
        const tun = open({ offload, mtu: MTU });
        assert.equal(tun.takesBig, offload);
        const seen = reflect(tun);
        const { client, end } = await echo();
        await roundTrip(client, 2_000_000);
        assert.equal(seen.wrong, 0);
        await end();
        await tun.close();
      }
    },
  },
  'where the kernel grants no offload, packets come and go one by one': {
    prepare: [
      'folder=$(mktemp -d)',
      `cc -shared -fPIC -o "$folder/refuse.so" ${fileURLToPath(new URL('refuse-offloads.c', import.meta.url))}`,
      'export LD_PRELOAD="$folder/refuse.so"',
    ].join('; '),
    run: async () => {
      rmSync(dirname(process.env['LD_PRELOAD'] ?? assert.fail('nothing is loaded before')), { recursive: true });
      const tun = open({ offload: true, mtu: MTU });
      assert.equal(tun.takesBig, false);
      const seen = reflect(tun);
      const { client, end } = await echo();
      await roundTrip(client, 2_000_000);
      assert.deepEqual([seen.wrong, seen.big], [0, 0]);
      await end();
      await tun.close();
    },
  },
  'UDP: datagrams of the same size side by side arrive each by itself': {
    run: async () => {
      const tun = open({ offload: true, mtu: MTU });
      reflect(tun);
      const server = createSocket({ type: 'udp6', recvBufferSize: 4_000_000 });
      const got: Buffer[] = [];
      server.on('message', (message) => got.push(message));
      server.bind(0, OURS_TEXT);
      await once(server, 'listening');
      const client = createSocket('udp6');
      client.bind(0, OURS_TEXT);
      await once(client, 'listening');
      const sizes = [1000, 1000, 1000, 700, 1000, 1, 1452, 1452, 1452, 1451, 8, 8, 8];
      const sent = sizes.map((size) => randomBytes(size));
      for (const datagram of sent) client.send(datagram, server.address().port, PEER_TEXT);
      await until(() => got.length === sent.length, 'all datagrams');
      assert.deepEqual(got, sent);
      assert.equal(kernelCounter('Udp6InCsumErrors'), 0);
      server.close();
      client.close();
      await tun.close();
    },
  },
  'UDP: what a program sends in segments leaves and arrives in datagrams': {
    run: async () => {
      const tun = open({ offload: true, mtu: MTU });
      const seen = reflect(tun);
      const server = createSocket({ type: 'udp6', recvBufferSize: 4_000_000 });
      const got: Buffer[] = [];
      server.on('message', (message) => got.push(message));
      server.bind(0, OURS_TEXT);
      await once(server, 'listening');
      const sent = randomBytes(40_321);
      sendSegments(sent, server.address().port, 1111);
      await until(() => Buffer.concat(got).length === sent.length, 'all segments');
      assert.deepEqual(Buffer.concat(got), sent);
      assert.deepEqual(new Set(got.slice(0, -1).map((each) => each.length)), new Set([1111]));
      assert.equal(seen.wrong, 0);
      assert.ok(seen.longest <= MTU);
      assert.equal(kernelCounter('Udp6InCsumErrors'), 0);
      server.close();
      await tun.close();
    },
  },
  'a small MTU cuts smaller, a large one needs no offload': {
    run: async () => {
      for (const mtu of [1280, 9000, 65_535]) {
        const tun = open({ offload: true, mtu });
        const seen = reflect(tun);
        const { client, end } = await echo();
        await roundTrip(client, 5_000_000);
        assert.equal(seen.wrong, 0);
        assert.ok(seen.longest <= mtu);
        await end();
        await tun.close();
      }
    },
  },
});

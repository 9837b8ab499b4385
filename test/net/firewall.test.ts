/** The firewall in a real kernel, against peers whose packets have already come past every check of the gateway. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { exposureOf } from '../../src/core/firewall/exposure.ts';
import { listeningServices } from '../../src/io/listening.ts';
import { formatAddress } from '../../src/wire/i2p/address.ts';
import { type Guarded, guarded, ME, serve } from './firewall-kit.ts';
import { declareScenarios } from './namespace.ts';
import { FLAG, fragments, icmp, tcp, udp } from './peer-packets.ts';
import { runProgram, until } from './tun-kit.ts';

const SOURCE_PORT = 40_000;

/** What a peer learns of each port by a SYN; the last one of the scan is known to answer, and so ends it. */
async function scan(up: Guarded, from: Buffer, ports: readonly number[], marker: number): Promise<readonly string[]> {
  const wanted = [...ports, marker];
  up.arrive(...wanted.map((port) => tcp({ from, to: ME.oc }, [SOURCE_PORT, port], FLAG.syn)));
  const isAnswer = (packet: Buffer, port: number) =>
    packet[6] === 6 && packet.subarray(24, 40).equals(from) && packet.readUInt16BE(40) === port;
  await up.answer((packet) => isAnswer(packet, marker), `an answer from port ${marker}`);
  return ports.map((port) => {
    const flags = up.sent.find((packet) => isAnswer(packet, port))?.[53];
    if (flags === undefined) return `${port} filtered`;
    return (flags & FLAG.rst) === 0 ? `${port} open` : `${port} closed`;
  });
}

function addressOf(up: Guarded, name: string): Buffer {
  return up.peers[name]?.addresses.oc ?? assert.fail(name);
}

/** Our kernel's answer to a packet that was let through, from `port`. */
function fromPort(port: number): (packet: Buffer) => boolean {
  return (packet) => packet[6] === 6 && packet.readUInt16BE(40) === port;
}

/** Waits until so many packets were dropped for this reason. */
async function reached(up: Guarded, name: string, count: number): Promise<void> {
  let last = -1;
  await until(() => {
    void up.counters().then((counters) => {
      last = counters[name] ?? -1;
    });
    return last >= count;
  }, `${count} ${name}`);
}

async function counted(up: Guarded, name: string, count: number): Promise<void> {
  await reached(up, name, count);
  assert.equal((await up.counters())[name], count);
}

await declareScenarios(import.meta.filename, {
  'a peer without rules reaches nothing, and a rule opens exactly what it says': {
    run: () =>
      guarded([{ name: 'alice' }, { name: 'bob', allow: ['tcp/7002', 'tcp/7004', 'udp/7003'] }], async (up) => {
        const servers = await serve(7001, 7002, 7003);
        const [alice, bob] = [addressOf(up, 'alice'), addressOf(up, 'bob')];
        const ports = [7001, 7002, 7003, 7004];
        up.arrive(...ports.map((port) => tcp({ from: alice, to: ME.oc }, [SOURCE_PORT, port], FLAG.syn)));
        up.arrive(icmp({ from: alice, to: ME.oc }, 128), icmp({ from: bob, to: ME.oc }, 128));
        const seen = await scan(up, bob, [7001, 7003, 7004], 7002);
        assert.deepEqual(seen, ['7001 filtered', '7003 filtered', '7004 closed']);
        assert.ok(up.sent.every((packet) => packet.subarray(24, 40).equals(bob)));
        // Four of alice and two of bob, and an echo request of each.
        assert.equal((await up.counters())['denied'], 8);
        for (const server of servers) server.close();
      }),
  },
  'default = "allow" lets a peer without rules reach everything, and one with rules what they say': {
    run: () =>
      guarded(
        [{ name: 'alice' }, { name: 'bob', allow: ['icmp'] }],
        async (up) => {
          const [server] = await serve(7001);
          const [alice, bob] = [addressOf(up, 'alice'), addressOf(up, 'bob')];
          up.arrive(tcp({ from: bob, to: ME.oc }, [SOURCE_PORT, 7001], FLAG.syn));
          assert.deepEqual(await scan(up, alice, [7002], 7001), ['7002 closed']);
          up.arrive(icmp({ from: bob, to: ME.oc }, 128));
          await up.answer((packet) => packet[6] === 58 && packet[40] === 129, 'an echo reply');
          assert.ok(!up.sent.some((packet) => packet[6] === 6 && packet.subarray(24, 40).equals(bob)));
          server?.close();
        },
        '[firewall]\ndefault = "allow"',
      ),
  },
  'the exposure that is worked out is what a scan finds': {
    run: () =>
      guarded(
        [
          { name: 'alice', allow: ['tcp/7001-7002', 'tcp/7005'] },
          { name: 'bob', allow: ['tcp/7002-7009'] },
        ],
        async (up) => {
          const servers = await serve(7001, 7002, 7003, 7004);
          const host = { own: ME, networks: [], peers: Object.values(up.peers) };
          const { peers } = exposureOf(host, await listeningServices());
          for (const { name, open, filtered } of peers) {
            const ports = Array.from({ length: 12 }, (_, at) => 7000 + at);
            const seen = await scan(up, addressOf(up, name), ports, 7002);
            const scanned = (state: string) =>
              seen.flatMap((one) => (one.endsWith(state) ? [`tcp/${one.split(' ')[0]}`] : []));
            assert.deepEqual(scanned('open'), open);
            const closed = scanned('filtered');
            assert.deepEqual(
              filtered.filter((service) => !closed.includes(service)),
              [],
            );
            assert.deepEqual(
              scanned('closed').filter((service) => open.includes(service)),
              [],
            );
          }
          assert.deepEqual(
            peers.map(({ open }) => open.length),
            [2, 3],
          );
          for (const server of servers) server.close();
        },
      ),
  },
  'fragments and extension headers open nothing, and close nothing that is open': {
    run: () =>
      guarded([{ name: 'bob', allow: ['tcp/7002'] }], async (up) => {
        const servers = await serve(7001, 7002);
        const from = addressOf(up, 'bob');
        let source = SOURCE_PORT;
        const syn = (port: number, extensions: readonly number[] = []) => {
          source += 1;
          return tcp({ from, to: ME.oc, extensions }, [source, port], FLAG.syn);
        };
        for (const port of [7001, 7002]) {
          for (const extensions of [[0], [60], [60, 60, 60], [0, 60]]) up.arrive(syn(port, extensions));
          up.arrive(...fragments(syn(port), 24));
          up.arrive(...fragments(syn(port), 24).toReversed());
          // Too small for the header of TCP: no fragment of them tells the port.
          up.arrive(...fragments(syn(port), 8));
        }
        // Answers may come again; each SYN came from a port of its own.
        const answered = () => new Set(up.sent.filter(fromPort(7002)).map((packet) => packet.readUInt16BE(42)));
        await until(() => answered().size === 6, 'answers from 7002 to each whole SYN');
        assert.equal(up.sent.filter(fromPort(7001)).length, 0);
        assert.ok(up.sent.filter(fromPort(7002)).every((packet) => packet[53] === (FLAG.syn | FLAG.ack)));
        assert.equal(answered().size, 6);
        for (const server of servers) server.close();
      }),
  },
  'answers to what we began come through, from nobody else, and not for ever': {
    prepare:
      'echo 1 > /proc/sys/net/netfilter/nf_conntrack_udp_timeout; echo 2 > /proc/sys/net/netfilter/nf_conntrack_udp_timeout_stream',
    run: () =>
      guarded([{ name: 'alice' }, { name: 'bob' }], async (up) => {
        const [alice, bob] = [addressOf(up, 'alice'), addressOf(up, 'bob')];
        const client = connect({ host: formatAddress(alice), port: 80, localPort: 41_000 });
        const syn = await up.answer(fromPort(41_000), 'a SYN to alice');
        const sequence = syn.readUInt32BE(44);
        up.arrive(tcp({ from: alice, to: ME.oc }, [80, 41_000], FLAG.syn | FLAG.ack, [9, sequence + 1]));
        await once(client, 'connect');
        client.destroy();

        const socket = createSocket('udp6');
        const heard: string[] = [];
        socket.on('message', (text) => heard.push(text.toString()));
        socket.bind(42_000, '::');
        await once(socket, 'listening');
        socket.send('question', 53, formatAddress(alice));
        await up.answer((packet) => packet[6] === 17, 'a question to alice');
        up.arrive(
          udp({ from: bob, to: ME.oc }, [53, 42_000], 'from somebody else'),
          udp({ from: alice, to: ME.oc }, [54, 42_000], 'from another port'),
          udp({ from: alice, to: ME.oc }, [53, 42_000], 'answer'),
        );
        await until(() => heard.length > 0, 'an answer');
        const tracked = () => readFileSync('/proc/net/nf_conntrack', 'utf8').includes('sport=42000');
        await until(() => !tracked(), 'the state to time out');
        const { denied = 0 } = await up.counters();
        up.arrive(udp({ from: alice, to: ME.oc }, [53, 42_000], 'late'));
        await counted(up, 'denied', denied + 1);
        assert.deepEqual(heard, ['answer']);
        socket.close();
      }),
  },
  'errors about what we sent are heard, so that a connection fails at once': {
    run: () =>
      guarded([{ name: 'alice' }], async (up) => {
        const alice = addressOf(up, 'alice');
        const client = connect({ host: formatAddress(alice), port: 80 });
        const failed = once(client, 'error');
        const syn = await up.answer((packet) => packet[6] === 6, 'a SYN to alice');
        // Destination unreachable, port unreachable (RFC 4443, section 3.1).
        up.arrive(icmp({ from: alice, to: ME.oc }, 1, 4, Buffer.concat([Buffer.alloc(4), syn])));
        const [error] = await failed;
        assert.equal(error.code, 'ECONNREFUSED');
        // An error about nothing is not let in.
        const invented = Buffer.from(syn);
        invented.writeUInt16BE(1234, 40);
        up.arrive(icmp({ from: alice, to: ME.oc }, 1, 4, Buffer.concat([Buffer.alloc(4), invented])));
        await counted(up, 'denied', 1);
      }),
  },
  'a closed, a filtered and an absent port look alike where no rule opens them': {
    run: () =>
      guarded([{ name: 'bob', allow: ['tcp/7002'] }], async (up) => {
        const servers = await serve(7001, 7002);
        const from = addressOf(up, 'bob');
        const absent = Buffer.from(ME.oc);
        absent[15] = (absent[15] ?? 0) ^ 1;
        up.arrive(
          tcp({ from, to: absent }, [SOURCE_PORT, 7002], FLAG.syn),
          // Nothing is said about a hop limit that is used up either.
          tcp({ from, to: absent, hopLimit: 1 }, [SOURCE_PORT, 7002], FLAG.syn),
          tcp({ from, to: ME.oc, hopLimit: 1 }, [SOURCE_PORT, 7001], FLAG.syn),
          tcp({ from, to: ME.oc }, [SOURCE_PORT, 7001], FLAG.ack),
          tcp({ from, to: ME.oc }, [SOURCE_PORT, 7003], FLAG.ack | FLAG.fin),
          udp({ from, to: ME.oc }, [SOURCE_PORT, 7003], 'x'),
          icmp({ from, to: ME.oc }, 128),
        );
        assert.deepEqual(await scan(up, from, [7001, 7003], 7002), ['7001 filtered', '7003 filtered']);
        assert.deepEqual(
          up.sent.filter((packet) => !fromPort(7002)(packet)),
          [],
        );
        for (const server of servers) server.close();
      }),
  },
  'messages of a link neither come in nor go out, and change nothing': {
    run: () =>
      guarded([{ name: 'alice', allow: ['all'] }], async (up) => {
        const from = addressOf(up, 'alice');
        const state = () =>
          execFileSync('sh', ['-c', 'ip -6 route show table all; ip -6 addr; ip -6 neigh'], { encoding: 'utf8' });
        const standing = state();
        const linkLocal = Buffer.from('fe80000000000000000000000000aaaa', 'hex');
        const allNodes = Buffer.from('ff020000000000000000000000000001', 'hex');
        // A prefix and a target, as discovery carries them.
        const body = Buffer.concat([
          Buffer.alloc(4),
          Buffer.from('20010db8000000000000000000000001', 'hex'),
          Buffer.alloc(32),
        ]);
        const types = [130, 131, 132, 133, 134, 135, 136, 137, 143];
        for (const type of types) up.arrive(icmp({ from, to: ME.oc, hopLimit: 255 }, type, 0, body));
        await counted(up, 'linkMessage', types.length);
        for (const source of [from, linkLocal]) {
          for (const type of types) up.arrive(icmp({ from: source, to: allNodes, hopLimit: 255 }, type, 0, body));
          up.arrive(udp({ from: source, to: allNodes }, [5353, 5353], 'mDNS'));
        }
        await counted(up, 'beyond', 2 * (types.length + 1));
        assert.equal(state(), standing);

        const socket = createSocket('udp6');
        socket.bind(5353, '::');
        await once(socket, 'listening');
        socket.addMembership('ff05::1234', `::%${up.tun.name}`);
        socket.setMulticastInterface(`::%${up.tun.name}`);
        const { linkMessage: before = 0 } = await up.counters();
        // The kernel may tell the sender that it was dropped.
        socket.send('mDNS', 5353, 'ff02::fb', () => {});
        await reached(up, 'linkMessage', before + 1);
        // To an address that may be sent to, and an echo request behind them, which does leave.
        runProgram('send-messages', [formatAddress(from), ...[...types, 128].map(String)]);
        await reached(up, 'linkMessage', before + 1 + types.length);
        await up.answer((packet) => packet[6] === 58 && packet[40] === 128, 'an echo request to alice');
        assert.deepEqual(
          up.sent.filter((packet) => packet[6] === 58 && types.includes(packet[40] ?? 0)),
          [],
        );
        socket.send('to alice', 9, formatAddress(from));
        await up.answer((packet) => packet[6] === 17 && packet.subarray(24, 40).equals(from), 'a packet to alice');
        assert.deepEqual(
          up.sent.filter((packet) => packet[24] === 0xff || packet[24] === 0xfe),
          [],
        );
        socket.close();
      }),
  },
});

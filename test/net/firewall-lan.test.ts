/** A host between its peers and a LAN: what goes through, and what neither side can make it do. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { formatAddress, parseIpv6 } from '../../src/wire/i2p/address.ts';
import { type Guarded, guarded, ME, neighbour, serve } from './firewall-kit.ts';
import { declareScenarios } from './namespace.ts';
import { FLAG, icmp, tcp, udp } from './peer-packets.ts';
import { ip, until } from './tun-kit.ts';

const LAN = 'fd98:1::';
const NETWORKS = '[vpn]\nnetworks = ["fd98:1::/48"]';

function bytesOf(text: string): Buffer {
  return parseIpv6(text) ?? assert.fail(text);
}

const HOST_ON_LAN = bytesOf(`${LAN}1`);
const ON_LAN = bytesOf(`${LAN}2`);

function forward(): void {
  writeFileSync('/proc/sys/net/ipv6/conf/all/forwarding', '1');
}

async function reached(up: Guarded, name: string, count: number): Promise<void> {
  let last = 0;
  await until(() => {
    void up.counters().then((counters) => {
      last = counters[name] ?? 0;
    });
    return last >= count;
  }, `${count} ${name}`);
}

function isTo(address: Buffer, protocol: number): (packet: Buffer) => boolean {
  return (packet) => packet[6] === protocol && packet.subarray(24, 40).equals(address);
}

await declareScenarios(import.meta.filename, {
  'a neighbour gets no answer from the address of the VPN, and cannot send in the name of a peer': {
    run: () =>
      guarded([{ name: 'alice', allow: ['all'] }], async (up) => {
        const lan = await neighbour(LAN);
        const servers = await serve(7001);
        const alice = up.peers['alice']?.addresses.oc ?? assert.fail();
        // Known here by its hardware address, as a neighbour has it.
        lan.run(`ip -6 route add fd60:db4d:ddb5::/48 via ${LAN}1; ip -6 addr add ${formatAddress(alice)}/128 dev lo`);
        for (const port of [7001, 7002]) {
          const script = `require('net').connect({host:'${formatAddress(ME.oc)}',port:${port}}).on('error',()=>{});setTimeout(()=>process.exit(),500)`;
          lan.run(`${process.execPath} -e "${script}"`);
        }
        await reached(up, 'offPath', 2);
        const spoof = `require('dgram').createSocket('udp6').bind(0,'${formatAddress(alice)}',function(){this.send('x',7001,'${LAN}1',()=>this.close())})`;
        const before = (await up.counters())['offPath'] ?? 0;
        lan.run(`${process.execPath} -e "${spoof}"`);
        await reached(up, 'offPath', before + 1);
        assert.equal(lan.seen(), 0);
        // The same service answers on the address of the LAN, so it was not the wire.
        lan.run(
          `${process.execPath} -e "require('net').connect({host:'${LAN}1',port:7001}).on('error',()=>process.exit(1)).on('connect',()=>process.exit())"`,
        );
        for (const server of servers) server.close();
        await lan.stop();
      }),
  },
  'with forwarding on, packets of peers for a LAN that is not theirs go nowhere': {
    run: () =>
      guarded([{ name: 'alice', allow: ['all'] }], async (up) => {
        const lan = await neighbour(LAN);
        forward();
        const from = up.peers['alice']?.addresses.oc ?? assert.fail();
        for (const to of [ON_LAN, HOST_ON_LAN, bytesOf('fe80::2'), bytesOf('2001:db8::1')]) {
          up.arrive(
            tcp({ from, to }, [40_000, 7001], FLAG.syn),
            icmp({ from, to }, 128),
            udp({ from, to }, [1, 2], 'x'),
          );
        }
        await reached(up, 'beyond', 12);
        assert.equal(lan.seen(), 0);
        assert.equal(up.sent.filter(isTo(from, 58)).length, 0);
        await lan.stop();
      }),
  },
  'a route that takes a part of the /48 elsewhere is noticed, and nothing leaves by it': {
    run: () =>
      guarded([{ name: 'alice' }], async (up) => {
        const lan = await neighbour(LAN);
        assert.equal(up.tun.state(), 'up');
        const alice = up.peers['alice']?.addresses.oc ?? assert.fail();
        const subnet = `${formatAddress(Buffer.concat([alice.subarray(0, 8), Buffer.alloc(8)]))}/64`;
        const socket = createSocket('udp6').bind(0, '::');
        await once(socket, 'listening');
        for (const route of [[subnet], [subnet, 'table', '77']]) {
          ip('-6', 'route', 'add', ...route, 'via', `${LAN}2`, 'dev', 'lan0');
          if (route.length > 1) ip('-6', 'rule', 'add', 'to', subnet, 'lookup', '77', 'pref', '10');
          assert.equal(up.tun.state(), 'diverted');
          const escaped = (await up.counters())['escape'] ?? 0;
          socket.send('secret', 9, formatAddress(alice), () => {});
          await reached(up, 'escape', escaped + 1);
          assert.equal(lan.seen(), 0);
          ip('-6', 'route', 'del', ...route);
        }
        assert.equal(up.tun.state(), 'up');
        ip('-6', 'rule', 'del', 'pref', '10');
        socket.send('again', 9, formatAddress(alice));
        await up.answer(isTo(alice, 17), 'a packet to alice by its right way');
        socket.close();
        await lan.stop();
      }),
  },
  'nothing with an address of the VPN leaves by another interface, not even in the quote of an error': {
    run: () =>
      guarded([{ name: 'alice' }], async (up) => {
        const lan = await neighbour(LAN);
        forward();
        const socket = createSocket('udp6').bind(0, formatAddress(ME.oc));
        await once(socket, 'listening');
        socket.send('from the VPN', 9, `${LAN}2`, () => {});
        await reached(up, 'escape', 1);
        // A stranger on the LAN uses this host as its router to a peer: it learns nothing, not even by an error.
        const alice = formatAddress(up.peers['alice']?.addresses.oc ?? assert.fail());
        // The second packet comes with a hop limit that is used up here: an error would quote it.
        for (const hops of [64, 1]) {
          lan.run(
            `${process.execPath} -e "const s=require('dgram').createSocket('udp6');s.bind(0,()=>{s.setTTL(${hops});s.send('x',9,'${alice}',()=>s.close())})"`,
          );
        }
        await reached(up, 'offPath', 2);
        assert.equal(lan.seen(), 0);
        socket.close();
        await lan.stop();
      }),
  },
  'a network behind us and one behind a peer reach each other, as far as the rules say': {
    run: () =>
      guarded(
        [{ name: 'bob', allow: ['udp/9'], routes: ['fd12::/32'] }],
        async (up) => {
          const lan = await neighbour(LAN);
          forward();
          assert.match(ip('-6', 'route', 'show', 'fd12::/32'), /dev garli0 .*metric 1024/);
          const far = bytesOf('fd12::5');
          // From far away to the LAN: one port is open, another is not.
          const hear = spawn(
            'nsenter',
            [
              `--net=/proc/${lan.pid}/ns/net`,
              process.execPath,
              '-e',
              "const s=require('dgram').createSocket('udp6');s.bind(9,'::',()=>console.log('ready'));s.on('message',(m,f)=>{console.log(f.address+' '+m);s.send('answer',f.port,f.address)})",
            ],
            { stdio: ['ignore', 'pipe', 'inherit'] },
          );
          let heard = '';
          hear.stdout.on('data', (text) => {
            heard += String(text);
          });
          await until(() => heard.includes('ready'), 'a service on the LAN');
          up.arrive(
            udp({ from: far, to: ON_LAN }, [5000, 10], 'closed'),
            udp({ from: far, to: ON_LAN }, [5000, 9], 'hello'),
          );
          await until(() => heard.includes('fd12::5 hello'), 'a datagram on the LAN');
          await up.answer(isTo(far, 17), 'the answer of the LAN');
          await reached(up, 'denied', 1);
          // A host of the LAN begins, and is answered.
          const ask = `const s=require('dgram').createSocket('udp6');s.bind(6000,'::',()=>s.send('question',53,'fd12::5'));s.on('message',()=>process.exit());setTimeout(()=>process.exit(1),8000)`;
          const asking = spawn('nsenter', [`--net=/proc/${lan.pid}/ns/net`, process.execPath, '-e', ask], {
            stdio: 'inherit',
          });
          await up.answer(
            (packet) => isTo(far, 17)(packet) && packet.readUInt16BE(42) === 53,
            'a question from the LAN',
          );
          up.arrive(udp({ from: far, to: ON_LAN }, [53, 6000], 'answer'));
          const [code] = await once(asking, 'close');
          assert.equal(code, 0);
          hear.kill();
          await once(hear, 'close');
          await lan.stop();
        },
        NETWORKS,
      ).then(() => assert.equal(execFileSync('ip', ['-6', 'route', 'show', 'fd12::/32'], { encoding: 'utf8' }), '')),
  },
});

/** A gateway among strangers, liars and an OnionCat, each of which the test plays byte by byte. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { SocksClient } from 'socks';
import { formatAddress } from '../../src/wire/i2p/address.ts';
import { encodeKeepalive } from '../../src/wire/packet/keepalive.ts';
import { FakeBridge } from '../helpers/fake-bridge/bridge.ts';
import { FakeNetwork } from '../helpers/fake-bridge/network.ts';
import { until } from '../helpers/until.ts';
import { closeServer, generateKeys, loopbackServer, type RunningGateway, startGateway } from './gateway-kit.ts';
import { packet } from './packets.ts';
import { type RawPeer, rawPeer } from './raw-peer.ts';

let gateway: RunningGateway;

describe('a gateway among strangers', () => {
  let bridge: FakeBridge;
  let network: FakeNetwork;
  let peer: RawPeer;
  let log: string[];

  beforeEach(async () => {
    network = new FakeNetwork();
    bridge = await FakeBridge.start({ network, temperament: 'i2pd-2.45' });
    peer = await rawPeer(bridge);
    log = [];
    gateway = await startGateway({ bridge, peers: [peer.b32], log });
    await until('the gateway accepts', () => gateway.gateway.accepting.armed > 0);
  });

  afterEach(async () => {
    peer.close();
    await gateway.stop();
    await bridge.stop();
  });

  it('closes the stream of an unknown destination without reading a byte', async () => {
    const stranger = await rawPeer(bridge);
    const stream = await stranger.connect(gateway.b32);
    stream.write(keepalive(stranger));
    stream.resume();
    await once(stream, 'end');
    assert.equal(gateway.gateway.inbound.counters().refusedStranger, 1);
    assert.equal(gateway.gateway.inbound.counters().accepted, 0);
    stranger.close();
  });

  it('drops every packet whose source is not the peer, alone, and delivers its neighbours', async () => {
    const stream = await peer.connect(gateway.b32);
    const own = gateway.addresses.oc;
    const stray = Buffer.from(peer.addresses.oc);
    stray[15] = (stray[15] ?? 0) ^ 1;
    const liars = ['::1', '2001:db8::1', 'fe80::1', formatAddress(own), formatAddress(stray)];
    const good = (n: number) => packet(peer.addresses.oc, own, Buffer.from(`good ${n}`));
    const burst = liars.flatMap((source, n) => [good(n), packet(bytesOf(source), own, Buffer.from('evil'))]);
    stream.write(Buffer.concat([keepalive(peer), ...burst, good(99)]));
    assert.deepEqual(await gateway.tun.has(liars.length + 1), [0, 1, 2, 3, 4, 99].map(good));
    assert.equal(link(gateway).drops.foreignSource, liars.length);
  });

  it('drops every packet that is not for us, and says nothing of it at the most talkative level', async () => {
    const lines: string[] = [];
    // It dials nobody by itself, and so has nothing else to say.
    const config = `[[peer]]\nname = "p"\ndestination = "${peer.b32}.b32.i2p"\nconnect = "demand"\n`;
    const quiet = await startGateway({ bridge, config, log: lines });
    await until('it accepts', () => quiet.gateway.accepting.armed > 0);
    const stream = await peer.connect(quiet.b32);
    stream.write(keepalive(peer, quiet));
    await until('the link is up', () => link(quiet).state.kind === 'up');
    const before = lines.length;
    const targets = ['2001:db8::2', '::1', 'ff02::1', formatAddress(peer.addresses.ocat4)];
    const strays = targets.map((target) => packet(peer.addresses.oc, bytesOf(target), Buffer.from('stray')));
    const last = packet(peer.addresses.oc, quiet.addresses.ocat4, Buffer.from('for us'));
    stream.write(Buffer.concat([...strays, last]));
    assert.deepEqual(await quiet.tun.has(1), [last]);
    assert.equal(link(quiet).drops.foreignDestination, targets.length);
    assert.deepEqual(lines.slice(before), []);
    await quiet.stop();
  });

  it('closes a stream that loses the framing, after what was right before it', async () => {
    const stream = await peer.connect(gateway.b32);
    const good = packet(peer.addresses.oc, gateway.addresses.oc, Buffer.from('good'));
    stream.resume();
    stream.write(Buffer.concat([keepalive(peer), good, Buffer.from([0x00]), good]));
    await once(stream, 'end');
    assert.deepEqual(gateway.tun.delivered, [good]);
  });

  it('closes a stream that is neither packets nor a flow', async () => {
    const stream = await peer.connect(gateway.b32);
    stream.resume();
    stream.write('GET / HTTP/1.1\r\n\r\n');
    await once(stream, 'end');
    assert.equal(gateway.gateway.inbound.counters().refusedFirstByte, 1);
  });

  it('speaks with an OnionCat: answers on the stream that it dialled, and sends it no flows', async () => {
    const dialled = await peer.accept();
    assert.equal(dialled.from.b32, gateway.b32);
    const stream = await peer.connect(gateway.b32);
    stream.write(onionCatKeepalive(peer, gateway));
    await until('the link is up', () => link(gateway).state.kind === 'up');
    assert.deepEqual(link(gateway).state, { kind: 'up', direction: 'in' });

    const outward = packet(gateway.addresses.oc, peer.addresses.oc, randomBytes(600));
    gateway.tun.send(outward);
    assert.ok((await readAtLeast(stream, outward.length)).includes(outward));

    // A TCP connection to such a peer goes through the TUN, for which a loopback server stands in.
    const server = await loopbackServer((client) => client.end('by the TUN'));
    gateway.serve(peer.addresses.oc, 80, server);
    const { socket } = await SocksClient.createConnection(request(gateway, formatAddress(peer.addresses.oc), 80));
    assert.equal((await readAtLeast(socket, 10)).toString(), 'by the TUN');
    socket.destroy();
    await closeServer(server);
  });

  it('keeps no flow whose carrier ended while its service was being asked', async () => {
    const server = await loopbackServer((client) => client.resume());
    gateway.serve(gateway.addresses.oc, 80, server);
    for (let round = 0; round < 30; round += 1) {
      const stream = await peer.connect(gateway.b32);
      stream.resume();
      stream.end(Buffer.from([0xf6, 1, 0, 80, 0]));
    }
    await until('all flows were taken', () => gateway.gateway.flows.counters().joined === 30);
    await until('none is left', () => gateway.gateway.relay.active <= 1);
    await closeServer(server);
  });

  it('stops at once in the middle of a name lookup', async () => {
    bridge.misbehave({ on: 'NAMING LOOKUP', action: { kind: 'silence' } });
    const asking = SocksClient.createConnection(request(gateway, 'slow.i2p', 80)).catch(() => {});
    await until('it was asked', () => bridge.commands.some(({ line }) => line.startsWith('NAMING')));
    const startedAt = performance.now();
    await gateway.stop();
    await asking;
    assert.ok(performance.now() - startedAt < 3_000);
    await until('only the raw peer is left', () => bridge.openSockets <= 1);
  });

  it('lets a gateway without a TUN reach a TCP service of its peer, by flow', async () => {
    const keys = generateKeys();
    const far = await startGateway({ bridge, peers: [keys.destination.b32] });
    const near = await startGateway({ bridge, keys, peers: [far.b32], vpn: false });
    await until('the far one accepts', () => far.gateway.accepting.armed > 0);
    const server = await loopbackServer((client) => client.end('without a TUN'));
    far.serve(far.addresses.oc, 80, server);
    const { socket } = await SocksClient.createConnection(request(near, formatAddress(far.addresses.oc), 80));
    assert.equal((await readAtLeast(socket, 13)).toString(), 'without a TUN');
    socket.destroy();
    await Promise.all([near.stop(), far.stop()]);
    await closeServer(server);
  });

  it('reaches a service of a stranger by b32 and by name, and the reply survives the end of the request', async () => {
    const service = await rawPeer(bridge);
    network.addressBook.set('service.i2p', service.keys.destination.base64);
    for (const host of [`${service.b32}.b32.i2p`, 'service.i2p', 'SERVICE.i2p.']) {
      const accepting = service.accept();
      const { socket } = await SocksClient.createConnection(request(gateway, host, 80));
      socket.allowHalfOpen = true;
      socket.end('request');
      const { stream, from } = await accepting;
      assert.equal(from.b32, gateway.b32, 'without credentials the gateway is seen');
      assert.equal((await readAtLeast(stream, 7)).toString(), 'request');
      stream.end('the whole reply');
      assert.equal((await readAtLeast(socket, 15)).toString(), 'the whole reply');
      socket.destroy();
    }
    service.close();
  });

  it('gives each pair of credentials a destination of its own, and the same to the same', async () => {
    const service = await rawPeer(bridge);
    const seen: string[] = [];
    for (const userId of ['ann', 'ben', 'ann']) {
      const accepting = service.accept();
      const proxy = { host: '127.0.0.1', port: gateway.socksPort, type: 5 as const, userId, password: 'x' };
      const { socket } = await SocksClient.createConnection({
        ...request(gateway, `${service.b32}.b32.i2p`, 80),
        proxy,
      });
      seen.push((await accepting).from.b32);
      socket.destroy();
    }
    assert.equal(new Set([...seen, gateway.b32]).size, 3);
    assert.equal(seen[0], seen[2]);
    service.close();
  });

  it('never logs a destination, a name or an address, at the most talkative level', async () => {
    const service = await rawPeer(bridge);
    network.addressBook.set('marked-name.i2p', service.keys.destination.base64);
    const accepting = service.accept();
    const { socket } = await SocksClient.createConnection(request(gateway, 'marked-name.i2p', 80));
    await accepting;
    socket.destroy();
    await assert.rejects(SocksClient.createConnection(request(gateway, 'unknown-name.i2p', 80)));
    bridge.dropSession(bridge.sessions.find(({ b32 }) => b32 === gateway.b32)?.id ?? '');
    await until('the loss is logged', () => log.some((line) => line.includes('session lost')));
    const text = log.join('');
    const marks = ['marked-name', 'unknown-name', gateway.b32, peer.b32, service.b32, 'fd60:'];
    const secrets = [gateway.keys, peer.keys].map(({ blob }) => blob.reveal().slice(-60));
    for (const mark of [...marks, ...secrets]) assert.ok(!text.includes(mark), `the log holds ${mark}`);
    service.close();
  });
});

function keepalive(from: RawPeer, to = gateway): Buffer {
  return encodeKeepalive({
    source: from.addresses.oc,
    destination: to.addresses.oc,
    flowLabel: 1,
    name: from.b32,
    announcement: { wantsAnswer: false, knowsFlows: true },
  });
}

/** As an OnionCat 4.11 sends it: 62 bytes of payload, nothing behind the NUL. */
function onionCatKeepalive(from: RawPeer, to: RunningGateway): Buffer {
  const name = Buffer.from(`\x01${from.b32}.b32.i2p\0`, 'latin1');
  const header = packet(from.addresses.ocat4, to.addresses.ocat4, name);
  header[6] = 59;
  header[7] = 1;
  return header;
}

function link(gateway: RunningGateway) {
  const [first] = gateway.gateway.vpn?.links() ?? [];
  assert.ok(first !== undefined);
  return first;
}

function bytesOf(text: string): Buffer {
  const groups = text.split('::');
  const half = (part = '') => part.split(':').filter((group) => group !== '');
  const [left, right] = [half(groups[0]), half(groups[1])];
  const zeros = Array.from({ length: 8 - left.length - right.length }, () => '0');
  const all = groups.length === 1 ? left : [...left, ...zeros, ...right];
  return Buffer.from(all.map((group) => group.padStart(4, '0')).join(''), 'hex');
}

function request(via: RunningGateway, host: string, port: number) {
  return {
    proxy: { host: '127.0.0.1', port: via.socksPort, type: 5 as const },
    command: 'connect' as const,
    destination: { host, port },
    timeout: 20_000,
  };
}

function readAtLeast(stream: Duplex, count: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    const onData = (part: Buffer) => {
      parts.push(part);
      if (Buffer.concat(parts).length < count) return;
      stream.off('data', onData);
      resolve(Buffer.concat(parts));
    };
    stream.on('data', onData);
    stream.on('error', reject);
    stream.resume();
  });
}

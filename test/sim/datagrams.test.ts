/** UDP ASSOCIATE on two whole gateways: clients exchange datagrams both ways, over every pair of routers and ways into them. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, it } from 'node:test';
import type { DatagramPortChoice } from '../../src/config/values.ts';
import { addressesOf, shortNameOf } from '../../src/wire/i2p/address.ts';
import { type B32, parseB32 } from '../../src/wire/i2p/destination.ts';
import { FakeBridge } from '../helpers/fake-bridge/bridge.ts';
import { FakeNetwork } from '../helpers/fake-bridge/network.ts';
import type { TemperamentName } from '../helpers/fake-bridge/temperament.ts';
import { UdpClient, udpHeader } from '../helpers/udp-client.ts';
import { until } from '../helpers/until.ts';
import { generateKeys, type RunningGateway, startGateway } from './gateway-kit.ts';

const open: { stop(): Promise<void> }[] = [];
const clients: UdpClient[] = [];

afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  for (const one of open.splice(0).reverse()) await one.stop();
});

async function gateway(
  network: FakeNetwork,
  temperament: TemperamentName,
  more: {
    readonly datagrams?: DatagramPortChoice;
    readonly config?: string;
    readonly idle?: string;
    readonly peers?: readonly B32[];
  } = {},
): Promise<{ readonly bridge: FakeBridge; readonly gate: RunningGateway }> {
  const bridge = await FakeBridge.start({ network, temperament });
  open.push(bridge);
  const { datagrams, config = '', idle, peers = [] } = more;
  const gate = await startGateway({
    bridge,
    vpn: false,
    peers,
    config: `${idle === undefined ? '' : `idle_timeout = "${idle}"`}\n${config}`,
    ...(datagrams === undefined ? {} : { datagrams }),
  });
  open.push(gate);
  return { bridge, gate };
}

async function client(gate: RunningGateway, credentials?: { user: string; password: string }): Promise<UdpClient> {
  const one = await UdpClient.associate({ host: '127.0.0.1', port: gate.socksPort }, credentials);
  clients.push(one);
  return one;
}

/** The destination of the newest session for datagrams at this bridge. */
async function datagramB32(bridge: FakeBridge): Promise<string> {
  const find = () => bridge.sessions.filter(({ style }) => style === 'DATAGRAM').at(-1)?.b32;
  await until('there is a session for datagrams', () => find() !== undefined);
  return find() ?? '';
}

function ocAddress(b32: string): string {
  return addressesOf(parseB32(b32)).oc.toString('hex');
}

function counts(gate: RunningGateway): Record<string, number> {
  const all: Readonly<Record<string, number>> = gate.gateway.socks[0]?.snapshot().udp?.counts ?? {};
  return Object.fromEntries(Object.entries(all).filter(([, count]) => count > 0));
}

const PAIRS: ReadonlyArray<readonly [TemperamentName, TemperamentName, string, DatagramPortChoice | undefined]> = [
  ['i2pd-2.45', 'i2pd-2.45', 'over UDP', undefined],
  ['i2pd-2.45', 'i2pd-2.45', 'over TCP', { kind: 'off' }],
  ['i2pd-2.59', 'java', 'over UDP', undefined],
  ['java', 'java', 'over UDP', undefined],
  ['java', 'java', 'over TCP', { kind: 'off' }],
];

for (const [first, second, how, datagrams] of PAIRS) {
  describe(`datagrams between clients on ${first} and ${second}, ${how}`, () => {
    it('travel both ways, with sources that can be answered to', async () => {
      const network = new FakeNetwork();
      const more = datagrams === undefined ? {} : { datagrams };
      const a = await gateway(network, first, more);
      const b = await gateway(network, second, more);
      const [alice, bob] = [await client(a.gate), await client(b.gate)];
      const [b32OfAlice, b32OfBob] = [await datagramB32(a.bridge), await datagramB32(b.bridge)];
      const bobPort = bob.udp.address().port;

      alice.send(`${b32OfBob}.b32.i2p`, bobPort, Buffer.from('hello'));
      const hello = await bob.receive('the first datagram');
      assert.equal(hello.payload.toString(), 'hello');
      assert.equal(hello.host, ocAddress(b32OfAlice));
      const portsTravel = first === 'java' && second === 'java';
      assert.equal(hello.port, portsTravel ? alice.udp.address().port : 0);

      bob.send(hello.host, hello.port, Buffer.from('and back'));
      const back = await alice.receive('the answer');
      assert.deepEqual(back, { host: ocAddress(b32OfBob), port: bobPort, payload: Buffer.from('and back') });

      // By the address that the answer came from, and by its name.
      alice.send(back.host, back.port, Buffer.from('by address'));
      assert.equal((await bob.receive('by address')).payload.toString(), 'by address');
      const short = `${shortNameOf(addressesOf(parseB32(b32OfBob)).oc)}.oc.b32.i2p`;
      alice.send(short, back.port, Buffer.from('by short name'));
      assert.equal((await bob.receive('by short name')).payload.toString(), 'by short name');
      assert.deepEqual(counts(a.gate), { sent: 3, received: 1 });
      assert.deepEqual(counts(b.gate), { sent: 1, received: 3 });
    });

    it('arrive whole up to the largest, and what is larger is refused', async () => {
      const network = new FakeNetwork();
      const more = datagrams === undefined ? {} : { datagrams };
      const a = await gateway(network, first, more);
      const b = await gateway(network, second, more);
      const [alice, bob] = [await client(a.gate), await client(b.gate)];
      const name = `${await datagramB32(b.bridge)}.b32.i2p`;
      const largest = datagrams !== undefined && first !== 'java' ? 7600 : 31_744;
      for (const size of [1, 2, 100, 1200, 7600, largest]) {
        const payload = randomBytes(size);
        alice.send(name, bob.udp.address().port, payload);
        assert.deepEqual((await bob.receive(`${size} bytes`)).payload, payload);
      }
      alice.send(name, 7, randomBytes(largest + 1));
      alice.send(name, 7, Buffer.alloc(0));
      await until('both are counted', () => counts(a.gate)['oversize'] === 1 && counts(a.gate)['empty'] === 1);
    });
  });
}

describe('an association', () => {
  it('ends with its connection, and gives its session back', async () => {
    const { gate } = await gateway(new FakeNetwork(), 'i2pd-2.45');
    const one = await client(gate);
    const associations = () => gate.gateway.socks[0]?.snapshot().udp?.associations;
    assert.equal(associations(), 1);
    one.control.end();
    await until('the association is gone', () => associations() === 0);
    assert.equal(gate.gateway.datagrams.list()[0]?.users, 0);
    // Nobody listens at its port any more: the kernel says so to a connected socket.
    const probe = createSocket('udp4');
    let refused = false;
    probe.once('error', () => {
      refused = true;
    });
    await new Promise<void>((resolve) => probe.connect(one.relay.port, one.relay.address, resolve));
    await until('the port is closed', () => {
      if (!refused) probe.send('x', () => {});
      return refused;
    });
    probe.close();
  });

  it('is answered with the address that the client has reached, and only up to the limits', async () => {
    const config = '[limits]\nassociations = 2';
    const { gate } = await gateway(new FakeNetwork(), 'i2pd-2.45', { config });
    const one = await client(gate);
    assert.equal(one.relay.address, '127.0.0.1');
    await client(gate);
    await assert.rejects(client(gate), /answered with 1/);
    one.control.end();
    await until('there is room again', () => gate.gateway.socks[0]?.snapshot().udp?.associations === 1);
    await client(gate);
  });

  it('is one of so many of its listener, however many all listeners may have', async () => {
    const config = 'udp_associations = 2\n[[socks]]\nlisten = "127.0.0.1:0"';
    const { gate } = await gateway(new FakeNetwork(), 'i2pd-2.45', { config });
    await client(gate);
    await client(gate);
    await assert.rejects(client(gate), /answered with 1/);
    const port = Number(gate.gateway.socks[1]?.snapshot().where.split(':').at(-1));
    clients.push(await UdpClient.associate({ host: '127.0.0.1', port }));
  });

  it('over IPv6 is answered with an IPv6 address, and one on a unix socket is refused', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'garligate-'));
    const path = join(directory, 'socks.sock');
    const config = `[[socks]]\nlisten = "[::1]:0"\n[[socks]]\nlisten = "unix:${path}"`;
    const { gate } = await gateway(new FakeNetwork(), 'i2pd-2.45', { config });
    const port = Number(gate.gateway.socks[1]?.snapshot().where.split(':').at(-1));
    const one = await UdpClient.associate({ host: '::1', port });
    clients.push(one);
    assert.equal(one.relay.address, '0000:0000:0000:0000:0000:0000:0000:0001');
    one.send('10.0.0.1', 53, Buffer.from('x'));
    await until('it was taken', () => gate.gateway.socks[1]?.snapshot().udp?.counts.policyRefused === 1);

    const local = connect({ path });
    const reply: Buffer[] = [];
    local.on('data', (chunk: Buffer) => reply.push(chunk));
    local.write(Buffer.of(5, 1, 0, 5, 3, 0, 1, 0, 0, 0, 0, 0, 0));
    await until('it is answered', () => Buffer.concat(reply).length >= 12);
    assert.deepEqual(Buffer.concat(reply), Buffer.of(5, 0, 5, 7, 0, 1, 0, 0, 0, 0, 0, 0));
    local.destroy();
    await rm(directory, { recursive: true });
  });

  for (const fact of ['destination', 'port'] as const) {
    it(`has another sender for each ${fact}, where those are kept apart, and none before its first datagram`, async () => {
      const network = new FakeNetwork();
      const b = await gateway(network, 'i2pd-2.45');
      const bob = await client(b.gate);
      const bobs = `${await datagramB32(b.bridge)}.b32.i2p`;
      const before = b.bridge.sessions.length;
      const ben = await client(b.gate, { user: 'ben', password: '' });
      await until('ben has a session of his own', () => b.bridge.sessions.length > before);
      const bens = `${await datagramB32(b.bridge)}.b32.i2p`;
      const a = await gateway(network, 'i2pd-2.45', { config: `identity = "isolated"\nisolate = ["${fact}"]` });
      const ann = await client(a.gate);
      const seenBy = async (one: UdpClient, name: string, port: number) => {
        ann.send(name, port, Buffer.from('who am I?'));
        return (await one.receive(`a datagram to port ${port}`)).host;
      };
      const senders = [await seenBy(bob, bobs, 7), await seenBy(bob, bobs, 8), await seenBy(ben, bens, 7)];
      const [first, otherPort, otherDestination] = senders;
      assert.equal(new Set(senders).size, 2);
      assert.equal(first === otherPort, fact === 'destination');
      assert.equal(first === otherDestination, fact === 'port');
      assert.equal(a.gate.gateway.datagrams.list().length, 2);
    });
  }

  it('that nobody uses ends by itself', async () => {
    const { gate } = await gateway(new FakeNetwork(), 'i2pd-2.45', { idle: '1s' });
    const one = await client(gate);
    await once(one.control, 'close');
    await until('its place is free', () => gate.gateway.socks[0]?.snapshot().udp?.associations === 0);
  });

  it('drops what is not for I2P, not whole, or not of its client, and counts each by its cause', async () => {
    const { gate } = await gateway(new FakeNetwork(), 'i2pd-2.45');
    const one = await client(gate);
    const x = Buffer.from('x');
    one.send('127.0.0.1', 53, x);
    one.send('example.com', 53, x);
    one.send('fd000000000000000000000000000001', 53, x);
    one.send('nobody.i2p', 53, x);
    one.send('fd60db4dddb500000000000000000001', 53, x);
    one.sendRaw(Buffer.concat([Buffer.of(0, 0, 1), udpHeader('x.i2p', 53).subarray(3), x]));
    one.sendRaw(Buffer.of(0, 0, 0));
    one.sendRaw(Buffer.of(0, 0, 0, 9, 1, 2, 3, 4, 0, 53, 1));
    const stranger = createSocket('udp4');
    stranger.send(Buffer.concat([udpHeader('x.i2p', 53), x]), one.relay.port, one.relay.address);
    // The client's own port, on another address.
    const twin = createSocket('udp4');
    await new Promise<void>((resolve) => twin.bind(one.udp.address().port, '127.0.0.2', resolve));
    twin.send(Buffer.concat([udpHeader('x.i2p', 53), x]), one.relay.port, one.relay.address);
    const wanted = { policyRefused: 3, nameFailed: 1, unknownAddress: 1, fragment: 1, malformed: 2, foreignSource: 2 };
    await until('all are counted', () => Object.values(counts(gate)).reduce((sum, count) => sum + count, 0) >= 10);
    assert.deepEqual(counts(gate), wanted);
    assert.equal(gate.gateway.socks[0]?.snapshot().counts.dnsLeak, 2);
    stranger.close();
    twin.close();
  });

  it('hears nobody whom the lists of its listener deny, and whom it asked by an allowed name it can answer', async () => {
    const network = new FakeNetwork();
    const b = await gateway(network, 'i2pd-2.45');
    const bob = await client(b.gate);
    const bobs = `${await datagramB32(b.bridge)}.b32.i2p`;
    const denying = await gateway(network, 'i2pd-2.45', { config: `destinations = { deny = ["${bobs}"] }` });
    const allowing = await gateway(network, 'i2pd-2.45', {
      config: `destinations = { allow = ["bob.i2p"] }\nports = { allow = ["7"] }\n[names]\n"bob.i2p" = "${bobs}"`,
    });
    const [ann, eve] = [await client(allowing.gate), await client(denying.gate)];
    const eves = await datagramB32(denying.bridge);

    eve.send('10.0.0.1', 7, Buffer.from('here I am'));
    bob.send(`${eves}.b32.i2p`, 7, Buffer.from('for eve'));
    await until('it was kept from the client', () => counts(denying.gate)['policyRefused'] === 2);
    eve.send(ocAddress(bobs.slice(0, 52)), 7, Buffer.from('to bob'));
    await until('there is nobody at the address', () => counts(denying.gate)['unknownAddress'] === 1);
    assert.deepEqual([eve.received, bob.received], [[], []]);

    ann.send('bob.i2p', 7, Buffer.from('hello'));
    const hello = await bob.receive('a datagram to an allowed name');
    bob.send(hello.host, hello.port, Buffer.from('and back'));
    const back = await ann.receive('the answer');
    ann.send(back.host, back.port, Buffer.from('by address'));
    assert.equal((await bob.receive('the answer to the answer')).payload.toString(), 'by address');
    assert.deepEqual(counts(allowing.gate), { sent: 2, received: 1 });
  });

  it('of other credentials has another destination, of the same credentials the same', async () => {
    const network = new FakeNetwork();
    const a = await gateway(network, 'java');
    const b = await gateway(network, 'java');
    const bob = await client(b.gate);
    const name = `${await datagramB32(b.bridge)}.b32.i2p`;
    const hosts: string[] = [];
    for (const user of ['ann', 'ben', 'ann']) {
      const one = await client(a.gate, { user, password: 'p' });
      one.send(name, bob.udp.address().port, Buffer.from(user));
      hosts.push((await bob.receive(user)).host);
    }
    assert.equal(hosts[0], hosts[2]);
    assert.notEqual(hosts[0], hosts[1]);
    assert.notEqual(hosts[0], a.gate.addresses.oc.toString('hex'));
  });

  it('survives lost, doubled and late datagrams, and a session that is built anew', async () => {
    const network = new FakeNetwork();
    network.treatDatagrams((count) => (['delivered', 'lost', 'twice', 'late'] as const)[count % 4] ?? 'delivered');
    const a = await gateway(network, 'i2pd-2.45');
    const b = await gateway(network, 'i2pd-2.45');
    const [alice, bob] = [await client(a.gate), await client(b.gate)];
    const name = `${await datagramB32(b.bridge)}.b32.i2p`;
    for (let count = 1; count <= 8; count += 1) {
      alice.send(name, 1, Buffer.of(count));
      await until(`${count} sent`, () => counts(a.gate)['sent'] === count);
    }
    await until('all that is to come', () => bob.received.length === 8);
    assert.deepEqual(
      bob.received.splice(0).map(({ payload }) => payload[0]),
      [2, 2, 4, 3, 6, 6, 8, 7],
    );
    network.treatDatagrams(() => 'delivered');
    const [old] = a.bridge.sessions.filter(({ style }) => style === 'DATAGRAM');
    a.bridge.dropSession(old?.id ?? '');
    await until('it was noticed', () => gateDatagramState(a.gate) !== 'ready');
    alice.send(name, 1, Buffer.from('again'));
    const { host } = await bob.receive('a datagram over the new session');
    assert.notEqual(host, ocAddress(old?.b32 ?? ''));
  });

  it('goes over the TCP connection where nobody listens at the UDP port', async () => {
    const network = new FakeNetwork();
    const a = await gateway(network, 'i2pd-2.45');
    const b = await gateway(network, 'i2pd-2.45');
    await a.bridge.closeUdp();
    const [alice, bob] = [await client(a.gate), await client(b.gate)];
    const name = `${await datagramB32(b.bridge)}.b32.i2p`;
    await datagramB32(a.bridge);
    await until('one gets through', () => {
      alice.send(name, 1, Buffer.from('at last'));
      return bob.received.length > 0;
    });
    assert.ok(a.bridge.commands.some(({ line }) => line.startsWith('DATAGRAM SEND')));
  });
});

describe('datagrams in the name of', () => {
  const ISOLATED = 'identity = "isolated"\ntunnels = { inbound = { length = 3 } }';
  const NAMED = 'identity = "mail"\n[identities.mail]\ntunnels = { inbound = { length = 2 } }';
  for (const [who, config, length, refused] of [
    ['the gateway', '', '1', 'needsTun'],
    ['a named identity', NAMED, '2', 'policyRefused'],
    ['an isolated one', ISOLATED, '3', 'policyRefused'],
  ] as const) {
    it(`${who} have the tunnels that it is to have, and ${refused === 'needsTun' ? 'may go' : 'never go'} to a peer`, async () => {
      const network = new FakeNetwork();
      const peer = generateKeys().destination;
      network.addressBook.set('friend.i2p', peer.base64);
      const tunnels = '[tunnels]\ninbound = { length = 1 }';
      const { bridge, gate } = await gateway(network, 'i2pd-2.45', {
        config: `${config}\n${tunnels}`,
        peers: [peer.b32],
      });
      const app = await client(gate);
      await datagramB32(bridge);
      const session = bridge.sessions.find(({ style }) => style === 'DATAGRAM');
      assert.equal(session?.options['inbound.length'], length);
      const ways = [
        `${peer.b32}.b32.i2p`,
        'peer0.peer.b32.i2p',
        addressesOf(peer.b32).oc.toString('hex'),
        'friend.i2p',
      ];
      for (const host of ways) app.send(host, 53, Buffer.from('x'));
      await until('all were dropped', () => counts(gate)[refused] === ways.length);
      assert.deepEqual(counts(gate), { [refused]: ways.length });
    });
  }
});

function gateDatagramState(gate: RunningGateway): string | undefined {
  return gate.gateway.datagrams.list()[0]?.state.kind;
}

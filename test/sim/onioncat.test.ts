/** A gateway and an OnionCat, which is played after its wire description: in its good moods and in its bad ones. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { SocksClient } from 'socks';
import { systemClock } from '../../src/io/clock.ts';
import type { Clock } from '../../src/kit/clock.ts';
import { addressesOf, formatAddress } from '../../src/wire/i2p/address.ts';
import { flowLabelOf } from '../../src/wire/packet/ipv6.ts';
import { encodeKeepalive } from '../../src/wire/packet/keepalive.ts';
import { FakeBridge } from '../helpers/fake-bridge/bridge.ts';
import { FakeNetwork } from '../helpers/fake-bridge/network.ts';
import { FakeClock } from '../helpers/fake-clock.ts';
import { OnionCat, type OnionCatOptions } from '../helpers/onioncat.ts';
import { until } from '../helpers/until.ts';
import { closeServer, loopbackServer, type RunningGateway, startGateway } from './gateway-kit.ts';
import { packet } from './packets.ts';
import { type RawPeer, rawPeer } from './raw-peer.ts';

interface Meeting {
  /** Whether the gateway knows the destination of the OnionCat's SOCKS tunnel. */
  readonly inbound?: 'listed' | 'unverified' | 'its own';
  readonly connect?: 'always' | 'demand';
  readonly cat?: Partial<OnionCatOptions>;
  readonly clock?: Clock;
}

describe('a gateway and an OnionCat', () => {
  let bridge: FakeBridge;
  let network: FakeNetwork;
  let gateway: RunningGateway;
  let cat: OnionCat;
  /** Its server tunnel, and the SOCKS tunnel that it dials through. */
  let server: RawPeer;
  let socks: RawPeer;

  beforeEach(async () => {
    network = new FakeNetwork();
    bridge = await FakeBridge.start({ network, temperament: 'i2pd-2.45' });
    server = await rawPeer(bridge);
    socks = await rawPeer(bridge);
  });

  afterEach(async () => {
    cat.stop();
    for (const one of [server, socks]) one.close();
    await gateway.stop();
    await bridge.stop();
    assert.equal(cat.badData, 0, 'the gateway never made it lose the framing');
  });

  async function meet({ inbound = 'listed', connect = 'demand', cat: mood, clock }: Meeting = {}): Promise<void> {
    const origins = { listed: `["${socks.b32}.b32.i2p"]`, unverified: '"unverified"', 'its own': '[]' }[inbound];
    const config = [
      `[[peer]]\nname = "cat"\ndestination = "${server.b32}.b32.i2p"\nconnect = "${connect}"`,
      `compat = "onioncat4"\ninbound = ${origins}`,
    ].join('\n');
    gateway = await startGateway({ bridge, config, ...(clock === undefined ? {} : { clock }) });
    cat = new OnionCat({
      name: server.b32,
      clock: clock ?? systemClock,
      dial: (to) => (inbound === 'its own' ? server : socks).connect(to),
      accept: async () => (await server.accept()).stream,
      ...mood,
    });
    cat.start();
    await until('the gateway accepts', () => gateway.gateway.accepting.armed > 0);
  }

  const toCat = (text: string) => packet(gateway.addresses.ocat4, cat.address, Buffer.from(text));
  const toGateway = (text: string) => packet(cat.address, gateway.addresses.ocat4, Buffer.from(text));
  const link = () => {
    const [first] = gateway.gateway.vpn?.links() ?? [];
    assert.ok(first !== undefined);
    return first;
  };
  const ofKind = (kind: number) => cat.delivered.filter((one) => one[6] === kind);
  const keepalives = () => ofKind(59);
  const packetsAtCat = () => ofKind(253);

  it('when the gateway dials, the first packet is kept until the OnionCat has dialled back, and goes out there', async () => {
    await meet();
    gateway.tun.send(toCat('first'));
    await until('it arrives', () => packetsAtCat().length === 1);
    assert.deepEqual(packetsAtCat(), [toCat('first')]);
    assert.deepEqual(cat.dials, [gateway.b32]);
    const [said] = keepalives();
    assert.ok(said !== undefined);
    const expected = encodeKeepalive({
      source: gateway.addresses.ocat4,
      destination: addressesOf(server.b32).ocat4,
      flowLabel: flowLabelOf(said),
      name: gateway.b32,
      announcement: undefined,
    });
    assert.deepEqual([said.length, said], [102, expected]);
    cat.send(toGateway('answer'));
    assert.deepEqual(await gateway.tun.has(1), [toGateway('answer')]);
    assert.deepEqual(link().state, { kind: 'up', direction: 'in' });
    assert.equal(cat.peers.filter(({ direction }) => direction === 'out').length, 1);
  });

  it('connections of SOCKS clients to it, which take the way through the interface, end when it is no peer any more', async () => {
    await meet();
    const service = await loopbackServer((client) => {
      client.on('error', () => {}); // However it ends.
      client.on('end', () => client.destroy()).resume();
      client.write('hello');
    });
    gateway.serve(addressesOf(server.b32).ocat4, 80, service);
    const { socket } = await SocksClient.createConnection({
      proxy: { host: '127.0.0.1', port: gateway.socksPort, type: 5 },
      command: 'connect',
      destination: { host: formatAddress(cat.address), port: 80 },
    });
    socket.on('error', () => {}); // However it ends.
    const [hello] = await once(socket, 'data');
    assert.equal(String(hello), 'hello');
    await gateway.gateway.changePeers(gateway.gateway.peers.plan([]));
    await until('the client is told', () => socket.destroyed);
    await closeServer(service);
  });

  for (const inbound of ['listed', 'its own'] as const) {
    it(`when the OnionCat dials (${inbound} origin), one stream serves both ways`, async () => {
      await meet({ inbound });
      cat.knows(gateway.b32);
      cat.send(toGateway('lost, as with every OnionCat'));
      await until('it has dialled', () => link().state.kind === 'up');
      cat.send(toGateway('hello'));
      await gateway.tun.has(1);
      gateway.tun.send(toCat('hello yourself'));
      await until('it arrives', () => packetsAtCat().length === 1);
      assert.deepEqual(cat.dials, [gateway.b32]);
      assert.equal(cat.peers.length, 1);
      assert.equal(link().traffic.dials, 0);
    });
  }

  it('with an unknown origin there are two streams, and ours is the one that we opened', async () => {
    await meet({ inbound: 'unverified' });
    cat.knows(gateway.b32);
    cat.send(toGateway('lost'));
    await until('it has dialled', () => cat.peers.length === 1);
    cat.send(toGateway('hello'));
    await gateway.tun.has(1);
    gateway.tun.send(toCat('hello yourself'));
    await until('it arrives', () => packetsAtCat().length === 1);
    assert.deepEqual(
      cat.peers.map(({ direction }) => direction),
      ['in', 'out'],
    );
    assert.deepEqual(link().state, { kind: 'up', direction: 'out' });
  });

  it('one in -U mode answers on the stream that we opened', async () => {
    await meet({ cat: { bidirectional: true } });
    gateway.tun.send(toCat('first'));
    await until('the stream is open', () => cat.peers.length === 1 && cat.peers[0]?.identified === true);
    cat.send(toGateway('answer'));
    await gateway.tun.has(1);
    await until('it arrives', () => packetsAtCat().length === 1);
    assert.deepEqual([cat.dials, link().state], [[], { kind: 'up', direction: 'out' }]);
  });

  it('one that was started with a 16-character name opens with a bare header, and is understood', async () => {
    await meet({ cat: { shortName: true } });
    gateway.tun.send(toCat('first'));
    await until('it arrives', () => packetsAtCat().length === 1);
    cat.send(toGateway('answer'));
    await gateway.tun.has(1);
  });

  it('one that never dials back is not up, and the reason is told', async () => {
    const clock = new FakeClock();
    await meet({ cat: { mute: true }, clock });
    gateway.tun.send(toCat('first'));
    await until('it was dialled', () => cat.peers.length === 1);
    assert.equal(link().state.kind, 'dialing');
    await passes(clock, 33);
    assert.equal(link().lastError?.error.code, 'link.silent');
    assert.equal(packetsAtCat().length, 0);
  });

  it('an idle link ends after 180 s, and the next packet brings a new one', async () => {
    const clock = new FakeClock();
    await meet({ clock });
    gateway.tun.send(toCat('first'));
    await until('it arrives', () => packetsAtCat().length === 1);
    await passes(clock, 60);
    assert.equal(link().state.kind, 'up');
    await passes(clock, 260);
    assert.equal(link().state.kind, 'idle');
    await until('nothing is left', () => cat.peers.every(({ over }) => over) && network.streams === 0);
    await passes(clock, 12);
    gateway.tun.send(toCat('second'));
    await until('it arrives', () => packetsAtCat().length === 2);
  });

  it('a link that is wanted outlives 180 s of silence: a keepalive comes more often than that', async () => {
    const clock = new FakeClock();
    await meet({ connect: 'always', clock });
    await until('it is up', () => link().state.kind === 'up');
    const stream = cat.peers.find(({ direction }) => direction === 'out')?.stream;
    await passes(clock, 900);
    assert.equal(stream?.destroyed, false);
    assert.equal(cat.dials.length, 1);
    assert.ok(keepalives().length >= 900 / 180, `${keepalives().length}`);
    assert.ok(keepalives().length <= 900 / 30, `${keepalives().length}`);
  });

  it('a permanent one may send its keepalives into the silence; none of them reaches the TUN', async () => {
    const clock = new FakeClock();
    await meet({ clock, cat: { permanent: [] } });
    cat.stop();
    cat = new OnionCat({
      name: server.b32,
      clock,
      dial: (to) => socks.connect(to),
      accept: () => new Promise(() => {}),
      permanent: [gateway.b32],
    });
    cat.start();
    await until('it is up', () => link().state.kind === 'up');
    await passes(clock, 700);
    assert.equal(link().state.kind, 'up');
    assert.deepEqual(gateway.tun.delivered, []);
  });

  it('a packet in pieces is delivered whole, half a packet is never', async () => {
    await meet();
    cat.knows(gateway.b32);
    cat.send(toGateway('lost'));
    await until('it has dialled', () => cat.peers.length === 1);
    const whole = packet(cat.address, gateway.addresses.ocat4, randomBytes(1_000));
    for (const byte of whole.subarray(0, 45)) cat.sendRaw(gateway.addresses.ocat4, Buffer.of(byte));
    cat.sendRaw(gateway.addresses.ocat4, whole.subarray(45, 700));
    assert.deepEqual(gateway.tun.delivered, []);
    cat.sendRaw(gateway.addresses.ocat4, whole.subarray(700));
    assert.deepEqual(await gateway.tun.has(1), [whole]);
    cat.sendRaw(gateway.addresses.ocat4, whole.subarray(0, 700));
    cat.peers[0]?.stream.destroy();
    await until('the stream is gone', () => link().state.kind !== 'up');
    assert.equal(gateway.tun.delivered.length, 1);
  });

  it('after a short write it has lost the framing: the stream is closed, and the next one works', async () => {
    await meet({ connect: 'always' });
    await until('it is up', () => link().state.kind === 'up');
    const first = cat.peers.find(({ direction }) => direction === 'out');
    assert.ok(first !== undefined);
    const long = packet(cat.address, gateway.addresses.ocat4, Buffer.alloc(600, 1));
    // The rest of the first packet is lost (its W9): what follows is eaten as its rest.
    cat.sendRaw(gateway.addresses.ocat4, long.subarray(0, 100));
    for (let count = 0; count < 40 && !first.over; count += 1) {
      cat.sendRaw(gateway.addresses.ocat4, packet(cat.address, gateway.addresses.ocat4, Buffer.alloc(30, 1)));
    }
    await until('the stream is closed', () => first.over);
    const corrupted = gateway.tun.delivered.length;
    assert.ok(corrupted <= 1, 'only what its own header made of the bytes behind it');
    assert.ok(gateway.tun.delivered.every((one) => one.subarray(8, 24).equals(cat.address)));
    await until('another one stands', () => cat.peers.some((one) => one !== first && !one.over), 20_000);
    cat.peers.splice(cat.peers.indexOf(first), 1);
    await until(
      'it works again',
      () => {
        cat.send(toGateway('again'));
        return gateway.tun.delivered.length > corrupted;
      },
      20_000,
    );
  });

  it('what it passes on in the name of others is dropped, whoever they are', async () => {
    await meet({ inbound: 'unverified' });
    cat.knows(gateway.b32);
    cat.send(toGateway('lost'));
    await until('it has dialled', () => cat.peers.length === 1);
    const own = gateway.addresses.ocat4;
    const sources = [own, gateway.addresses.oc, socks.addresses.ocat4, Buffer.alloc(16), Buffer.alloc(16, 0x20)];
    for (const source of sources) cat.sendRaw(own, packet(source, own, Buffer.from('spoofed')));
    cat.send(toGateway('its own'));
    assert.deepEqual(await gateway.tun.has(1), [toGateway('its own')]);
    assert.equal(link().drops.foreignSource, sources.length);
  });

  it('a stranger who claims to be it can bring packets in its name, but never gets one', async () => {
    await meet({ inbound: 'unverified' });
    const liar = await rawPeer(bridge);
    const stream = await liar.connect(gateway.b32);
    const heard: Buffer[] = [];
    stream.on('data', (bytes: Buffer) => heard.push(bytes));
    stream.write(Buffer.concat([cat.keepalive(gateway.addresses.ocat4, 1), toGateway('lie')]));
    await gateway.tun.has(1);
    gateway.tun.send(toCat('secret'));
    await until('it arrives at the real one', () => packetsAtCat().length === 1);
    assert.deepEqual(heard, []);
    liar.close();
  });

  it('of an unknown origin it loses nothing when the stream to it is replaced, and dials no other for that', async () => {
    const clock = new FakeClock();
    await meet({ inbound: 'unverified', connect: 'always', clock });
    await until('it is up', () => link().state.kind === 'up');
    const seconds = 310;
    for (let second = 0; second < seconds; second += 1) {
      gateway.tun.send(toCat(`${second}`));
      cat.send(toGateway(`${second}`));
      await passes(clock, 1);
    }
    await until('all have arrived', () => packetsAtCat().length === seconds);
    assert.deepEqual([link().traffic.dials, cat.dials.length], [2, 1]);
    // What the OnionCat might still have said on the old one is waited for.
    await passes(clock, 90);
    assert.equal(cat.peers.filter(({ direction, over }) => direction === 'in' && !over).length, 1);
    assert.equal((await gateway.tun.has(seconds)).length, seconds);
  });

  it('a stream that is reset in the middle of a packet loses only what was on it', async () => {
    const clock = new FakeClock();
    await meet({ connect: 'always', clock });
    await until('it is up', () => link().state.kind === 'up');
    const whole = packet(cat.address, gateway.addresses.ocat4, Buffer.alloc(500));
    cat.sendRaw(gateway.addresses.ocat4, whole.subarray(0, 99));
    network.cut(gateway.b32, 'reset');
    await until('it is noticed', () => link().state.kind !== 'up');
    // It still believes in its own stream for up to 10 s and does not dial back; a later stream of ours makes it.
    await passes(clock, 60);
    await until('it is up again', () => link().state.kind === 'up');
    assert.deepEqual(gateway.tun.delivered, []);
  });

  /** Seconds go by, and what is sent in one of them arrives in it: each hop over a socket needs a turn or two. */
  async function passes(clock: FakeClock, seconds: number): Promise<void> {
    for (let second = 0; second < seconds; second += 1) {
      await clock.advance(1_000);
      for (let hop = 0; hop < 8; hop += 1) await clock.settle();
    }
  }
});

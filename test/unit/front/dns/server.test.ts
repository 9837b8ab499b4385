import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createPeerTable } from '../../../../src/core/peers/table.ts';
import { createNameServer } from '../../../../src/front/dns/server.ts';
import { GateError } from '../../../../src/kit/errors.ts';
import { silentLogger } from '../../../../src/kit/log.ts';
import { type Address, formatAddress } from '../../../../src/wire/i2p/address.ts';
import { FakeClock } from '../../../helpers/fake-clock.ts';
import { FakeUdp } from '../../../helpers/fake-udp.ts';
import { own, peer } from '../../core/support.ts';

const NEVER = new AbortController().signal;
const ME = own(1);
const CAT = peer(2, { onionCat: { inbound: [] } });
const OTHER = peer(3);

interface Setting {
  readonly tellsPeers?: boolean;
  readonly refuse?: GateError;
  readonly refuses?: FakeUdp['refuses'];
}

async function setting({ tellsPeers = false, refuse, refuses = () => true }: Setting = {}) {
  const clock = new FakeClock();
  const udp = new FakeUdp();
  udp.refuse = refuse;
  udp.refuses = refuses;
  const peers = createPeerTable([CAT, OTHER], ME.addresses);
  /** What was told, in order. */
  const ports: (readonly number[])[] = [];
  const server = createNameServer({
    own: ME,
    peers,
    tellsPeers,
    udp,
    clock,
    log: silentLogger,
    portsChanged: () => ports.push(server.ports()),
  });
  await server.start(NEVER);
  const ask = (about: Buffer, from: Buffer = CAT.addresses.ocat4, to: Address = ME.addresses.ocat4, port = 53) =>
    udp.receive(question(about), to, port, from);
  return { clock, udp, server, ask, peers, ports };
}

function question(about: Buffer): Buffer {
  const labels = [...about.toString('hex')].reverse().map((digit) => `\x01${digit}`);
  return Buffer.concat([
    Buffer.from('123400000001000000000000', 'hex'),
    Buffer.from(`${labels.join('')}\x03ip6\x04arpa\0\0\x0c\0\x01`, 'latin1'),
  ]);
}

function said({ sent }: FakeUdp): string {
  return sent.map(({ bytes }) => bytes.toString('latin1')).join('');
}

test('listens on both of our addresses, on 53 and for older OnionCats on 8060, and closes with the gateway', async () => {
  const { udp, server, ask, clock } = await setting();
  for (const to of [ME.addresses.oc, ME.addresses.ocat4]) {
    for (const port of [53, 8060]) assert.ok(ask(to, CAT.addresses.ocat4, to, port));
  }
  assert.equal(udp.bound.size, 4);
  assert.equal(server.counters().answered, 4);
  for (const { to, bytes } of udp.sent) {
    assert.deepEqual(to, { address: formatAddress(CAT.addresses.ocat4), port: 40_000 });
    assert.ok(bytes.toString('latin1').includes(ME.b32));
  }
  await server.stop();
  assert.deepEqual([udp.bound.size, clock.pending], [0, 0]);
});

test('answers OnionCats among the peers, and nobody else', async () => {
  const { udp, server, ask } = await setting();
  const strangers = [
    peer(9).addresses.oc,
    OTHER.addresses.oc,
    OTHER.addresses.ocat4,
    ME.addresses.oc,
    Buffer.from('20010db8000000000000000000000001', 'hex'),
    // The same 80 bits in another network.
    Buffer.concat([Buffer.from('fe8000000000', 'hex'), CAT.addresses.ocat4.subarray(6)]),
  ];
  for (const from of strangers) ask(ME.addresses.oc, from);
  assert.equal(udp.sent.length, 0);
  assert.equal(server.counters().notAPeer, strangers.length);
  ask(ME.addresses.oc, CAT.addresses.oc);
  assert.equal(udp.sent.length, 1);
  await server.stop();
});

test('speaks about our peers only where the operator wants it', async () => {
  const silent = await setting();
  silent.ask(OTHER.addresses.ocat4);
  assert.ok(!said(silent.udp).includes(OTHER.b32));
  assert.equal(silent.server.counters().unknown, 1);
  await silent.server.stop();

  const open = await setting({ tellsPeers: true });
  for (const about of [OTHER.addresses.ocat4, OTHER.addresses.oc, peer(9).addresses.oc]) open.ask(about);
  assert.equal(said(open.udp).split(OTHER.b32).length - 1, 2);
  const { answered, unknown } = open.server.counters();
  assert.deepEqual([answered, unknown], [2, 1]);
  // Bytes behind the prefix alone are no address of ours.
  open.ask(Buffer.concat([Buffer.alloc(6), OTHER.addresses.oc.subarray(6)]));
  assert.equal(open.server.counters().unknown, 2);
  await open.server.stop();
});

test('a peer that asks too often waits', async () => {
  const { clock, udp, server, ask } = await setting();
  for (let count = 0; count < 1_000; count += 1) ask(ME.addresses.oc);
  assert.equal(udp.sent.length, 20);
  assert.equal(server.counters().tooOften, 980);
  await clock.advance(1_000);
  for (let count = 0; count < 1_000; count += 1) ask(ME.addresses.oc);
  assert.equal(udp.sent.length, 25);
  await server.stop();
});

test('a port that is taken does not keep the gateway from starting; it is told, and tried again', async () => {
  const refuse = new GateError('local-io', 'udp.port-taken', 'taken');
  const { clock, udp, server, ask } = await setting({ refuse });
  assert.match(server.problem()?.message ?? '', /UDP port 53 .* vpn\.dns = "off"/);
  assert.equal(udp.bound.size, 0);
  udp.refuse = undefined;
  await clock.advance(60_000);
  assert.equal(server.problem(), undefined);
  ask(ME.addresses.oc);
  assert.equal(udp.sent.length, 1);
  await server.stop();
  await clock.settle();
  assert.equal(clock.pending, 0);
});

test('tells where it answers: on both addresses, or another program of this host might', async () => {
  const refuse = new GateError('local-io', 'udp.port-taken', 'taken');
  const taken = (address: string, port: number) => port === 53 && address === formatAddress(ME.addresses.oc);
  const { clock, udp, server, peers, ports } = await setting({ refuse, refuses: taken });
  assert.deepEqual(ports, [[8060]]);
  await clock.advance(60_000);
  assert.deepEqual(ports, [[8060]], 'only what has changed is told');
  udp.refuse = undefined;
  await clock.advance(60_000);
  assert.deepEqual(ports, [[8060], [53, 8060]]);
  peers.plan([OTHER]).commit();
  await server.peersChanged();
  assert.deepEqual(ports.at(-1), []);
  peers.plan([CAT]).commit();
  await server.peersChanged();
  await server.stop();
  assert.deepEqual(ports.slice(-2), [[53, 8060], []]);
});

test('an answer that the kernel does not take is counted', async () => {
  const { udp, server, ask } = await setting();
  udp.full = true;
  ask(ME.addresses.oc);
  for (const { fail } of udp.bound) fail(new GateError('local-io', 'udp.failed', 'no route'));
  const { answered, notSent } = server.counters();
  assert.deepEqual([answered, notSent], [1, 1 + udp.bound.size]);
  await server.stop();
});

test('a question from port 0, which nobody can answer, is counted and does no harm', async () => {
  const { udp, server } = await setting();
  assert.ok(udp.receive(question(ME.addresses.oc), ME.addresses.oc, 53, CAT.addresses.ocat4, 0));
  const { answered, notSent } = server.counters();
  assert.deepEqual([answered, notSent, udp.sent.length], [1, 1, 0]);
  await server.stop();
});

test('listens only while there is an OnionCat among the peers', async () => {
  const { clock, udp, server, ask, peers } = await setting();
  peers.plan([OTHER]).commit();
  await server.peersChanged();
  assert.deepEqual([udp.bound.size, clock.pending], [0, 0]);
  peers.plan([CAT, OTHER]).commit();
  await Promise.all([server.peersChanged(), server.peersChanged()]);
  assert.equal(udp.bound.size, 4);
  assert.ok(ask(ME.addresses.oc));
  assert.equal(server.counters().answered, 1);
  assert.equal(server.problem(), undefined);
  await server.stop();
  assert.deepEqual([udp.bound.size, clock.pending], [0, 0]);
});

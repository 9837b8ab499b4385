import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RelayEnd } from '../../../../src/core/dial/target.ts';
import { createPeerTable } from '../../../../src/core/peers/table.ts';
import type { PacketRun, TunPort, TunTraffic } from '../../../../src/core/ports.ts';
import { createRelayCore } from '../../../../src/core/relay/relay.ts';
import { createVpnGateway } from '../../../../src/front/vpn/gateway.ts';
import { GateError } from '../../../../src/kit/errors.ts';
import { silentLogger } from '../../../../src/kit/log.ts';
import { LOCAL_ECHO, ROUTED_ECHO } from '../../../../src/wire/i2p/address.ts';
import { checksum } from '../../../../src/wire/packet/icmpv6.ts';
import { encodeKeepalive, isKeepalive } from '../../../../src/wire/packet/keepalive.ts';
import { FakeClock } from '../../../helpers/fake-clock.ts';
import { type LineEnd, line, own, peer } from '../../core/support.ts';
import { onionCatKeepalive, packet, QUEUE, split, tagOf } from './packets.ts';

const NEVER = new AbortController().signal;

class FakeTun implements TunPort {
  readonly name = 'test0';
  readonly mtu = 1280;
  readonly takesBig: boolean = false;
  readonly written: Buffer[] = [];
  take: (run: PacketRun) => void = () => assert.fail('not started');
  lose: (error: GateError) => void = () => assert.fail('not started');

  onPackets(take: (run: PacketRun) => void): void {
    this.take = take;
  }
  onLost(lost: (error: GateError) => void): void {
    this.lose = lost;
  }
  write(run: PacketRun): void {
    this.written.push(...split(run));
  }
  keepWhole(): void {}
  cutAll(): void {}
  traffic(): TunTraffic {
    return { readPackets: 0, readBytes: 0, reads: 0, writtenPackets: this.written.length, writtenBytes: 0, writes: 0 };
  }
  drops(): Readonly<Record<string, number>> {
    return {};
  }
  state(): 'up' {
    return 'up';
  }
  pollChanges(): boolean {
    return false;
  }
  restore(): void {}
  route(): void {}
  close(): Promise<void> {
    return Promise.resolve();
  }
}

async function setting(refuse?: GateError, listed = [peer(2), peer(3)]) {
  const clock = new FakeClock();
  const tun = new FakeTun();
  const me = own(1);
  const peers = createPeerTable(listed, me.addresses);
  const dialled = new Map<string, LineEnd>();
  const opened = (name: string): RelayEnd => {
    const [ours, theirs] = line({ halfClose: false });
    dialled.set(name, theirs);
    return { stream: ours, halfClose: false };
  };
  let lost: GateError | undefined;
  const sessionWatchers = new Set<() => void>();
  const defects: string[] = [];
  const gateway = createVpnGateway({
    tun,
    own: me,
    peers,
    relay: createRelayCore({ clock, maxPairs: 10, heldEndMs: 30_000 }),
    clock,
    log: { ...silentLogger, error: (text) => void defects.push(text) },
    random: () => 0.5,
    queue: QUEUE,
    networks: [],
    takesFlows: true,
    bigPackets: true,
    dial: (to): Promise<RelayEnd> => {
      if (refuse !== undefined) return Promise.reject(refuse);
      return Promise.resolve(opened(peers.byB32(to.b32)?.name ?? assert.fail()));
    },
    dialOurselves: () => (refuse === undefined ? Promise.resolve(opened('ourselves')) : Promise.reject(refuse)),
    session: {
      readySince: () => undefined,
      onReady: (tell) => {
        sessionWatchers.add(tell);
        return () => sessionWatchers.delete(tell);
      },
      receivedElsewhere: () => 0,
      rebuild: () => {},
    },
    label: () => 1,
    labelHeard: () => {},
    onTunLost: (error) => {
      lost = error;
    },
  });
  await gateway.start(NEVER);
  /** The peer answers on the stream that was dialled to it. */
  const answers = async (name: string, mtu = 1_500) => {
    const end = dialled.get(name);
    const from = peers.list().find((one) => one.name === name);
    assert.ok(end !== undefined && from !== undefined);
    end.write(
      encodeKeepalive({
        source: from.addresses.oc,
        destination: me.addresses.oc,
        flowLabel: 1,
        name: from.b32,
        announcement: { wantsAnswer: false, knowsFlows: true, mtu },
      }),
    );
    await clock.settle();
    return end;
  };
  return { clock, defects, tun, gateway, me: me.addresses, dialled, answers, sessionWatchers, lost: () => lost };
}

function address(hex: string): Buffer {
  return Buffer.from(hex.padEnd(32, '0'), 'hex');
}

/** Type, code, whom it answers and the tag of the packet that it quotes; checked to be well formed. */
function readError(bytes: Buffer): { type: number; code: number; to: string; quotes: number } {
  assert.equal(bytes[6], 58);
  assert.equal(bytes.length, 40 + bytes.readUInt16BE(4));
  // A message with its right checksum in place sums up to nothing.
  assert.equal(checksum(bytes), 0);
  return {
    type: bytes[40] ?? 0,
    code: bytes[41] ?? 0,
    to: bytes.toString('hex', 24, 40),
    quotes: tagOf(bytes.subarray(48)),
  };
}

/** Of the packets that came out of a stream since the last call. */
function tagsOf(end: LineEnd): number[] {
  const bytes: unknown = end.read();
  assert.ok(bytes instanceof Buffer);
  return split(bytes)
    .filter((one) => one[6] === 17)
    .map(tagOf);
}

test('takes a mixed run apart: each packet to its peer, in order, and errors for the rest', async () => {
  const { clock, tun, gateway, me, answers } = await setting();
  const [two, three, stranger] = [peer(2).addresses, peer(3).addresses, peer(4).addresses];
  const lan = address('20010db800000000000000000000beef');
  tun.take(
    Buffer.concat([
      packet(me.oc, two.oc, 1),
      packet(me.oc, two.oc, 2, 1_000),
      packet(me.oc, three.oc, 3),
      packet(lan, two.oc, 4),
      packet(me.ocat4, two.ocat4, 5),
      packet(me.oc, stranger.oc, 6),
      packet(me.oc, address('2001db8'), 7),
      packet(me.oc, two.oc, 8),
    ]),
  );
  await clock.settle();
  assert.deepEqual(tagsOf(await answers('peer2')), [1, 2, 5, 8]);
  assert.deepEqual(tagsOf(await answers('peer3')), [3]);
  const myself = me.oc.toString('hex');
  assert.deepEqual(tun.written.map(readError), [
    { type: 1, code: 5, to: lan.toString('hex'), quotes: 4 },
    { type: 1, code: 3, to: myself, quotes: 6 },
    { type: 1, code: 0, to: myself, quotes: 7 },
  ]);
  const drops = gateway.drops();
  assert.deepEqual(drops, {
    multicastOrLinkLocal: 0,
    outsidePrefix: 1,
    foreignSource: 1,
    unknownPeer: 1,
    tooBig: 0,
    ownEchoOverflow: 0,
  });
  await gateway.stop();
  await clock.settle();
  assert.equal(clock.pending, 0);
});

test('multicast and link-local traffic ends here without a word', async () => {
  const { clock, tun, gateway, me, dialled } = await setting();
  for (const to of ['ff02000000000000000000000000001', 'ff05', 'fe80', 'febf']) {
    tun.take(packet(me.oc, address(to), 1));
    tun.take(packet(address('fe80000000000000000000000000aaaa'), address(to), 1));
  }
  await clock.settle();
  assert.deepEqual([tun.written.length, dialled.size], [0, 0]);
  assert.equal(gateway.drops().multicastOrLinkLocal, 8);
  tun.take(packet(me.oc, address('fec0'), 1));
  assert.equal(tun.written.length, 1, 'the address behind the link-local ones is none');
  await gateway.stop();
});

test('a message for one link ends here also behind a packet that may pass', async () => {
  const { clock, tun, gateway, me, dialled, answers } = await setting();
  const to = peer(2).addresses.oc;
  const messages = [130, 131, 132, 133, 134, 135, 136, 137, 143].map((type) => {
    const message = packet(me.oc, to, 0);
    message[6] = 58;
    message[40] = type;
    return message;
  });
  tun.take(Buffer.concat([packet(me.oc, to, 1), ...messages, packet(me.oc, to, 2)]));
  await clock.settle();
  const end = await answers([...dialled.keys()][0] ?? assert.fail());
  const bytes: unknown = end.read();
  assert.ok(bytes instanceof Buffer);
  const sent = split(bytes).filter((one) => !isKeepalive(one, 0));
  assert.deepEqual(sent.map(tagOf), [1, 2]);
  assert.equal(gateway.drops().multicastOrLinkLocal, messages.length);
  await gateway.stop();
});

test('an error is not answered by an error', async () => {
  const { tun, gateway, me } = await setting();
  const unknown = peer(9).addresses.oc;
  const error = packet(me.oc, unknown, 0);
  error[6] = 58;
  error[40] = 1;
  tun.take(error);
  tun.take(packet(address('00'), unknown, 1));
  assert.equal(tun.written.length, 0);
  const ping = packet(me.oc, unknown, 0);
  ping[6] = 58;
  ping[40] = 128;
  tun.take(ping);
  assert.equal(tun.written.length, 1);
  await gateway.stop();
});

test('errors are limited in rate, counters are not', async () => {
  const { clock, tun, gateway, me } = await setting();
  const unknown = peer(9).addresses.oc;
  for (let count = 0; count < 1_000; count += 1) tun.take(packet(me.oc, unknown, count));
  assert.equal(tun.written.length, 50);
  assert.equal(gateway.drops().unknownPeer, 1_000);
  await clock.advance(100);
  for (let count = 0; count < 1_000; count += 1) tun.take(packet(me.oc, unknown, count));
  assert.equal(tun.written.length, 60);
  await gateway.stop();
});

test('a scan of unknown addresses takes nothing from those who have to hear what size passes, nor they from it', async () => {
  const { clock, tun, gateway, me, answers } = await setting();
  const two = peer(2).addresses.oc;
  tun.take(packet(me.oc, two, 0));
  await clock.settle();
  await answers('peer2', 1_400);
  const typesAfter = (...runs: Buffer[]) => {
    tun.written.length = 0;
    for (const run of runs) for (let count = 0; count < 1_000; count += 1) tun.take(run);
    return tun.written.map((one) => readError(one).type);
  };
  const [scan, big] = [packet(me.oc, peer(9).addresses.oc, 1), packet(me.oc, two, 2, 1_400)];
  const [unreachable, tooBig] = [new Array<number>(50).fill(1), new Array<number>(50).fill(2)];
  assert.deepEqual(typesAfter(scan, big), [...unreachable, ...tooBig]);
  assert.deepEqual(typesAfter(scan, big), []);
  await clock.advance(1_000);
  assert.deepEqual(typesAfter(big, scan), [...tooBig, ...unreachable]);
  await gateway.stop();
});

test('a packet that waited in vain is answered as unreachable', async () => {
  const { clock, tun, gateway, me, dialled } = await setting();
  tun.take(packet(me.oc, peer(2).addresses.oc, 77));
  await clock.advance(QUEUE.ageMs + 2_100);
  assert.equal(dialled.size, 1);
  assert.deepEqual(tun.written.map(readError), [{ type: 1, code: 3, to: me.oc.toString('hex'), quotes: 77 }]);
  await gateway.stop();
});

test('a packet larger than the peer takes is answered with its MTU, its neighbours pass', async () => {
  const { clock, tun, gateway, me, answers } = await setting();
  const two = peer(2).addresses;
  const ofSize = (tag: number, size: number) => packet(me.oc, two.oc, tag, size - 40);
  tun.take(ofSize(1, 9_000));
  await clock.settle();
  const end = await answers('peer2', 1_400);
  assert.deepEqual(
    tun.written.map((one) => [readError(one).type, readError(one).quotes, one.readUInt32BE(44)]),
    [[2, 1, 1_400]],
    'it has waited until the peer said what it takes',
  );
  assert.equal(gateway.links().find(({ peer: { name } }) => name === 'peer2')?.drops.queueTooBig, 1);
  tun.written.length = 0;
  tun.take(Buffer.concat([ofSize(2, 1_400), ofSize(3, 1_401), ofSize(4, 100), ofSize(5, 9_000), ofSize(6, 1_400)]));
  await clock.settle();
  assert.deepEqual(tagsOf(end), [2, 4, 6]);
  assert.deepEqual(
    tun.written.map((one) => [readError(one).type, readError(one).quotes, one.readUInt32BE(44), one.length]),
    [
      [2, 3, 1_400, 1_280],
      [2, 5, 1_400, 1_280],
    ],
  );
  assert.equal(gateway.drops().tooBig, 2);
  await gateway.stop();
});

test('nobody has to be sent less than 1280 bytes, whatever it announces', async () => {
  const { clock, tun, gateway, me, answers } = await setting();
  tun.take(packet(me.oc, peer(2).addresses.oc, 1));
  await clock.settle();
  const end = await answers('peer2', 0);
  tun.take(packet(me.oc, peer(2).addresses.oc, 2, 1_240));
  tun.take(packet(me.oc, peer(2).addresses.oc, 3, 1_241));
  await clock.settle();
  assert.deepEqual(tagsOf(end), [1, 2]);
  assert.deepEqual(
    tun.written.map((one) => one.readUInt32BE(44)),
    [1_280],
  );
  await gateway.stop();
});

/** As ping sends it. */
function echoRequest(from: Buffer, to: Buffer, tag: number): Buffer {
  const request = packet(from, to, 0, 40);
  request[6] = 58;
  request[40] = 128;
  request.writeUInt32BE(tag, 48);
  request.writeUInt16BE(0, 42);
  request.writeUInt16BE(checksum(request), 42);
  return request;
}

function asReply(request: Buffer): Buffer {
  const [from, to] = [request.subarray(24, 40), request.subarray(8, 24)];
  const reply = Buffer.concat([request.subarray(0, 8), from, to, request.subarray(40)]);
  reply[7] = 64;
  reply[40] = 129;
  reply.writeUInt16BE(0, 42);
  reply.writeUInt16BE(checksum(reply), 42);
  return reply;
}

test('the first loopback answers by itself, to either of our addresses, and only echo requests', async () => {
  const { clock, tun, gateway, me, dialled } = await setting();
  for (const own of [me.oc, me.ocat4]) tun.take(echoRequest(own, LOCAL_ECHO, 7));
  assert.deepEqual(
    tun.written,
    [me.oc, me.ocat4].map((own) => asReply(echoRequest(own, LOCAL_ECHO, 7))),
  );
  assert.ok(tun.written.every((one) => checksum(one) === 0));
  tun.take(packet(me.oc, LOCAL_ECHO, 9));
  assert.deepEqual(readError(tun.written[2] ?? assert.fail()), {
    type: 1,
    code: 3,
    to: me.oc.toString('hex'),
    quotes: 9,
  });
  tun.take(echoRequest(address('20010db8'), LOCAL_ECHO, 7));
  assert.equal(gateway.drops().foreignSource, 1, 'nobody but us');
  await clock.settle();
  assert.equal(dialled.size, 0);
  await gateway.stop();
});

test('of the echo requests that wait for the stream to ourselves the newest sixteen go out', async () => {
  const { clock, tun, gateway, me, dialled } = await setting();
  const requests = Array.from({ length: 50 }, (_, tag) => echoRequest(me.oc, ROUTED_ECHO, tag));
  tun.take(Buffer.concat(requests));
  await clock.settle();
  const bytes: unknown = dialled.get('ourselves')?.read();
  assert.ok(bytes instanceof Buffer);
  assert.deepEqual(split(bytes).slice(1), requests.slice(-16));
  assert.equal(gateway.drops().ownEchoOverflow, 34);
  await gateway.stop();
});

test('echoes that the stream to ourselves does not take are dropped beyond 64 KiB, and counted', async () => {
  const { clock, tun, gateway, me, dialled } = await setting();
  const request = echoRequest(me.oc, ROUTED_ECHO, 0);
  tun.take(request);
  await clock.settle();
  const carried = dialled.get('ourselves') ?? assert.fail();
  carried.read();
  tun.take(Buffer.concat(Array.from({ length: 4_000 }, () => request)));
  const dropped = gateway.drops().ownEchoOverflow;
  let received = 0;
  for (let bytes = 1; bytes > 0; received += bytes) {
    await clock.settle();
    const read: unknown = carried.read();
    bytes = read instanceof Buffer ? read.length : 0;
  }
  assert.equal(received / request.length + dropped, 4_000);
  // The line itself holds 16 KiB.
  assert.ok(received > 64 * 1024 && received <= (64 + 16) * 1024, `${received} bytes`);
  await gateway.stop();
});

test('the second loopback sends echo requests to ourselves, and answers them where they come in', async () => {
  const { clock, tun, gateway, me, dialled } = await setting();
  const request = echoRequest(me.oc, ROUTED_ECHO, 3);
  tun.take(request);
  await clock.settle();
  const carried = dialled.get('ourselves');
  assert.ok(carried !== undefined);
  const bytes: unknown = carried.read();
  assert.ok(bytes instanceof Buffer);
  const [keepalive, asked] = split(bytes);
  assert.ok(keepalive !== undefined && isKeepalive(keepalive, 0));
  assert.deepEqual(asked, request);
  assert.equal(gateway.ownEcho().state, 'dialing');

  // What was sent arrives at our own accept, is answered there, and travels back.
  const [arriving, wire] = line({ halfClose: false });
  gateway.takeOwn(arriving);
  wire.write(Buffer.concat([keepalive, request, packet(me.oc, ROUTED_ECHO, 1), echoRequest(me.oc, me.ocat4, 5)]));
  await clock.settle();
  const answers: unknown = wire.read();
  assert.ok(answers instanceof Buffer);
  assert.deepEqual(split(answers), [asReply(request)]);
  // Only the answers of the responder to us come out.
  const lies = [
    asReply(echoRequest(peer(2).addresses.oc, ROUTED_ECHO, 3)),
    asReply(echoRequest(me.oc, me.ocat4, 3)),
    request,
  ];
  carried.write(Buffer.concat([...lies, answers]));
  await clock.settle();
  assert.deepEqual(tun.written, [asReply(request)]);
  assert.deepEqual(gateway.ownEcho(), { state: 'up', error: undefined });

  await clock.advance(181_000);
  for (const end of [carried, wire]) end.resume();
  await clock.settle();
  assert.deepEqual([carried.readableEnded, wire.readableEnded, gateway.ownEcho().state], [true, true, 'idle']);
  await gateway.stop();
  await clock.settle();
  assert.equal(clock.pending, 0);
});

test('when nothing comes back from ourselves, the next one knows why', async () => {
  const { clock, tun, gateway, me } = await setting();
  tun.take(echoRequest(me.oc, ROUTED_ECHO, 3));
  await clock.advance(31_000);
  assert.equal(gateway.ownEcho().error?.code, 'echo.silent');
  assert.equal(gateway.ownEcho().state, 'idle');
  await gateway.stop();
});

test('a stream to ourselves that cannot be had is named, and the ping is answered as unreachable', async () => {
  const refuse = new GateError('peer-unreachable', 'test.oneself', 'no stream to oneself');
  const { clock, tun, gateway, me } = await setting(refuse);
  tun.take(echoRequest(me.oc, ROUTED_ECHO, 3));
  await clock.settle();
  assert.equal(gateway.ownEcho().error, refuse);
  const [error] = tun.written;
  assert.deepEqual([error?.[40], error?.[41]], [1, 3]);
  await gateway.stop();
});

test('a stream of our own that nobody asked for is closed', async () => {
  const { clock, gateway } = await setting();
  const [ours] = line({ halfClose: false });
  gateway.takeOwn(ours);
  await clock.settle();
  assert.equal(ours.destroyed, true);
  await gateway.stop();
});

test('a stream of a peer is carried by its link and by no other', async () => {
  const { clock, tun, gateway, me } = await setting();
  const [two, three] = [peer(2), peer(3)];
  const table = gateway.links().map((link) => link.peer);
  const [ours, theirs] = line({ halfClose: false });
  const known = table.find((one) => one.name === 'peer2');
  assert.ok(known !== undefined);
  gateway.take(known, ours, 'verified');
  theirs.write(Buffer.concat([packet(two.addresses.oc, me.oc, 1), packet(three.addresses.oc, me.oc, 2)]));
  await clock.settle();
  assert.deepEqual(tun.written.map(tagOf), [1]);
  // A peer that is in no table: cannot happen, and must not leak if it does.
  const [stray] = line();
  gateway.take(peer(8), stray, 'verified');
  assert.equal(stray.destroyed, true);
  await gateway.stop();
  await gateway.stop();
  await clock.settle();
  assert.deepEqual([ours.destroyed, clock.pending], [true, 0]);
});

test('a defect in taking what a peer or our own echo sends is told, and not taken for bad packets alone', async () => {
  const { clock, defects, dialled, tun, gateway, me } = await setting();
  const failing = () => {
    throw new TypeError('x is not a function');
  };
  const write = tun.write.bind(tun);
  tun.write = failing;
  const two = gateway.links().find(({ peer: one }) => one.name === 'peer2')?.peer ?? assert.fail();
  const [ours, theirs] = line({ halfClose: false });
  gateway.take(two, ours, 'verified');
  theirs.write(packet(two.addresses.oc, me.oc, 1));
  await clock.settle();
  assert.match(defects.splice(0).join(), /a defect: reading packets from a peer failed/);
  tun.write = write;
  const request = echoRequest(me.oc, ROUTED_ECHO, 3);
  tun.take(request);
  await clock.settle();
  tun.write = failing;
  dialled.get('ourselves')?.write(asReply(request));
  await clock.settle();
  assert.match(defects.join(), /a defect: reading what we sent to ourselves failed/);
  tun.write = write;
  await gateway.stop();
});

test('a peer that comes once the gateway has ended gets no link that goes on', async () => {
  const { clock, gateway } = await setting();
  await gateway.stop();
  await gateway.change({ added: [peer(5)], removed: [] });
  await clock.settle();
  assert.equal(clock.pending, 0);
});

test('an OnionCat is pinged from the one address of ours that it knows', async () => {
  const cat = peer(2, { onionCat: { inbound: [] } });
  const { clock, tun, gateway, me, dialled } = await setting(undefined, [cat]);
  const [{ peer: pinged } = assert.fail('it has no link')] = gateway.links();
  const results = gateway.ping(pinged, 10_000, NEVER);
  await clock.settle();
  const end = dialled.get('peer2') ?? assert.fail('nobody was dialled');
  end.write(onionCatKeepalive(pinged, me.ocat4));
  await clock.settle();
  const said: unknown = end.read();
  const request = split(said instanceof Buffer ? said : Buffer.alloc(0)).find((one) => one[40] === 128);
  assert.ok(request !== undefined, 'no echo request went out');
  assert.deepEqual([request.subarray(8, 24), request.subarray(24, 40)], [me.ocat4, cat.addresses.ocat4]);
  const reply = Buffer.concat([
    request.subarray(0, 8),
    request.subarray(24, 40),
    request.subarray(8, 24),
    request.subarray(40),
  ]);
  reply[40] = 129;
  end.write(reply);
  await clock.settle();
  assert.equal((await results).at(-1)?.outcome.kind, 'ok');
  assert.equal(tun.written.length, 1);
  await gateway.stop();
});

test('a session that stands anew is told to every link, and to none after the end', async () => {
  const noSession = new GateError('session-lost', 'sam.gone', 'gone');
  const { clock, tun, gateway, me, sessionWatchers } = await setting(noSession);
  const states = () => gateway.links().map(({ state }) => state.kind);
  for (const to of [peer(2), peer(3)]) tun.take(packet(me.oc, to.addresses.oc, 1));
  await clock.settle();
  assert.deepEqual(states(), ['waiting', 'waiting']);
  for (const tell of sessionWatchers) tell();
  assert.deepEqual(states(), ['dialing', 'dialing']);
  await clock.settle();
  await gateway.stop();
  assert.equal(sessionWatchers.size, 0);
});

test('says when the interface is gone', async () => {
  const { tun, gateway, lost } = await setting();
  const error = new GateError('local-io', 'tun.gone', 'gone');
  tun.lose(error);
  assert.equal(lost(), error);
  await gateway.stop();
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createDialer } from '../../../../src/core/dial/dialer.ts';
import type { DialTarget } from '../../../../src/core/dial/target.ts';
import { createPeerTable } from '../../../../src/core/peers/table.ts';
import { GATEWAY, type SessionKey, type StreamKey } from '../../../../src/core/session/key.ts';
import { createSessionManager, type Lease, type SessionManager } from '../../../../src/core/session/manager.ts';
import { GateError } from '../../../../src/kit/errors.ts';
import { silentLogger } from '../../../../src/kit/log.ts';
import { type FlowStatus, flowAnswer } from '../../../../src/wire/flow/preface.ts';
import { type B32, parsePrivateKeys } from '../../../../src/wire/i2p/destination.ts';
import { FakeClock } from '../../../helpers/fake-clock.ts';
import { ScriptedBridge, STREAM_OK } from '../session/scripted-bridge.ts';
import { destination, line, own, peer, privateKeys } from '../support.ts';

const NEVER = new AbortController().signal;
const ISOLATED: SessionKey = { kind: 'isolated', token: 'x', mayReachPeers: true };

function setting({ withTun = true, maxDials = 100 } = {}) {
  const clock = new FakeClock();
  const bridge = new ScriptedBridge();
  bridge.rules.version = '3.2';
  let drawn = 0;
  const inner = createSessionManager(
    {
      gatewayKeys: parsePrivateKeys(privateKeys(1)),
      options: {},
      credentials: undefined,
      named: new Map(),
      tunnels: new Map(),
      isolated: { most: 2, atLimit: 'retire-idle', idleMs: 1, ahead: new Map() },
    },
    { bridge, clock, log: silentLogger, random: () => ++drawn / 1e6 },
  );
  const held: StreamKey['kind'][] = [];
  const sessions: SessionManager = {
    ...inner,
    lease: (key): Lease => {
      const lease = inner.lease(key);
      held.push(key.kind);
      return {
        session: lease.session,
        release: () => {
          held.splice(held.indexOf(key.kind), 1);
          lease.release();
        },
      };
    },
  };
  const me = own(1).addresses;
  const whole = { ...peer(4), destination: destination(4) };
  const peers = createPeerTable([peer(2), peer(3), whole], me);
  const throughTun: string[] = [];
  const labels: string[] = [];
  const label = { now: 7 };
  const toldOf: string[] = [];
  const looked: string[] = [];
  const askers: SessionKey[] = [];
  const dial = createDialer({
    sessions,
    resolver: {
      resolve: (host, asker) => {
        looked.push(host);
        askers.push(asker);
        if (host === 'peer.i2p') return Promise.resolve(destination(2));
        if (host === 'forbidden.i2p') return Promise.resolve(destination(9));
        if (host === 'site.i2p') return Promise.resolve(destination(9));
        if (host === 'alias.i2p') return Promise.resolve({ b32: destination(9).b32, base64: undefined });
        return Promise.reject(new GateError('name-unknown', 'test.unknown', 'no such name'));
      },
    },
    peers,
    clock,
    own: me,
    connector: withTun
      ? {
          connect: (address, port) => {
            throughTun.push(`${address.toString('hex')} ${port}`);
            return Promise.resolve(line()[0]);
          },
        }
      : undefined,
    maxDials,
    openedThroughTun: (_stream, peer) => toldOf.push(peer.name),
    label: () => label.now,
    flowAnswered: (peer, _stream, label) => labels.push(`${peer.name} says ${label}`),
  });
  /** What the router was asked to connect to, with the port. */
  const asked = () =>
    bridge.of('connect').map((visit) => {
      const [, to, port] = / DESTINATION=(\S+) SILENT=false TO_PORT=(\d+)/.exec(visit.lines[1] ?? '') ?? [];
      return `${to} ${port}`;
    });
  const permitted: string[] = [];
  const permit = (host: string, b32: B32) => {
    permitted.push(`${host} is ${b32}`);
    if (host === 'forbidden.i2p') throw new GateError('policy', 'test.forbidden', 'not this one');
  };
  const run = (target: DialTarget, session: SessionKey = GATEWAY, signal = NEVER, asker = session) =>
    dial.dial(target, { session, asker, port: 443, permit, signal });
  /** As a peer's gateway answers to a preface. */
  const joins = (status: FlowStatus = 'joined') => {
    bridge.rules.connect = (visit) => {
      setImmediate(() => setImmediate(() => visit.end.write(flowAnswer(status, 9))));
      return STREAM_OK;
    };
  };
  return {
    clock,
    bridge,
    sessions,
    dial,
    run,
    asked,
    held,
    peers,
    throughTun,
    toldOf,
    label,
    labels,
    looked,
    askers,
    joins,
    me,
    permitted,
  };
}

function rejectsWith(promise: Promise<unknown>, code: string): Promise<void> {
  return assert.rejects(promise, (error) => error instanceof GateError && error.code === code);
}

test('a flow names the session on which its stream was opened, also where that came while it waited', async () => {
  const { bridge, run, label, me, peers } = setting();
  const [first = assert.fail()] = peers.list();
  assert.notDeepEqual(first.addresses, me);
  let said: Buffer | undefined;
  bridge.rules.connect = ({ end }) => {
    label.now = 8;
    setImmediate(() =>
      setImmediate(() => {
        said = end.read();
        end.write(flowAnswer('joined', 9));
      }),
    );
    return STREAM_OK;
  };
  await run({ kind: 'address', address: first.addresses.oc });
  assert.deepEqual(said, Buffer.from([0xf6, 1, 443 >> 8, 443 & 0xff, 5, 1, 3, 0, 0, 8]));
});

test('foreign destinations are dialled over the session asked for, by name or whole', async () => {
  const { clock, run, asked, held, sessions } = setting();
  const { b32, base64 } = destination(9);
  const ends = [
    await run({ kind: 'b32', b32 }),
    await run({ kind: 'destination', destination: destination(9) }, ISOLATED),
    await run({ kind: 'host', host: 'site.i2p' }),
    await run({ kind: 'host', host: 'alias.i2p' }),
    await run({ kind: 'b33', host: 'encrypted.b32.i2p' }, ISOLATED),
  ];
  assert.deepEqual(asked(), [
    `${b32}.b32.i2p 443`,
    `${base64} 443`,
    `${base64} 443`,
    `${b32}.b32.i2p 443`,
    'encrypted.b32.i2p 443',
  ]);
  assert.deepEqual(held, ['gateway', 'isolated', 'gateway', 'gateway', 'isolated']);
  for (const end of ends) {
    assert.equal(end.halfClose, false);
    end.stream.destroy();
  }
  await clock.settle();
  assert.deepEqual(held, []);
  await sessions.stop();
});

for (const session of [
  { kind: 'isolated', token: 'x' },
  { kind: 'named', name: 'mail' },
] as const satisfies readonly SessionKey[]) {
  test(`by whatever name a peer is called, nobody ${session.kind} goes to it as the gateway`, async () => {
    const { run, asked, held, sessions, throughTun } = setting();
    const two = peer(2);
    const targets: DialTarget[] = [
      { kind: 'address', address: two.addresses.oc },
      { kind: 'address', address: two.addresses.ocat4 },
      { kind: 'address', address: own(1).addresses.oc },
      { kind: 'b32', b32: two.b32 },
      { kind: 'destination', destination: destination(2) },
      { kind: 'host', host: 'peer.i2p' },
      { kind: 'peer', name: 'peer2' },
    ];
    for (const target of targets) await rejectsWith(run(target, session), 'dial.kept-apart');
    assert.deepEqual([held, asked(), throughTun], [[], [], []]);
    await sessions.stop();
  });
}

test('a peer is reached by a flow from the gateway itself, by whatever name it is called', async () => {
  const { clock, run, asked, held, joins, labels, sessions } = setting();
  joins();
  const two = peer(2);
  const targets: DialTarget[] = [
    { kind: 'address', address: two.addresses.oc },
    { kind: 'address', address: two.addresses.ocat4 },
    { kind: 'b32', b32: two.b32 },
    { kind: 'destination', destination: destination(2) },
    { kind: 'host', host: 'peer.i2p' },
    { kind: 'peer', name: 'peer2' },
  ];
  for (const target of targets) {
    const end = await run(target, ISOLATED);
    assert.equal(end.halfClose, true);
    assert.deepEqual(held, ['gateway']);
    assert.equal(asked().at(-1), `${two.b32}.b32.i2p 443`);
    end.stream.destroy();
    await clock.settle();
    assert.deepEqual(held, []);
  }
  const whole = await run({ kind: 'b32', b32: peer(4).b32 });
  assert.equal(asked().at(-1), `${destination(4).base64} 443`);
  whole.stream.destroy();
  assert.deepEqual(labels, [...targets.map(() => 'peer2 says 9'), 'peer4 says 9']);
  await sessions.stop();
});

test('a peer that is removed while its gateway is asked is not asked again', async () => {
  const { clock, bridge, run, peers, sessions } = setting();
  let asked = 0;
  // Closes without an answer, and is asked again after a pause.
  bridge.rules.connect = (visit) => {
    asked += 1;
    setImmediate(() => visit.end.destroy());
    return STREAM_OK;
  };
  const dialled = rejectsWith(run({ kind: 'b32', b32: peer(2).b32 }), 'dial.removed-peer');
  while (asked === 0) await clock.settle();
  peers.plan([]).commit();
  await clock.advance(60_000);
  await dialled;
  assert.equal(asked, 1);
  await sessions.stop();
});

test('a peer without flows, and our own addresses, are reached through the TUN', async () => {
  const { run, asked, peers, throughTun, toldOf, me, held } = setting();
  const three = peers.list().find((one) => one.name === 'peer3');
  assert.ok(three !== undefined);
  three.knowsFlows = false;
  const end = await run({ kind: 'b32', b32: three.b32 });
  assert.equal(end.halfClose, true);
  await run({ kind: 'address', address: three.addresses.ocat4 });
  await run({ kind: 'address', address: me.oc });
  await run({ kind: 'address', address: me.ocat4 });
  const hex = (address: Buffer) => `${address.toString('hex')} 443`;
  assert.deepEqual(throughTun, [hex(three.addresses.oc), hex(three.addresses.oc), hex(me.oc), hex(me.ocat4)]);
  assert.deepEqual(toldOf, ['peer3', 'peer3'], 'they end with the peer');
  assert.deepEqual([asked(), held], [[], []]);
});

test('without a TUN those say what is missing', async () => {
  const { run, peers, me } = setting({ withTun: false });
  const three = peers.list().find((one) => one.name === 'peer3');
  assert.ok(three !== undefined);
  three.knowsFlows = false;
  await rejectsWith(run({ kind: 'b32', b32: three.b32 }), 'dial.needs-tun');
  await rejectsWith(run({ kind: 'address', address: me.oc }), 'dial.needs-tun');
});

test('an address of nobody, and a name of nothing, are told at once', async () => {
  const { run, bridge, looked } = setting();
  await rejectsWith(run({ kind: 'address', address: peer(7).addresses.oc }), 'dial.unknown-peer');
  await rejectsWith(run({ kind: 'host', host: 'nobody.i2p' }), 'test.unknown');
  await rejectsWith(run({ kind: 'peer', name: 'nobody' }), 'dial.unknown-peer');
  assert.deepEqual([bridge.opened, looked], [0, ['nobody.i2p']]);
});

test('what a name turned out to be is asked about before it is dialled', async () => {
  const { run, asked, bridge, permitted, sessions } = setting();
  await rejectsWith(run({ kind: 'host', host: 'forbidden.i2p' }), 'test.forbidden');
  assert.equal(bridge.opened, 0);
  (await run({ kind: 'host', host: 'site.i2p' })).stream.destroy();
  assert.equal(asked().length, 1);
  const { b32 } = destination(9);
  assert.deepEqual(permitted, [`forbidden.i2p is ${b32}`, `site.i2p is ${b32}`]);
  await sessions.stop();
});

test('a dial that fails gives its session back', async () => {
  const { clock, run, bridge, held, joins, sessions } = setting();
  bridge.rules.connect = () => 'STREAM STATUS RESULT=CANT_REACH_PEER';
  await rejectsWith(run({ kind: 'b32', b32: destination(9).b32 }, ISOLATED), 'sam.peer-unreachable');
  joins('refused');
  await rejectsWith(run({ kind: 'b32', b32: peer(2).b32 }), 'flow.refused');
  bridge.rules.connect = () => undefined;
  const abort = new AbortController();
  const given = rejectsWith(run({ kind: 'b32', b32: destination(9).b32 }, GATEWAY, abort.signal), 'test.enough');
  await clock.settle();
  assert.deepEqual(held, ['gateway']);
  abort.abort(new GateError('cancelled', 'test.enough', 'enough'));
  await given;
  assert.deepEqual(held, []);
  await sessions.stop();
  await rejectsWith(run({ kind: 'b32', b32: destination(9).b32 }), 'shutdown');
  await clock.settle();
  assert.deepEqual([bridge.visits.length, clock.pending], [0, 0]);
});

test('an isolated session lives as long as its streams', async () => {
  const { clock, run, sessions } = setting();
  const end = await run({ kind: 'b32', b32: destination(9).b32 }, ISOLATED);
  await clock.advance(1_000);
  assert.equal(sessions.list().length, 2);
  end.stream.destroy();
  await clock.advance(1_000);
  assert.equal(sessions.list().length, 1);
  await sessions.stop();
});

test('only so many dials at one time, whatever becomes of them', async () => {
  const { clock, bridge, dial, run, sessions } = setting({ maxDials: 4 });
  bridge.rules.connect = () => undefined;
  const abort = new AbortController();
  const target: DialTarget = { kind: 'b32', b32: destination(9).b32 };
  const dialAs = (who: string) => run(target, GATEWAY, abort.signal, { kind: 'isolated', token: who });
  const all = ['ann', 'ben', 'eve', 'ian'].map(dialAs);
  await rejectsWith(dialAs('zoe'), 'dial.limit');
  await clock.settle();
  assert.deepEqual(dial.dials(), { most: 4, taken: 4, counts: { refusedFull: 1, refusedShare: 0 } });
  abort.abort(new GateError('cancelled', 'test.enough', 'enough'));
  for (const one of all) await rejectsWith(one, 'test.enough');
  bridge.rules.connect = () => STREAM_OK;
  (await run(target)).stream.destroy();
  assert.equal(dial.dials().taken, 0);
  await sessions.stop();
});

test('nobody takes the dials of all others, over however many sessions and to however many destinations', async () => {
  const { bridge, dial, run, sessions } = setting({ maxDials: 8 });
  bridge.rules.connect = () => undefined;
  const abort = new AbortController();
  const asker: SessionKey = { kind: 'isolated', token: 'greedy' };
  const dialled = (index: number) =>
    run({ kind: 'b32', b32: destination(9).b32 }, index % 2 === 0 ? GATEWAY : ISOLATED, abort.signal, asker);
  const greedy = [0, 1, 2, 3].map(dialled);
  await rejectsWith(dialled(4), 'dial.limit');
  assert.deepEqual(dial.dials(), { most: 8, taken: 4, counts: { refusedFull: 0, refusedShare: 1 } });
  const other = run({ kind: 'b32', b32: destination(9).b32 }, GATEWAY, abort.signal);
  assert.equal(dial.dials().taken, 5);
  abort.abort(new GateError('cancelled', 'test.enough', 'enough'));
  for (const one of [...greedy, other]) await rejectsWith(one, 'test.enough');
  await sessions.stop();
});

test('a name is looked up for who wants it, over whatever session it is then dialled', async () => {
  const { askers, run, sessions } = setting();
  const asker: SessionKey = { kind: 'isolated', token: 'of the client' };
  (await run({ kind: 'host', host: 'site.i2p' }, ISOLATED, NEVER, asker)).stream.destroy();
  assert.deepEqual(askers, [asker]);
  await sessions.stop();
});

test('links are dialled sixteen at a time, and the others get their turn', async () => {
  const { clock, bridge, dial, sessions } = setting();
  bridge.rules.connect = () => undefined;
  const abort = new AbortController();
  const dials = Array.from({ length: 40 }, () => dial.openPacketStream(peer(2), abort.signal, () => false));
  await clock.settle();
  assert.equal(bridge.of('connect').length, 16);
  for (const { end } of bridge.of('connect').slice(0, 10)) end.write(`${STREAM_OK}\n`);
  await clock.settle();
  assert.equal(bridge.of('connect').length, 26);
  abort.abort(new GateError('cancelled', 'test.enough', 'enough'));
  const outcomes = await Promise.allSettled(dials);
  const opened = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value.stream] : []));
  assert.equal(opened.length, 10);
  for (const stream of opened) stream.destroy();
  await sessions.stop();
});

test('the time of a link that the router never answers begins when it is asked, not when the link waits', async () => {
  const { clock, bridge, dial, sessions } = setting();
  bridge.rules.connect = () => undefined;
  // One that knows no PING, to which nobody would answer here.
  bridge.rules.version = '3.1';
  const codes: string[] = [];
  const dials = Array.from({ length: 17 }, () =>
    dial.openPacketStream(peer(2), NEVER, () => false).catch((error) => codes.push(error.code)),
  );
  await clock.settle();
  await clock.advance(119_000);
  assert.deepEqual([bridge.of('connect').length, codes.length], [16, 0]);
  await clock.advance(2_000);
  assert.equal(codes.length, 16);
  await clock.advance(117_000);
  assert.equal(codes.length, 16);
  await clock.advance(3_000);
  await Promise.all(dials);
  assert.deepEqual(new Set(codes), new Set(['link.dial-late']));
  await sessions.stop();
});

test('a link that somebody waits for goes before those that are only to be kept', async () => {
  const { clock, bridge, dial, asked, sessions } = setting();
  bridge.rules.connect = () => undefined;
  const abort = new AbortController();
  let isUrgent = false;
  const dials = Array.from({ length: 40 }, () => dial.openPacketStream(peer(2), abort.signal, () => false));
  const wanted = dial.openPacketStream(peer(3), abort.signal, () => isUrgent);
  await clock.settle();
  const isAsked = () => asked().some((words) => words.startsWith(peer(3).b32));
  for (const { end } of bridge.of('connect').slice(0, 4)) end.write(`${STREAM_OK}\n`);
  await clock.settle();
  assert.equal(isAsked(), false);
  isUrgent = true;
  bridge.of('connect').at(-1)?.end.write(`${STREAM_OK}\n`);
  await clock.settle();
  assert.equal(isAsked(), true);
  abort.abort(new GateError('cancelled', 'test.enough', 'enough'));
  for (const outcome of await Promise.allSettled([...dials, wanted])) {
    if (outcome.status === 'fulfilled') outcome.value.stream.destroy();
  }
  await sessions.stop();
});

test("the echo goes to ourselves from a destination that is nobody else's, and ends when nobody needs it", async () => {
  const { clock, dial, asked, sessions } = setting();
  assert.equal(sessions.ownEcho(), undefined);
  const end = await dial.openOwnEcho(peer(2).b32, NEVER);
  assert.deepEqual(asked(), [`${peer(2).b32}.b32.i2p 0`]);
  const echoes = () => sessions.list().filter(({ kind }) => kind === 'own-echo');
  const gateway = sessions.lease(GATEWAY).session;
  assert.equal(echoes().length, 1);
  assert.notEqual(echoes()[0]?.session, gateway);
  assert.equal(sessions.isolated().inUse, 0, 'it takes no place of a client');
  await clock.advance(600_000);
  assert.equal(echoes().length, 1);
  end.stream.destroy();
  await clock.settle();
  await clock.advance(61_000);
  assert.deepEqual([echoes().length, sessions.ownEcho()], [0, undefined]);
  await sessions.stop();
});

test('a packet stream goes to the peer bare', async () => {
  const { clock, dial, asked, held, sessions } = setting();
  const end = await dial.openPacketStream(peer(2), NEVER, () => false);
  assert.equal(end.halfClose, false);
  assert.deepEqual(asked(), [`${peer(2).b32}.b32.i2p 0`]);
  assert.deepEqual(held, ['gateway']);
  end.stream.destroy();
  await clock.settle();
  assert.deepEqual(held, []);
  await sessions.stop();
});

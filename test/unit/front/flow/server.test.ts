import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import type { Duplex } from 'node:stream';
import { test } from 'node:test';
import { dialFlow } from '../../../../src/core/flow/dial-flow.ts';
import { createRelayCore } from '../../../../src/core/relay/relay.ts';
import type { Session } from '../../../../src/core/session/session.ts';
import { createFlowServer } from '../../../../src/front/flow/server.ts';
import { type ErrorKind, GateError } from '../../../../src/kit/errors.ts';
import { silentLogger } from '../../../../src/kit/log.ts';
import { FakeClock } from '../../../helpers/fake-clock.ts';
import { hearAll, type LineEnd, line, own, peer } from '../../core/support.ts';

const NEVER = new AbortController().signal;
/** As the server has them: answers that wait to be read, and how long they wait. */
const REFUSALS_PER_PEER = 32;
const REFUSED_LINGER_MS = 30_000;
/** As the server has it: how long a service may take to answer. */
const CONNECT_MS = 20_000;

/** The only one that the peer may not reach from the beginning. */
const FORBIDDEN_PORT = 6000;

const UNLABELLED = { own: () => 0, answered: () => {} };
type Behaviour = 'accept' | 'hang' | ErrorKind;

function setting({ maxPerPeer = 10, maxPairs = 100, withTun = true, allowed = true } = {}) {
  const clock = new FakeClock();
  const services: LineEnd[] = [];
  const asked: Array<readonly [address: string, port: number]> = [];
  let behaviour: Behaviour = 'accept';
  const forbidden = new Set([FORBIDDEN_PORT]);
  /** What each side was told of the other's session. */
  const labels: { readonly taken: number[]; readonly dialled: number[] } = { taken: [], dialled: [] };
  const relay = createRelayCore({ clock, maxPairs, heldEndMs: 30_000 });
  /** Of the server itself: what everything in it ends with. */
  const ends: AbortSignal[] = [];
  const server = createFlowServer({
    relay: {
      join: relay.join,
      reserve: () => {
        const place = relay.reserve();
        if (place === undefined) return undefined;
        return {
          join: (local, remote, how) => {
            ends.push(how.signal);
            return place.join(local, remote, how);
          },
          leave: place.leave,
        };
      },
    },
    clock,
    log: silentLogger,
    maxPerPeer,
    mayReach: (_peer, port) => allowed && !forbidden.has(port),
    label: () => 8,
    labelHeard: (_peer, _stream, label) => labels.taken.push(label),
    local: withTun
      ? {
          address: own(1).addresses.oc,
          connector: {
            connect: (address, port, signal) => {
              asked.push([address.toString('hex'), port]);
              if (behaviour === 'accept') {
                const [inside, service] = line();
                services.push(service);
                return Promise.resolve(inside);
              }
              if (behaviour !== 'hang') return Promise.reject(new GateError(behaviour, 'test.no', 'no'));
              return new Promise((_resolve, reject) => {
                signal.addEventListener('abort', () => reject(signal.reason), { once: true });
              });
            },
          },
        }
      : undefined,
  });
  const them = peer(2);
  const dialling = { own: () => 7, answered: (_stream: Duplex, label: number) => labels.dialled.push(label) };
  /** A stream of the peer, as the switch hands it over. */
  const arrives = (...bytes: number[]): LineEnd => {
    const [ours, theirs] = line({ halfClose: false });
    if (bytes.length > 0) theirs.write(Buffer.from(bytes));
    server.take(them, ours);
    return theirs;
  };
  /** A dial as the peer's own gateway makes it. */
  const dial = (port: number, signal = NEVER) => {
    // Of a session only this is used.
    const session: Pick<Session, 'connect'> = {
      connect: () => {
        const [ours, theirs] = line({ halfClose: false });
        server.take(them, theirs);
        return Promise.resolve(ours);
      },
    };
    return dialFlow({ session, destination: 'peer', port, labels: dialling, clock, signal });
  };
  return {
    clock,
    server,
    services,
    asked,
    labels,
    relay,
    ends,
    arrives,
    dial,
    forbid: (port: number) => {
      forbidden.add(port);
      server.rulesChanged();
    },
    behave: (next: Behaviour) => {
      behaviour = next;
    },
  };
}

function rejectsWith(promise: Promise<unknown>, kind: ErrorKind, code: string): Promise<void> {
  return assert.rejects(promise, (error) => {
    assert.ok(error instanceof GateError);
    assert.deepEqual([error.kind, error.code], [kind, code]);
    return true;
  });
}

test('joins a flow to the port asked for on our own address, with half-close', async () => {
  const { labels, clock, server, services, asked, dial } = setting();
  const end = await dial(8080);
  assert.equal(end.halfClose, true);
  assert.deepEqual(asked, [[own(1).addresses.oc.toString('hex'), 8080]]);
  const [service] = services;
  assert.ok(service !== undefined);
  const request = hearAll(service);
  const answer = hearAll(end.stream);
  end.stream.end('request');
  assert.equal((await request).bytes.toString(), 'request');
  service.end(Buffer.alloc(100_000, 'a'));
  assert.deepEqual([(await answer).bytes.length, (await answer).ended], [100_000, true]);
  await clock.settle();
  assert.equal(server.counters().joined, 1);
  assert.deepEqual(labels, { taken: [7], dialled: [8] });
  await server.stop();
  assert.equal(clock.pending, 0);
});

for (const [behaviour, kind, code] of [
  ['peer-refused', 'peer-refused', 'flow.refused'],
  ['peer-timeout', 'peer-timeout', 'flow.timeout'],
  ['peer-unreachable', 'peer-unreachable', 'flow.unreachable'],
  ['limit', 'limit', 'flow.busy'],
  ['local-io', 'peer-unreachable', 'flow.unreachable'],
] as const) {
  test(`a service that fails with ${behaviour} is told to the dialling side as ${code}`, async () => {
    const { clock, server, dial, behave } = setting();
    behave(behaviour);
    await rejectsWith(dial(80), kind, code);
    await clock.settle();
    assert.equal(server.counters().refusedService, 1);
    // The dialling side has closed: nothing lingers.
    assert.equal(clock.pending, 0);
    await server.stop();
  });
}

test('a service that hangs is a timeout', async () => {
  const { clock, server, dial, behave } = setting();
  behave('hang');
  const refused = rejectsWith(dial(80), 'peer-timeout', 'flow.timeout');
  await clock.advance(20_100);
  await refused;
  await server.stop();
});

test('without a TUN there is nothing to reach, and port 0 is no service', async () => {
  const without = setting({ withTun: false });
  await rejectsWith(without.dial(80), 'peer-unreachable', 'flow.unreachable');
  await without.server.stop();
  const zero = setting();
  await rejectsWith(zero.dial(0), 'policy', 'flow.forbidden');
  assert.deepEqual(zero.asked, []);
  await zero.server.stop();
});

test('another version of the preface is answered with ours', async () => {
  const { clock, server, arrives } = setting();
  const stream = arrives(0xf6, 2, 0, 80, 0);
  await clock.settle();
  const answer: unknown = stream.read();
  assert.ok(answer instanceof Buffer);
  assert.deepEqual([...answer], [0xf6, 1, 6, 5, 1, 3, 0, 0, 8]);
  await server.stop();
});

test('the answer to a refusal is left to be read, but not for ever', async () => {
  const { clock, server, arrives, behave } = setting();
  behave('peer-refused');
  const stream = arrives(0xf6, 1, 0, 80, 0);
  await clock.advance(REFUSED_LINGER_MS - 1_000);
  assert.equal(String(stream.read()?.toString('hex')), 'f60101050103000008');
  await clock.settle();
  assert.equal(stream.readableEnded, false);
  await clock.advance(2_000);
  stream.read();
  await clock.settle();
  assert.equal(stream.readableEnded, true);
  assert.equal(clock.pending, 0);
  await server.stop();
});

test('a peer has so many flows, then answers, then nothing', async () => {
  const { clock, server, dial, arrives } = setting({ maxPerPeer: 2 });
  const one = await dial(80);
  await dial(80);
  await rejectsWith(dial(80), 'limit', 'flow.busy');
  await clock.settle();
  const streams = Array.from({ length: REFUSALS_PER_PEER + 5 }, () => arrives(0xf6, 1, 0, 80, 0));
  await clock.settle();
  const answered = streams.filter((stream) => stream.read() !== null).length;
  assert.equal(answered, REFUSALS_PER_PEER);
  assert.equal(server.counters().refusedLimit, 1 + streams.length);
  for (const stream of streams) stream.destroy();
  one.stream.destroy();
  await clock.settle();
  await dial(80);
  await server.stop();
  await clock.settle();
  assert.equal(clock.pending, 0);
});

test('without a place in the relay a flow is answered busy, and its service is not asked', async () => {
  const { clock, server, asked, dial, relay } = setting({ maxPairs: 1 });
  const one = await dial(80);
  await rejectsWith(dial(80), 'limit', 'flow.busy');
  await clock.settle();
  assert.deepEqual([server.counters().joined, server.counters().refusedLimit, relay.active], [1, 1, 1]);
  assert.equal(asked.length, 1);
  one.stream.destroy();
  await server.stop();
});

test('a flow that waits for its service has a place in the relay, and leaves it when the service fails', async () => {
  const { clock, server, behave, dial, relay } = setting({ maxPairs: 1 });
  behave('hang');
  const waits = assert.rejects(dial(80));
  await clock.settle();
  await rejectsWith(dial(80), 'limit', 'flow.busy');
  assert.equal(relay.active, 1);
  await clock.advance(CONNECT_MS);
  await waits;
  assert.equal(relay.active, 0);
  await server.stop();
});

test('a preface that does not come or makes no sense closes the stream', async () => {
  const { clock, server, arrives } = setting();
  const slow = arrives(0xf6, 1, 0);
  const wrong = arrives(0x60, 1, 0, 80, 0);
  const gone = arrives(0xf6);
  gone.end();
  for (const stream of [slow, wrong, gone]) stream.resume();
  await clock.settle();
  assert.deepEqual([slow.readableEnded, wrong.readableEnded, gone.readableEnded], [false, true, true]);
  await clock.advance(20_100);
  assert.equal(slow.readableEnded, true);
  assert.equal(server.counters().failed, 3);
  assert.equal(clock.pending, 0);
  await server.stop();
});

test('a peer that goes away while the service is asked leaves nothing behind', async () => {
  const { clock, server, arrives, behave, relay, services } = setting();
  behave('hang');
  const stream = arrives(0xf6, 1, 0, 80, 0);
  await clock.settle();
  stream.resetAndDestroy();
  await clock.advance(21_000);
  assert.equal(clock.pending, 0);
  behave('accept');
  const other = arrives(0xf6, 1, 0, 80, 0);
  other.resetAndDestroy();
  await clock.settle();
  for (const service of services) service.resume();
  await clock.settle();
  assert.deepEqual([relay.active, clock.pending], [0, 0]);
  await server.stop();
});

test('peers that go away while their service is asked leave nothing that grows', async () => {
  const { clock, server, ends, dial, arrives, behave } = setting();
  await dial(80);
  const [stopping] = ends;
  assert.ok(stopping !== undefined);
  const before = getEventListeners(stopping, 'abort').length;
  behave('hang');
  const streams = [1, 2, 3].map(() => arrives(0xf6, 1, 0, 80, 0));
  await clock.settle();
  for (const stream of streams) stream.resetAndDestroy();
  await clock.advance(20_000);
  assert.equal(server.counters().refusedService, 3);
  assert.equal(getEventListeners(stopping, 'abort').length, before);
  await server.stop();
});

test('a joined flow over which nothing comes for hours is closed: its peer may be gone without a word', async () => {
  const { clock, server, dial, relay } = setting();
  const end = await dial(80);
  await clock.advance(2 * 3_600_000);
  assert.equal(relay.active, 1);
  end.stream.write('still here');
  await clock.advance(2 * 3_600_000);
  assert.equal(relay.active, 1);
  await clock.advance(3_600_000);
  assert.equal(relay.active, 0);
  await server.stop();
});

test('stops in every phase', async () => {
  const { clock, server, dial, arrives, behave } = setting();
  const joined = await dial(80);
  joined.stream.resume();
  arrives(0xf6, 1);
  behave('peer-refused');
  arrives(0xf6, 1, 0, 80, 0);
  await clock.settle();
  behave('hang');
  arrives(0xf6, 1, 0, 80, 0);
  await clock.settle();
  await server.stop();
  await server.stop();
  await clock.settle();
  assert.equal(joined.stream.destroyed, true);
  assert.equal(clock.pending, 0);
  const late = arrives(0xf6, 1, 0, 80, 0);
  late.resume();
  await clock.settle();
  assert.equal(late.readableEnded, true);
});

test('the dialling side gives up on a peer that is silent, closes, talks nonsense, or is not wanted any more', async () => {
  const clock = new FakeClock();
  const opened: LineEnd[] = [];
  const session: Pick<Session, 'connect'> = {
    connect: () => {
      const [ours, theirs] = line({ halfClose: false });
      opened.push(theirs);
      return Promise.resolve(ours);
    },
  };
  const dial = async (act: (far: LineEnd) => unknown, kind: ErrorKind, code: string) => {
    const abort = new AbortController();
    const refused = rejectsWith(
      dialFlow({ session, destination: 'peer', port: 80, labels: UNLABELLED, clock, signal: abort.signal }),
      kind,
      code,
    );
    await clock.settle();
    const far = opened.at(-1);
    assert.ok(far !== undefined);
    assert.equal(String(far.read()?.toString('hex')), 'f6010050050103000000');
    if (act(far) === 'abort') abort.abort(new GateError('cancelled', 'test.enough', 'enough'));
    await clock.advance(61_000);
    await refused;
    far.resume();
    await clock.settle();
    assert.equal(far.readableEnded || far.destroyed, true);
    assert.equal(clock.pending, 0);
  };
  await dial(() => {}, 'peer-timeout', 'flow.silent');
  await dial((far) => far.write('no'), 'peer-protocol', 'flow.protocol');
  await dial((far) => far.write(Buffer.from([0xf6, 1, 99, 0])), 'peer-protocol', 'flow.protocol');
  await dial((far) => far.write(Buffer.from([0xf6, 9, 0, 0])), 'unsupported', 'flow.version');
  await dial(() => 'abort', 'cancelled', 'test.enough');
});

test('a stream that is refused, or closed without an answer, is tried again a few times', async () => {
  const clock = new FakeClock();
  let tries = 0;
  const refusing: Pick<Session, 'connect'> = {
    connect: () => {
      tries += 1;
      return Promise.reject(new GateError('peer-refused', 'sam.peer-refused', 'nobody accepts'));
    },
  };
  const closing: Pick<Session, 'connect'> = {
    connect: () => {
      tries += 1;
      const [ours, theirs] = line({ halfClose: false });
      theirs.end();
      return Promise.resolve(ours);
    },
  };
  for (const [session, kind, code] of [
    [refusing, 'peer-refused', 'sam.peer-refused'],
    [closing, 'peer-closed', 'flow.closed'],
  ] as const) {
    tries = 0;
    const refused = rejectsWith(
      dialFlow({ session, destination: 'peer', port: 80, labels: UNLABELLED, clock, signal: NEVER }),
      kind,
      code,
    );
    for (let step = 0; step < 20; step += 1) await clock.advance(100);
    await refused;
    assert.equal(tries, 4);
    assert.equal(clock.pending, 0);
  }
});

test('a port that the peer may not reach is forbidden, and nobody is asked whether anything listens', async () => {
  const { server, dial, asked, clock } = setting();
  await rejectsWith(dial(FORBIDDEN_PORT), 'policy', 'flow.forbidden');
  assert.equal(asked.length, 0);
  assert.equal(server.counters().refusedRule, 1);
  await dial(80);
  assert.deepEqual(
    asked.map(([, port]) => port),
    [80],
  );
  await server.stop();
  await clock.settle();
});

test('a flow ends with the rule that let it in, also while its service is asked; others go on', async () => {
  const { clock, server, services, relay, dial, arrives, behave, forbid } = setting();
  const [ending, staying] = [await dial(22), await dial(80)];
  const [service, other] = services;
  assert.ok(service !== undefined && other !== undefined);
  for (const stream of [ending.stream, staying.stream, service, other]) stream.resume();
  behave('hang');
  const asking = arrives(0xf6, 1, 0, 22, 0);
  asking.resume();
  await clock.settle();
  forbid(443);
  await clock.settle();
  assert.equal(relay.active, 3);
  forbid(22);
  await clock.settle();
  assert.deepEqual([ending.stream.closed, service.closed, asking.readableEnded], [true, true, true]);
  assert.deepEqual([staying.stream.closed, other.closed, relay.active], [false, false, 1]);
  await server.stop();
  await clock.settle();
  assert.equal(clock.pending, 0);
});

test('where flows are not allowed, every port is forbidden', async () => {
  const { clock, server, asked } = setting({ allowed: false });
  const [ours, far] = line({ halfClose: false });
  server.take(peer(2), ours);
  far.write(Buffer.from('f6010050050103000000', 'hex'));
  await clock.settle();
  assert.equal(far.read()?.toString('hex'), 'f60104050103000008');
  assert.deepEqual(asked, []);
  far.end();
  await clock.settle();
  await server.stop();
  assert.equal(clock.pending, 0);
});

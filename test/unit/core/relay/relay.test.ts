import assert from 'node:assert/strict';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { createRelayCore } from '../../../../src/core/relay/relay.ts';
import type { RelayOptions, RelayReport } from '../../../../src/core/relay/report.ts';
import { systemClock } from '../../../../src/io/clock.ts';
import { FakeClock } from '../../../helpers/fake-clock.ts';
import { until } from '../../../helpers/until.ts';
import { hearAll, type LineEnd, line } from '../support.ts';

const HELD_END_MS = 30_000;
/** As the relay has them: how long it waits for a close, and for a reader that takes nothing. */
const FAREWELL_MS = 60_000;
const STALLED_MS = 120_000;

interface Setting {
  readonly clock: FakeClock;
  /** What our client holds. */
  readonly client: LineEnd;
  /** What the far service holds. */
  readonly service: LineEnd;
  readonly near: LineEnd;
  readonly far: LineEnd;
  readonly relay: ReturnType<typeof createRelayCore>;
  readonly report: Promise<RelayReport>;
  readonly abort: AbortController;
}

interface SettingOptions {
  readonly farHalfClose?: boolean;
  readonly idleMs?: number;
  readonly onAnswered?: RelayOptions['onAnswered'];
  readonly prepare?: (ends: { client: LineEnd; service: LineEnd; near: LineEnd; far: LineEnd }) => void;
}

function joined({ farHalfClose = true, idleMs = 0, onAnswered, prepare }: SettingOptions = {}): Setting {
  const clock = new FakeClock();
  const [client, near] = line();
  const [far, service] = line({ halfClose: farHalfClose });
  prepare?.({ client, service, near, far });
  const relay = createRelayCore({ clock, maxPairs: 10, heldEndMs: HELD_END_MS });
  const abort = new AbortController();
  const report = relay.join(
    { stream: near, halfClose: true },
    { stream: far, halfClose: farHalfClose },
    { signal: abort.signal, idleMs, ...(onAnswered && { onAnswered }) },
  );
  return { clock, client, service, near, far, relay, report, abort };
}

/** Everything that must hold once a pair is over. */
async function checkOver({ clock, near, far, relay, report }: Setting): Promise<RelayReport> {
  const result = await report;
  assert.equal(near.destroyed, true);
  assert.equal(far.destroyed, true);
  assert.equal(clock.pending, 0);
  assert.equal(relay.active, 0);
  const { bytesOut, bytesIn } = relay.counters();
  assert.deepEqual([bytesOut, bytesIn], [far.given, near.given]);
  return result;
}

function pattern(length: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(length);
  for (let at = 0, value = seed; at < length; at += 1) {
    value = (value * 1103515245 + 12345) & 0x7fffffff;
    bytes[at] = value >> 16;
  }
  return bytes;
}

/** In pieces that leave a line full but its writer free to say that it has ended. */
function endInPieces(stream: Duplex, bytes: Buffer): void {
  for (let at = 0; at < bytes.length; at += 4_000) stream.write(bytes.subarray(at, at + 4_000));
  stream.end();
}

test('carries both ways and ends when both sides have ended', async () => {
  const setting = joined();
  const { client, service } = setting;
  const toService = hearAll(service);
  const toClient = hearAll(client);
  client.end(pattern(100_000, 1));
  service.end(pattern(70_000, 2));
  assert.deepEqual((await toService).bytes, pattern(100_000, 1));
  assert.deepEqual((await toClient).bytes, pattern(70_000, 2));
  assert.deepEqual(await checkOver(setting), { ended: 'both-finished' });
  const { bytesOut, bytesIn, joined: pairs } = setting.relay.counters();
  assert.deepEqual([bytesOut, bytesIn, pairs], [100_000, 70_000, 1]);
});

test('a half-close is passed on where the other side knows it, and the answer still comes', async () => {
  const setting = joined();
  const request = hearAll(setting.service);
  const answer = hearAll(setting.client);
  setting.client.end('request');
  assert.equal((await request).bytes.toString(), 'request');
  await setting.clock.advance(10 * FAREWELL_MS);
  setting.service.end('answer');
  assert.deepEqual(await answer, { bytes: Buffer.from('answer'), ended: true, error: undefined });
  assert.equal((await checkOver(setting)).ended, 'both-finished');
});

test('without half-close an end is held back until the answer is over', async () => {
  const setting = joined({ farHalfClose: false });
  const { client, service, clock } = setting;
  const request = hearAll(service);
  const answer = hearAll(client);
  client.end('request');
  for (let part = 0; part < 5; part += 1) {
    await clock.advance(HELD_END_MS - 1_000);
    assert.equal(service.readableEnded, false);
    service.write(`part ${part} `);
  }
  service.end('end');
  assert.equal((await request).bytes.toString(), 'request');
  assert.equal((await answer).bytes.toString(), 'part 0 part 1 part 2 part 3 part 4 end');
  assert.equal((await answer).ended, true);
  assert.equal((await checkOver(setting)).ended, 'both-finished');
});

test('a held end is passed on when the far side has been quiet', async () => {
  const setting = joined({ farHalfClose: false });
  const request = hearAll(setting.service);
  setting.client.end('request');
  await setting.clock.advance(HELD_END_MS - 100);
  assert.equal(setting.service.readableEnded, false);
  await setting.clock.advance(200);
  assert.deepEqual(await request, { bytes: Buffer.from('request'), ended: true, error: undefined });
  setting.client.resume();
  assert.equal((await checkOver(setting)).ended, 'both-finished');
});

/** What a client and a service say one after the other; then the client ends. @returns whether it counts as answered */
async function afterwards(farHalfClose: boolean, ...words: readonly ('client' | 'service')[]) {
  const ways: (() => void)[] = [];
  const setting = joined({ farHalfClose, onAnswered: (passEndOn) => ways.push(passEndOn) });
  for (const side of [setting.client, setting.service]) side.resume();
  for (const who of words) {
    setting[who].write('words');
    await setting.clock.settle();
  }
  setting.client.end();
  await setting.clock.settle();
  return { setting, ways };
}

test('the end of a client that was answered is held back too, and passed on as soon as somebody needs its place', async () => {
  const { setting, ways } = await afterwards(false, 'client', 'service');
  assert.equal(setting.service.readableEnded, false);
  assert.equal(ways.length, 1);
  for (const passEndOn of [...ways, ...ways]) passEndOn();
  await setting.clock.settle();
  assert.equal(setting.service.readableEnded, true);
  assert.equal((await checkOver(setting)).ended, 'both-finished');
});

for (const [why, farHalfClose, words] of [
  ['has heard nothing', false, ['client']],
  ['has said more since', false, ['client', 'service', 'client']],
  ['can end one direction alone', true, ['client', 'service']],
] as const) {
  test(`a client that ends its direction does not count as answered where it ${why}`, async () => {
    const { setting, ways } = await afterwards(farHalfClose, ...words);
    assert.equal(ways.length, 0);
    setting.abort.abort();
    assert.equal((await checkOver(setting)).ended, 'cancelled');
  });
}

test('a held end waits for a client that reads slowly, however quiet that makes the far side', async () => {
  const setting = joined({ farHalfClose: false });
  const { client, service, clock } = setting;
  const answer = pattern(400_000);
  service.write(answer);
  service.resume();
  client.end('request');
  const got: Buffer[] = [];
  for (let left = answer.length; left > 0; ) {
    await clock.advance(HELD_END_MS * 2);
    const chunk: unknown = client.read();
    if (!(chunk instanceof Buffer)) continue;
    got.push(chunk);
    left -= chunk.length;
  }
  assert.deepEqual(Buffer.concat(got), answer);
  client.resume();
  await clock.advance(HELD_END_MS * 2);
  assert.equal((await checkOver(setting)).ended, 'both-finished');
});

test('the end of a far side without half-close closes the near side behind its last bytes', async () => {
  const setting = joined({ farHalfClose: false });
  const answer = hearAll(setting.client);
  setting.service.end(pattern(300_000));
  const heard = await answer;
  assert.deepEqual([heard.bytes, heard.ended], [pattern(300_000), true]);
  setting.client.end();
  assert.equal((await checkOver(setting)).ended, 'both-finished');
});

test('a client that never closes is closed some time after the end', async () => {
  const setting = joined({ farHalfClose: false });
  setting.client.resume();
  setting.service.end('bye');
  await setting.clock.advance(FAREWELL_MS - 5_000);
  assert.equal(setting.near.destroyed, false);
  await setting.clock.advance(10_000);
  assert.equal((await checkOver(setting)).ended, 'both-finished');
});

test('a reader that takes bytes slowly gets everything, long after the farewell time', async () => {
  const setting = joined({ farHalfClose: false });
  const { client, service, clock } = setting;
  const answer = pattern(28_000);
  endInPieces(service, answer);
  const got: Buffer[] = [];
  for (let left = answer.length; left > 0; ) {
    await clock.advance(FAREWELL_MS - 1_000);
    const chunk: unknown = client.read(Math.min(left, 4_000));
    if (!(chunk instanceof Buffer)) continue;
    got.push(chunk);
    left -= chunk.length;
  }
  assert.deepEqual(Buffer.concat(got), answer);
  assert.ok(clock.now() > 5 * FAREWELL_MS);
  client.end();
  client.resume();
  assert.equal((await checkOver(setting)).ended, 'both-finished');
});

test('a reader that takes nothing is cut off, which counts as its failure', async () => {
  const setting = joined({ farHalfClose: false });
  endInPieces(setting.service, pattern(28_000));
  await setting.clock.advance(STALLED_MS - 10_000);
  assert.ok(setting.near.writableLength > 0);
  assert.equal(setting.near.destroyed, false);
  await setting.clock.advance(20_000);
  assert.equal((await checkOver(setting)).ended, 'near-failed');
});

test('a slow reader makes its writer wait, with little in between', async () => {
  const setting = joined();
  const { service, near, far, clock } = setting;
  let most = 0;
  let written = 0;
  for (let round = 0; round < 200; round += 1) {
    if (!service.writableNeedDrain) {
      service.write(Buffer.alloc(8 * 1024));
      written += 8 * 1024;
    }
    await clock.settle();
    most = Math.max(most, near.held + far.held);
  }
  assert.ok(written < 200 * 8 * 1024, 'the writer had to wait');
  assert.ok(most <= 4 * 16 * 1024, `${most} bytes were held`);
  setting.abort.abort();
  await checkOver(setting);
});

for (const who of ['client', 'service'] as const) {
  const dead = who === 'client' ? 'near' : 'far';
  test(`a reset by the ${who} reaches the other side, behind what had come`, async () => {
    const setting = joined({ farHalfClose: who === 'client' });
    const hearer = who === 'client' ? setting.service : setting.client;
    const said = pattern(120_000);
    setting[who].write(said);
    // The hearer reads nothing yet, so that the relay still has bytes in its hands.
    await setting.clock.settle();
    const handed = setting[dead];
    const inFlight = said.length - (setting.relay.counters().bytesIn + setting.relay.counters().bytesOut);
    const waiting = handed.readableLength;
    setting[who].resetAndDestroy();
    const heard = await hearAll(hearer);
    assert.ok(heard.bytes.length >= said.length - inFlight + waiting);
    assert.deepEqual(heard.bytes, said.subarray(0, heard.bytes.length));
    assert.deepEqual([heard.ended, heard.error === undefined], [false, false]);
    assert.equal((await checkOver(setting)).ended, `${dead}-failed`);
    assert.equal(setting.relay.counters().failed, 1);
  });
}

test('a reset behind a regular end does not take back what is still to be read', async () => {
  const setting = joined({ farHalfClose: false });
  const { client, service, far, clock } = setting;
  const answer = pattern(28_000);
  endInPieces(service, answer);
  await clock.settle();
  // All has come, the client has read nothing, and now the router resets.
  assert.equal(setting.relay.counters().bytesIn, answer.length);
  assert.ok(setting.near.writableLength > 0);
  far.destroy(Object.assign(new Error('reset'), { code: 'ECONNRESET' }));
  await clock.settle();
  const heard = await hearAll(client);
  assert.deepEqual([heard.bytes, heard.ended], [answer, true]);
  client.end();
  await checkOver(setting);
});

test('closes a side that has nothing left to hear soon after the other failed', async () => {
  const setting = joined();
  setting.client.end('request');
  setting.service.resume();
  await setting.clock.settle();
  setting.client.resetAndDestroy();
  await setting.clock.advance(15_000);
  assert.equal((await checkOver(setting)).ended, 'near-failed');
});

test('sides that are over before they are joined', async () => {
  const destroyed = joined({ prepare: ({ near }) => near.destroy() });
  assert.equal((await checkOver(destroyed)).ended, 'near-failed');
  const both = joined({
    prepare: ({ near, far }) => {
      near.destroy();
      far.destroy();
    },
  });
  assert.equal((await checkOver(both)).ended, 'near-failed');
  const ended = joined({
    prepare: ({ client, service }) => {
      client.end('one');
      service.end('two');
    },
  });
  const heard = [hearAll(ended.client), hearAll(ended.service)];
  assert.deepEqual(
    (await Promise.all(heard)).map((one) => one.bytes.toString()),
    ['two', 'one'],
  );
  assert.equal((await checkOver(ended)).ended, 'both-finished');
});

test('a near side whose end was already seen is treated like one that ends now', async () => {
  const clock = new FakeClock();
  const [client, near] = line();
  const [far, service] = line();
  client.end();
  near.resume();
  await clock.settle();
  assert.equal(near.readableEnded, true);
  const relay = createRelayCore({ clock, maxPairs: 1, heldEndMs: HELD_END_MS });
  const report = relay.join(
    { stream: near, halfClose: true },
    { stream: far, halfClose: true },
    { signal: new AbortController().signal, idleMs: 0 },
  );
  const answer = hearAll(client);
  service.resume();
  service.end('answer');
  assert.equal((await answer).bytes.toString(), 'answer');
  assert.equal((await report).ended, 'both-finished');
});

test('abort closes both at once, also before the start', async () => {
  const running = joined();
  running.client.write('something');
  await running.clock.settle();
  running.abort.abort();
  assert.equal((await checkOver(running)).ended, 'cancelled');

  const stalled = joined();
  stalled.service.write(pattern(200_000));
  await stalled.clock.settle();
  stalled.abort.abort();
  assert.equal((await checkOver(stalled)).ended, 'cancelled');

  const clock = new FakeClock();
  const [near] = line();
  const [far] = line();
  const relay = createRelayCore({ clock, maxPairs: 1, heldEndMs: HELD_END_MS });
  const options = { signal: AbortSignal.abort(), idleMs: 0 };
  const report = await relay.join({ stream: near, halfClose: true }, { stream: far, halfClose: true }, options);
  assert.equal(report.ended, 'cancelled');
  assert.deepEqual([near.destroyed, far.destroyed, clock.pending], [true, true, 0]);
});

test('an idle pair is closed, a busy one is not', async () => {
  const setting = joined({ idleMs: 60_000 });
  setting.service.resume();
  setting.client.resume();
  for (let round = 0; round < 5; round += 1) {
    await setting.clock.advance(50_000);
    setting[round % 2 === 0 ? 'client' : 'service'].write('x');
  }
  assert.equal(setting.near.destroyed, false);
  await setting.clock.advance(61_000);
  assert.equal((await checkOver(setting)).ended, 'idle');
  assert.equal(setting.relay.counters().idle, 1);
});

test('D22 a quiet pair stands for as long as its two sides want where no idle time is set', async () => {
  const setting = joined({ idleMs: 0 });
  setting.service.resume();
  setting.client.resume();
  await setting.clock.advance(365 * 24 * 3_600_000);
  assert.deepEqual([setting.near.destroyed, setting.clock.pending], [false, 0]);
  setting.client.end('still here');
  setting.service.end();
  assert.equal((await checkOver(setting)).ended, 'both-finished');
});

test('pairs beyond the limit are closed at once and counted', async () => {
  const clock = new FakeClock();
  const relay = createRelayCore({ clock, maxPairs: 1, heldEndMs: HELD_END_MS });
  const abort = new AbortController();
  const options = { signal: abort.signal, idleMs: 0 };
  const ends = () => ({ stream: line()[0], halfClose: true });
  const first = relay.join(ends(), ends(), options);
  const [near, far] = [ends(), ends()];
  assert.deepEqual(await relay.join(near, far, options), { ended: 'limit' });
  assert.deepEqual([near.stream.destroyed, far.stream.destroyed], [true, true]);
  const { refusedLimit, bytesOut, bytesIn } = relay.counters();
  assert.deepEqual([relay.active, refusedLimit, bytesOut, bytesIn], [1, 1, 0, 0]);
  abort.abort();
  await first;
  assert.equal(relay.active, 0);
});

test('a place that is reserved is for nobody else, and free again when it is left or its pair is over', async () => {
  const relay = createRelayCore({ clock: new FakeClock(), maxPairs: 1, heldEndMs: HELD_END_MS });
  const abort = new AbortController();
  const ends = () => ({ stream: line()[0], halfClose: true });
  const left = relay.reserve() ?? assert.fail();
  assert.equal(relay.reserve(), undefined);
  assert.deepEqual([relay.active, relay.counters().refusedLimit], [1, 1]);
  left.leave();
  const place = relay.reserve() ?? assert.fail();
  assert.equal(relay.reserve(), undefined);
  const pair = place.join(ends(), ends(), { signal: abort.signal, idleMs: 0 });
  assert.equal(relay.counters().joined, 1);
  abort.abort();
  await pair;
  assert.ok(relay.reserve());
});

test('the number of listeners does not grow with the bytes', async () => {
  const setting = joined();
  const count = () =>
    [setting.near, setting.far].flatMap((stream) => stream.eventNames().map((name) => stream.listenerCount(name)));
  setting.service.resume();
  setting.client.write('x');
  await setting.clock.settle();
  const before = count();
  for (let round = 0; round < 50; round += 1) {
    setting.client.write(pattern(40_000));
    await setting.clock.settle();
  }
  assert.deepEqual(count(), before);
  setting.abort.abort();
  await checkOver(setting);
});

const IDLE_MS = 600_000;

/** Everything that can happen to a pair, in any order. */
const EVENTS = [
  'client writes',
  'service writes',
  'client ends',
  'service ends',
  'client resets',
  'service resets',
  'client closes',
  'service closes',
  'client reads',
  'service reads',
  'client pauses',
  'service pauses',
  'time passes',
] as const;

test('no order of events leaves a pair unresolved, loses bytes in the middle or forgets a timer', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom(...EVENTS), { maxLength: 25 }),
      fc.boolean(),
      fc.boolean(),
      async (events, farHalfClose, failsAtEnd) => {
        const setting = joined({ farHalfClose, idleMs: IDLE_MS });
        const sent = { client: 0, service: 0 };
        const got = { client: [] as Buffer[], service: [] as Buffer[] };
        const whole = { client: pattern(600_000, 3), service: pattern(600_000, 4) };
        const collect = (who: 'client' | 'service') => (chunk: Buffer) => void got[who].push(chunk);
        const collectors = { client: collect('client'), service: collect('service') };
        for (const event of events) {
          const [who, what] = event.split(' ');
          if (who !== 'client' && who !== 'service') {
            await setting.clock.advance(HELD_END_MS / 2);
            continue;
          }
          const stream = setting[who];
          switch (what) {
            case 'writes':
              if (!stream.writableEnded && !stream.destroyed) {
                stream.write(whole[who].subarray(sent[who], sent[who] + 20_000));
                sent[who] += 20_000;
              }
              break;
            case 'ends':
              stream.end();
              break;
            case 'resets':
              stream.resetAndDestroy();
              break;
            case 'closes':
              stream.destroy();
              break;
            case 'reads':
              if (stream.listenerCount('data') === 0) stream.on('data', collectors[who]);
              stream.resume();
              break;
            case 'pauses':
              stream.pause();
              break;
            default:
              assert.fail(event);
          }
          await setting.clock.settle();
        }
        // At last one side goes away, in a regular way or not; the other does nothing any more.
        if (failsAtEnd) setting.client.resetAndDestroy();
        else {
          setting.client.end();
          setting.service.end();
        }
        await setting.clock.advance(IDLE_MS + HELD_END_MS + 2 * STALLED_MS + FAREWELL_MS);
        assert.equal(setting.relay.active, 0);
        await checkOver(setting);
        const toService = Buffer.concat(got.service);
        const toClient = Buffer.concat(got.client);
        assert.deepEqual(toService, whole.client.subarray(0, toService.length));
        assert.deepEqual(toClient, whole.service.subarray(0, toClient.length));
      },
    ),
    { numRuns: 60 },
  );
});

test('whatever the pauses and the order of the ends, regular ends lose nothing', async () => {
  const steps = fc.array(
    fc.constantFrom(
      'client writes',
      'service writes',
      'client pauses',
      'service pauses',
      'client reads',
      'time passes',
    ),
    { maxLength: 20 },
  );
  await fc.assert(
    fc.asyncProperty(steps, fc.boolean(), fc.boolean(), async (events, farHalfClose, clientEndsFirst) => {
      const setting = joined({ farHalfClose });
      const said = { client: Buffer.alloc(0), service: Buffer.alloc(0) };
      const heard = { client: hearAll(setting.client), service: hearAll(setting.service) };
      for (const event of events) {
        if (event === 'client writes' || event === 'service writes') {
          const who = event === 'client writes' ? 'client' : 'service';
          const more = pattern(15_000, said[who].length + 1);
          said[who] = Buffer.concat([said[who], more]);
          setting[who].write(more);
        } else if (event === 'time passes') await setting.clock.advance(HELD_END_MS / 3);
        else if (event === 'client reads') setting.client.resume();
        else setting[event === 'client pauses' ? 'client' : 'service'].pause();
        await setting.clock.settle();
      }
      // Through SAM the first end of the service is the end of both, so there the client must have been heard before.
      if (clientEndsFirst || !farHalfClose) setting.client.end();
      setting.service.resume();
      await setting.clock.settle();
      setting.service.end();
      await setting.clock.advance(HELD_END_MS / 3);
      setting.client.end();
      setting.client.resume();
      assert.ok((await heard.client).bytes.equals(said.service));
      assert.ok((await heard.service).bytes.equals(said.client));
      await setting.clock.advance(HELD_END_MS);
      assert.equal((await checkOver(setting)).ended, 'both-finished');
    }),
    { numRuns: 60 },
  );
});

// --- real sockets ---------------------------------------------------------------------------------------------------

const servers: Server[] = [];
after(() => {
  for (const server of servers) server.close();
});

/** Both ends of a real connection. */
function socketPair(path?: string): Promise<readonly [outside: Socket, inside: Socket]> {
  return new Promise((resolve, reject) => {
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
    servers.push(server);
    server.once('error', reject);
    server.once('connection', (inside) => {
      inside.on('error', () => {});
      resolve([outside, inside]);
      server.close();
    });
    let outside: Socket;
    const open = () => {
      const address = server.address();
      const where = typeof address === 'string' || address === null ? { path: path ?? '' } : { port: address.port };
      outside = connect({ ...where, allowHalfOpen: true });
      outside.on('error', () => {});
    };
    if (path === undefined) server.listen(0, '127.0.0.1', open);
    else server.listen(path, open);
  });
}

async function joinedSockets(path?: string, farHalfClose = true) {
  const [[client, near], [service, far]] = await Promise.all([socketPair(path), socketPair()]);
  const relay = createRelayCore({ clock: systemClock, maxPairs: 1, heldEndMs: 200 });
  const abort = new AbortController();
  const report = relay.join(
    { stream: near, halfClose: true },
    { stream: far, halfClose: farHalfClose },
    { signal: abort.signal, idleMs: 0 },
  );
  return { client, service, near, far, relay, report, abort };
}

/** Writes in random pieces, at the pace of the reader. */
async function say(stream: Duplex, bytes: Buffer, sizes: readonly number[]): Promise<void> {
  for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
    const size = sizes[turn % sizes.length] ?? 1;
    const room = stream.write(bytes.subarray(at, at + size));
    at += size;
    if (!room) await new Promise((resolve) => stream.once('drain', resolve));
  }
  stream.end();
}

test('sockets: random pieces and pausing readers, both ways at once', async () => {
  const { client, service, near, far, relay, report } = await joinedSockets();
  const [up, down] = [pattern(3_000_000, 5), pattern(2_000_000, 6)];
  const pausing = (stream: Socket) => {
    let count = 0;
    stream.on('data', () => {
      count += 1;
      if (count % 7 !== 0) return;
      stream.pause();
      setImmediate(() => stream.resume());
    });
    return hearAll(stream);
  };
  const heard = [pausing(service), pausing(client)];
  await Promise.all([say(client, up, [1, 65_536, 999, 30_000]), say(service, down, [100_000, 3, 17])]);
  const [atService, atClient] = await Promise.all(heard);
  assert.deepEqual([atService?.bytes.equals(up), atClient?.bytes.equals(down)], [true, true]);
  assert.deepEqual(await report, { ended: 'both-finished' });
  const { bytesOut, bytesIn } = relay.counters();
  assert.deepEqual([bytesOut, bytesIn], [up.length, down.length]);
  assert.deepEqual([near.destroyed, far.destroyed], [true, true]);
});

test('sockets: an answer that follows a half-close arrives whole', async () => {
  const { client, service, report } = await joinedSockets();
  const request = hearAll(service);
  const answer = hearAll(client);
  client.end('request');
  assert.equal((await request).bytes.toString(), 'request');
  service.end(pattern(500_000));
  assert.equal((await answer).bytes.equals(pattern(500_000)), true);
  assert.equal((await report).ended, 'both-finished');
});

for (const [kind, path] of [
  ['tcp', undefined],
  ['unix', join(tmpdir(), `relay-test-${process.pid}.sock`)],
] as const) {
  test(`sockets: a reset by the service ends a client over ${kind}, after what had come`, async () => {
    const { client, service, report } = await joinedSockets(path);
    const heard = hearAll(client);
    service.write('last words');
    await until('the words arrived', () => client.bytesRead === 10);
    service.resetAndDestroy();
    assert.equal((await heard).bytes.toString(), 'last words');
    assert.equal((await report).ended, 'far-failed');
  });
}

for (const who of ['near', 'far'] as const) {
  test(`sockets: what had come on the ${who} side is passed on, though it broke before the two were joined`, async () => {
    const [[outside, broken], [hearer, whole]] = await Promise.all([socketPair(), socketPair()]);
    outside.write('last words');
    broken.read(0);
    await until('the words arrived', () => broken.readableLength === 10);
    outside.resetAndDestroy();
    await until('it is noticed', () => broken.destroyed);
    const relay = createRelayCore({ clock: systemClock, maxPairs: 1, heldEndMs: 200 });
    const [one, other] = [broken, whole].map((stream) => ({ stream, halfClose: true }));
    assert.ok(one && other);
    const heard = hearAll(hearer);
    const how = { signal: new AbortController().signal, idleMs: 0 };
    const report = who === 'near' ? relay.join(one, other, how) : relay.join(other, one, how);
    assert.equal((await withinSeconds(heard)).bytes.toString(), 'last words');
    assert.equal((await report).ended, `${who}-failed`);
  });
}

test('sockets: abort ends both', async () => {
  const { client, service, report, abort } = await joinedSockets();
  const gone = [hearAll(client), hearAll(service)];
  abort.abort();
  await Promise.all(gone);
  assert.equal((await report).ended, 'cancelled');
});

for (const farHalfClose of [true, false]) {
  const kind = farHalfClose ? 'a far side with half-close' : 'a far side without half-close';

  test(`sockets: a reset by the client is a reset at ${kind}, at once, after what had come`, async () => {
    const { client, service, report } = await joinedSockets(undefined, farHalfClose);
    const heard = hearAll(service);
    client.write('last words');
    await until('the words arrived', () => service.bytesRead === 10);
    client.resetAndDestroy();
    const { bytes, ended } = await withinSeconds(heard);
    assert.deepEqual([bytes.toString(), ended, codeOf(service)], ['last words', false, 'ECONNRESET']);
    assert.equal((await report).ended, 'near-failed');
  });

  test(`sockets: a reset by ${kind} is a reset at the client, at once`, async () => {
    const { client, service, report } = await joinedSockets(undefined, farHalfClose);
    const heard = hearAll(client);
    service.resetAndDestroy();
    assert.equal((await withinSeconds(heard)).ended, false);
    assert.equal(codeOf(client), 'ECONNRESET');
    assert.equal((await report).ended, 'far-failed');
  });

  test(`sockets: a regular end of ${kind} is a regular end at the client, behind its bytes`, async () => {
    const { client, service, report } = await joinedSockets(undefined, farHalfClose);
    const heard = hearAll(client);
    service.end(pattern(300_000));
    const { bytes, ended } = await withinSeconds(heard);
    assert.deepEqual([bytes.equals(pattern(300_000)), ended], [true, true]);
    client.end();
    service.resume();
    assert.equal((await report).ended, 'both-finished');
  });

  test(`sockets: a regular end of the client is a regular end at ${kind}, behind its bytes`, async () => {
    const { client, service, report } = await joinedSockets(undefined, farHalfClose);
    const heard = hearAll(service);
    client.end(pattern(300_000));
    const { bytes, ended } = await withinSeconds(heard);
    assert.deepEqual([bytes.equals(pattern(300_000)), ended], [true, true]);
    service.end();
    client.resume();
    assert.equal((await report).ended, 'both-finished');
  });
}

function codeOf({ errored }: Socket): unknown {
  return errored !== null && 'code' in errored ? errored.code : undefined;
}

/** Far below any farewell time of the relay: what is passed on must not wait for one. */
async function withinSeconds<T>(happening: Promise<T>): Promise<T> {
  let late: NodeJS.Timeout | undefined;
  const tooLate = new Promise<never>((_, reject) => {
    late = setTimeout(() => reject(new Error('it took more than 4 s')), 4_000);
  });
  try {
    return await Promise.race([happening, tooLate]);
  } finally {
    clearTimeout(late);
  }
}

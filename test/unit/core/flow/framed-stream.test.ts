import assert from 'node:assert/strict';
import type { Duplex } from 'node:stream';
import { test } from 'node:test';
import fc from 'fast-check';
import { createFramedStream } from '../../../../src/core/flow/framed-stream.ts';
import { createRelayCore } from '../../../../src/core/relay/relay.ts';
import { GateError } from '../../../../src/kit/errors.ts';
import { FakeClock } from '../../../helpers/fake-clock.ts';
import { hearAll, type LineEnd, line } from '../support.ts';

interface Setting {
  readonly one: Duplex;
  readonly other: Duplex;
  readonly carriers: readonly [LineEnd, LineEnd];
}

/** Two framed streams over a carrier as SAM gives it: its end is the end of both directions. */
function framedPair(): Setting {
  const carriers = line({ halfClose: false });
  return { one: createFramedStream(carriers[0]), other: createFramedStream(carriers[1]), carriers };
}

const settle = () => new FakeClock().settle();

function isCut(error: unknown): boolean {
  return error instanceof GateError && error.code === 'flow.cut';
}

test('gives half-close back, in both directions', async () => {
  for (const [first, second] of [
    ['one', 'other'],
    ['other', 'one'],
  ] as const) {
    const setting = framedPair();
    const request = hearAll(setting[second]);
    const answer = hearAll(setting[first]);
    setting[first].end('request');
    assert.deepEqual(await request, { bytes: Buffer.from('request'), ended: true, error: undefined });
    await settle();
    assert.equal(setting[second].writable, true);
    const long = Buffer.alloc(300_000, 'a');
    setting[second].end(long);
    assert.deepEqual(await answer, { bytes: long, ended: true, error: undefined });
    await settle();
    assert.deepEqual([setting.one.destroyed, setting.other.destroyed], [true, true]);
    assert.deepEqual(
      setting.carriers.map((carrier) => carrier.destroyed),
      [true, true],
    );
  }
});

test('whoever ends last leaves the closing to the one that still reads', async () => {
  const { one, other, carriers } = framedPair();
  one.resume();
  other.end();
  await settle();
  const last = Buffer.alloc(100_000, 'z');
  one.end(last);
  await settle();
  // The other reads nothing yet: an end of the carrier would cut it off on some routers.
  assert.equal(carriers[0].writableEnded, false);
  assert.equal(one.destroyed, false);
  const heard = await hearAll(other);
  assert.deepEqual([heard.bytes.length, heard.ended], [last.length, true]);
  await settle();
  assert.deepEqual([one.destroyed, other.destroyed], [true, true]);
  assert.deepEqual([one.errored, other.errored], [null, null]);
});

test('a slow reader still gets what had come when the carrier closes behind both ends', async () => {
  const { one, other } = framedPair();
  other.resume();
  one.end();
  await settle();
  other.end('the last words');
  await settle();
  const heard = await hearAll(one);
  assert.deepEqual([heard.bytes.toString(), heard.ended], ['the last words', true]);
  await settle();
  assert.equal(one.destroyed, true);
});

for (const [name, cut] of [
  ['ends', (carrier) => carrier.end()],
  ['closes', (carrier) => carrier.destroy()],
  ['resets', (carrier) => carrier.resetAndDestroy()],
] as const satisfies ReadonlyArray<readonly [string, (carrier: LineEnd) => unknown]>) {
  test(`a carrier that ${name} in the middle is a failure for both, never a regular end`, async () => {
    const { one, other, carriers } = framedPair();
    one.write('half of it');
    await settle();
    const heard = [hearAll(one), hearAll(other)];
    cut(carriers[0]);
    for (const side of await Promise.all(heard)) {
      assert.equal(side.ended, false);
      assert.equal(isCut(side.error), true);
    }
    assert.deepEqual([one.destroyed, other.destroyed], [true, true]);
  });
}

test('an end in one direction only is still a cut when the carrier goes', async () => {
  const { one, other, carriers } = framedPair();
  const heard = hearAll(one);
  other.end('everything');
  assert.equal((await heard).ended, true);
  carriers[1].destroy();
  await settle();
  assert.equal(isCut(one.errored), true);
  assert.equal(isCut(other.errored), true);
});

test('a carrier that is gone before it is framed is a cut', async () => {
  const [carrier] = line();
  carrier.destroy();
  await settle();
  const framed = createFramedStream(carrier);
  await settle();
  assert.equal(framed.destroyed, true);
  assert.equal(isCut(framed.errored), true);
});

test('destroying the stream closes its carrier', async () => {
  const { one, carriers } = framedPair();
  one.destroy();
  await settle();
  assert.equal(carriers[0].destroyed, true);
});

test('a reader that reads nothing stops the writer', async () => {
  const { one, other, carriers } = framedPair();
  let written = 0;
  for (let round = 0; round < 100; round += 1) {
    if (!one.writableNeedDrain) {
      one.write(Buffer.alloc(16 * 1024));
      written += 16 * 1024;
    }
    await settle();
  }
  const held = one.writableLength + other.readableLength + carriers[0].held + carriers[1].held;
  assert.ok(written < 300_000, `${written} bytes were taken`);
  assert.ok(held < 300_000, `${held} bytes are held`);
  const heard = hearAll(other);
  one.end();
  assert.equal((await heard).bytes.length, written);
});

test('any writes in any pieces arrive unchanged, and both sides end in a regular way', async () => {
  const sizes = fc.array(fc.oneof(fc.integer({ min: 0, max: 50 }), fc.constantFrom(65_534, 65_535, 65_536, 140_000)), {
    maxLength: 6,
  });
  await fc.assert(
    fc.asyncProperty(sizes, sizes, async (out, back) => {
      const { one, other } = framedPair();
      const heard = [hearAll(other), hearAll(one)] as const;
      const say = (stream: Duplex, lengths: readonly number[], value: number) => {
        for (const length of lengths) stream.write(Buffer.alloc(length, value));
        stream.end();
      };
      say(one, out, 1);
      say(other, back, 2);
      const [atOther, atOne] = await Promise.all(heard);
      const total = (lengths: readonly number[]) => lengths.reduce((sum, length) => sum + length, 0);
      assert.ok(atOther.bytes.equals(Buffer.alloc(total(out), 1)));
      assert.ok(atOne.bytes.equals(Buffer.alloc(total(back), 2)));
      assert.deepEqual([atOther.ended, atOne.ended], [true, true]);
      await settle();
      assert.deepEqual([one.destroyed, other.destroyed], [true, true]);
    }),
    { numRuns: 40 },
  );
});

test('between two relays: a client half-closes, the service answers later, and no one is left', async () => {
  const clock = new FakeClock();
  const { one, other } = framedPair();
  const [client, near] = line();
  const [inside, service] = line();
  const relay = createRelayCore({ clock, maxPairs: 2, heldEndMs: 30_000 });
  const options = { signal: new AbortController().signal, idleMs: 0 };
  const left = relay.join({ stream: near, halfClose: true }, { stream: one, halfClose: true }, options);
  const right = relay.join({ stream: other, halfClose: true }, { stream: inside, halfClose: true }, options);
  const request = hearAll(service);
  client.end('request');
  assert.deepEqual((await request).bytes.toString(), 'request');
  await clock.advance(3_600_000);
  const answer = Buffer.alloc(200_000, 'b');
  service.end(answer);
  await clock.advance(30_000);
  // The client is slow, and yet gets everything.
  const heard = await hearAll(client);
  assert.deepEqual([heard.bytes.length, heard.ended], [answer.length, true]);
  assert.deepEqual([(await left).ended, (await right).ended], ['both-finished', 'both-finished']);
  assert.equal(clock.pending, 0);
});

test('between two relays: a service that dies is a failure for the client too', async () => {
  const clock = new FakeClock();
  const { one, other } = framedPair();
  const [client, near] = line();
  const [inside, service] = line();
  const relay = createRelayCore({ clock, maxPairs: 2, heldEndMs: 30_000 });
  const options = { signal: new AbortController().signal, idleMs: 0 };
  const left = relay.join({ stream: near, halfClose: true }, { stream: one, halfClose: true }, options);
  const right = relay.join({ stream: other, halfClose: true }, { stream: inside, halfClose: true }, options);
  const heard = hearAll(client);
  service.write('half an ans');
  await clock.settle();
  service.resetAndDestroy();
  const { bytes, ended } = await heard;
  assert.deepEqual([bytes.toString(), ended], ['half an ans', false]);
  assert.deepEqual([(await left).ended, (await right).ended], ['far-failed', 'far-failed']);
  assert.equal(clock.pending, 0);
});

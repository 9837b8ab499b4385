/** The pair of streams that stands for a TCP connection in tests. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type Duplex, finished } from 'node:stream';
import { test } from 'node:test';
import { duplexPair } from '../../helpers/duplex.ts';
import { FakeClock } from '../../helpers/fake-clock.ts';
import { until } from '../../helpers/until.ts';

test('carries bytes both ways, and each direction ends by itself', async () => {
  const { left, right } = duplexPair();
  left.end('ping');
  assert.equal(await allOf(right), 'ping');
  assert.equal(right.writable, true);
  right.end('pong');
  assert.equal(await allOf(left), 'pong');
});

/** Unlike an iterator over the stream, this leaves its other direction alone. */
async function allOf(stream: Duplex): Promise<string> {
  let all = '';
  stream.on('data', (piece: Buffer) => {
    all += piece.toString('latin1');
  });
  await once(stream, 'end');
  return all;
}

test('cuts writes into the given sizes, in turn', async () => {
  const { left, right } = duplexPair({ pieces: [1, 3] });
  const sizes: number[] = [];
  right.on('data', (piece: Buffer) => sizes.push(piece.length));
  left.end('0123456789');
  await once(right, 'end');
  assert.deepEqual(sizes, [1, 3, 1, 3, 1, 1]);
});

test('delays by the clock', async () => {
  const clock = new FakeClock();
  const { left, right } = duplexPair({ delay: { clock, ms: 100 } });
  left.write('x');
  await clock.advance(99);
  assert.equal(right.read(), null);
  await clock.advance(1);
  assert.equal(String(right.read()), 'x');
});

test('stops the writer while the reader stalls', async () => {
  const { left, right } = duplexPair({ highWaterMark: 10 });
  let written = 0;
  for (let count = 0; count < 10; count += 1) left.write('12345', () => (written += 5));
  await new FakeClock().settle();
  assert.equal(left.writableNeedDrain, true);
  assert.ok(written <= 10, `${written} bytes taken`);
  right.resume();
  await until('all is taken', () => written === 50);
});

function fate(stream: Duplex): Promise<string> {
  return new Promise((resolve) => {
    finished(stream, { writable: false }, (error) =>
      resolve(error === null || error === undefined ? 'end' : `${'code' in error ? error.code : error.message}`),
    );
    stream.resume();
  });
}

for (const [name, error, seen] of [
  ['without an error the other side reads to the end', undefined, 'end'],
  ['with an error the other side is reset', new Error('gone'), 'ECONNRESET'],
] as const) {
  test(`a side dies: ${name}`, async () => {
    const pair = duplexPair();
    pair.left.write('last words');
    const other = fate(pair.right);
    pair.kill('left', error);
    assert.equal(await other, seen);
    if (error === undefined) {
      const [failure] = await Promise.all([once(pair.right, 'error'), pair.right.write('into nothing')]);
      assert.equal(failure[0].code, 'EPIPE');
    }
  });
}

/** What becomes of bytes that a stream lends, while the other side takes nothing. */
import assert from 'node:assert/strict';
import { Duplex } from 'node:stream';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import type { Loan } from '../../../../src/core/ports.ts';
import { createRelayCore } from '../../../../src/core/relay/relay.ts';
import { FakeClock } from '../../../helpers/fake-clock.ts';

const PIECE = 8 * 1024;

/** A stream that lends, joined to one that takes a piece only when it is let. */
function joined() {
  let lendTo: ((bytes: Uint8Array, lender: Duplex) => Loan) | undefined;
  const lend = (take: typeof lendTo) => {
    lendTo = take;
  };
  const lender = Object.assign(new Duplex({ read: () => {}, write: () => {} }), { lend });
  const taken: Uint8Array[] = [];
  let takeMore: (() => void) | undefined;
  const write = (bytes: Uint8Array, _encoding: string, done: () => void) => {
    taken.push(bytes);
    takeMore = done;
  };
  const taker = Object.assign(new Duplex({ read: () => {}, write, highWaterMark: 8 * PIECE }), { writesThrough: true });
  const relay = createRelayCore({ clock: new FakeClock(), maxPairs: 1, heldEndMs: 1_000 });
  const abort = new AbortController();
  const report = relay.join(
    { stream: lender, halfClose: true },
    { stream: taker, halfClose: true },
    { signal: abort.signal, idleMs: 0 },
  );
  return {
    lender,
    taken,
    lendOut: (bytes: Uint8Array) => lendTo?.(bytes, lender),
    takeAll: () => {
      while (takeMore !== undefined) {
        const next = takeMore;
        takeMore = undefined;
        next();
      }
    },
    end: async () => {
      abort.abort();
      await report;
    },
  };
}

test('of what has to wait only the first piece is kept, and the memory of the others may be used again', async () => {
  const { lendOut, taken, takeAll, end } = joined();
  const kept = Buffer.alloc(PIECE, 1);
  const usedAgain = Buffer.alloc(PIECE);
  assert.equal(lendOut(kept), 'kept');
  for (const value of [2, 3]) assert.equal(lendOut(usedAgain.fill(value)), 'done');
  takeAll();
  assert.equal(lendOut(kept), 'kept');
  assert.deepEqual(Buffer.concat(taken), Buffer.concat([1, 2, 3, 1].map((value) => Buffer.alloc(PIECE, value))));
  await end();
});

test('more than may wait is in use until all of it has been taken, when the stream that lent it is resumed', async () => {
  const { lender, lendOut, takeAll, end } = joined();
  assert.equal(lendOut(Buffer.alloc(8 * PIECE)), 'until-resumed');
  await setImmediate();
  assert.equal(lender.isPaused(), true);
  takeAll();
  await setImmediate();
  assert.equal(lender.isPaused(), false);
  await end();
});

/** Driving a machine over a stream: no byte is lost at the seam, and nothing is left hanging on the stream. */
import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { Duplex } from 'node:stream';
import { test } from 'node:test';
import { type DriveOptions, drive } from '../../../src/kit/drive.ts';
import { GateError } from '../../../src/kit/errors.ts';
import type { Machine, Step } from '../../../src/kit/step.ts';
import { cuts, gateRejection } from './support.ts';

/** A stream whose other side is the test: `push` is what comes, `written` what went. */
class Wire extends Duplex {
  readonly written: Buffer[] = [];

  constructor() {
    super({ allowHalfOpen: true });
    this.on('error', () => {});
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.written.push(chunk);
    done();
  }
}

/** Sends `hi`, wants a line, sends `ok`, wants another line; the lines are its outcome. */
function twoLines(): Machine<readonly string[]> {
  const script: Array<'hi' | 'ok' | 'line'> = ['hi', 'line', 'ok', 'line'];
  const lines: string[] = [];
  let held = '';
  return {
    step(input): Step<readonly string[]> {
      held += Buffer.from(input).toString('latin1');
      for (;;) {
        const next = script[0];
        if (next === undefined) return { kind: 'done', out: lines, rest: Buffer.from(held, 'latin1') };
        if (next !== 'line') {
          script.shift();
          return { kind: 'send', bytes: Buffer.from(next) };
        }
        const end = held.indexOf('\n');
        if (end < 0) return { kind: 'receive' };
        const line = held.slice(0, end);
        held = held.slice(end + 1);
        if (line === 'bad') throw new GateError('router-protocol', 'test.bad', 'bad line');
        lines.push(line);
        script.shift();
      }
    },
  };
}

function setUp() {
  const wire = new Wire();
  const controller = new AbortController();
  const options: DriveOptions = {
    doing: 'talking',
    signal: controller.signal,
    onEnd: () => new GateError('peer-closed', 'test.end', 'ended'),
  };
  const before = counts(wire);
  return {
    wire,
    controller,
    options,
    clean: () => {
      assert.deepEqual(counts(wire), before, 'listeners are left on the stream');
      assert.equal(getEventListeners(controller.signal, 'abort').length, 0, 'listeners are left on the signal');
    },
  };
}

function counts(wire: Duplex): Record<string, number> {
  return Object.fromEntries(
    ['readable', 'data', 'end', 'close', 'error', 'drain', 'finish'].map((name) => [name, wire.listenerCount(name)]),
  );
}

/** All that can still be read, to the end. */
async function remainder(wire: Duplex): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of wire) chunks.push(chunk);
  return Buffer.concat(chunks).toString('latin1');
}

const tick = () => new Promise(setImmediate);
/** Where the bytes come from matters: after a timer's callback Node runs its ticks before promises, otherwise after. */
const CALLERS: Readonly<Record<string, (act: () => void) => Promise<void>>> = {
  'a promise': async (act) => {
    await tick();
    act();
  },
  'a callback': (act) =>
    new Promise((resolve) => {
      setImmediate(() => {
        act();
        resolve();
      });
    }),
  'a tick': (act) =>
    new Promise((resolve) => {
      process.nextTick(() => {
        act();
        resolve();
      });
    }),
};
const REPLIES = Buffer.from('first\nsecond\nthe rest is not ours', 'latin1');

test('any split, each piece in its own turn: the same outcome, the same rest, nothing left behind', async () => {
  for (const pieces of cuts(REPLIES)) {
    const { wire, options, clean } = setUp();
    const driven = drive(twoLines(), wire, options);
    for (const piece of pieces) {
      wire.push(piece.length > 0 ? piece : undefined);
      await tick();
    }
    wire.push(null);
    assert.deepEqual(await driven, ['first', 'second']);
    assert.equal(Buffer.concat(wire.written).toString(), 'hiok');
    clean();
    assert.equal(await remainder(wire), 'the rest is not ours');
  }
});

for (const [caller, call] of Object.entries(CALLERS)) {
  test(`any split, all at once and the end with it, out of ${caller}: the rest is still there`, async () => {
    for (const pieces of cuts(REPLIES)) {
      const { wire, options, clean } = setUp();
      const driven = drive(twoLines(), wire, options);
      await tick();
      await call(() => {
        for (const piece of pieces) wire.push(piece);
        wire.push(null);
      });
      assert.deepEqual(await driven, ['first', 'second']);
      clean();
      assert.equal(await remainder(wire), 'the rest is not ours');
    }
  });

  test(`everything was there, the end included, before anybody listened, out of ${caller}`, async () => {
    const { wire, options, clean } = setUp();
    wire.push(REPLIES);
    wire.push(null);
    await tick();
    let driven: Promise<readonly string[]> = Promise.resolve([]);
    await call(() => {
      driven = drive(twoLines(), wire, options);
    });
    assert.deepEqual(await driven, ['first', 'second']);
    clean();
    assert.equal(await remainder(wire), 'the rest is not ours');
  });

  test(`a machine that only looks leaves everything in the stream, even when the end came with it, out of ${caller}`, async () => {
    const { wire, options } = setUp();
    const driven = drive(look, wire, options);
    await tick();
    await call(() => {
      wire.push('`all of it');
      wire.push(null);
    });
    assert.equal(await driven, 0x60);
    assert.equal(await remainder(wire), '`all of it');
  });
}

/** Wants one byte and takes none. */
const look: Machine<number | undefined> = {
  step: (input) => (input.length === 0 ? { kind: 'receive' } : { kind: 'done', out: input[0], rest: input }),
};

test('the last line and the end in one segment, and nothing behind it, is a success', async () => {
  const { wire, options, clean } = setUp();
  const driven = drive(twoLines(), wire, options);
  await tick();
  wire.push('first\nsecond\n');
  wire.push(null);
  assert.deepEqual(await driven, ['first', 'second']);
  clean();
  assert.equal(await remainder(wire), '');
});

test('afterwards the stream is paused, and flows for whoever takes it next, what was there before what comes', async () => {
  const { wire, options, clean } = setUp();
  const driven = drive(twoLines(), wire, options);
  wire.push('first\nsecond\nearly ');
  await driven;
  clean();
  wire.push('late ');
  await tick();
  assert.notEqual(wire.readableFlowing, true);
  const seen: string[] = [];
  wire.on('data', (chunk: Buffer) => seen.push(chunk.toString()));
  wire.resume();
  await tick();
  wire.push('last');
  wire.push(null);
  await new Promise((resolve) => wire.on('end', resolve));
  assert.equal(seen.join(''), 'early late last');
});

test('a reader that attaches at once after the drive gets everything too', async () => {
  const { wire, options } = setUp();
  const driven = drive(twoLines(), wire, options).then(() => remainder(wire));
  wire.push('first\nsecond\nearly ');
  await tick();
  wire.push('late');
  wire.push(null);
  assert.equal(await driven, 'early late');
});

test('one drive after the other on the same stream', async () => {
  const { wire, options, clean } = setUp();
  const both = drive(twoLines(), wire, options).then(async (one) => [
    ...one,
    ...(await drive(twoLines(), wire, options)),
  ]);
  wire.push('1\n2\n3\n4\nrest');
  wire.push(null);
  assert.deepEqual(await both, ['1', '2', '3', '4']);
  clean();
  assert.equal(await remainder(wire), 'rest');
});

test("the end in the middle is an error of the caller's choice", async () => {
  for (const said of ['', 'fir', 'first\n', 'first\nsec']) {
    const { wire, options, clean } = setUp();
    const driven = drive(twoLines(), wire, options);
    if (said !== '') wire.push(said);
    wire.push(null);
    assert.equal((await gateRejection('peer-closed', driven)).code, 'test.end');
    clean();
    assert.equal(wire.destroyed, false, 'whether to destroy is for the caller');
  }
});

test('a stream that has ended or gone before the drive begins is the same', async () => {
  const ended = setUp();
  ended.wire.push(null);
  ended.wire.resume();
  await tick();
  await gateRejection('peer-closed', drive(twoLines(), ended.wire, ended.options));
  ended.clean();

  const gone = setUp();
  gone.wire.destroy();
  await gateRejection('peer-closed', drive(twoLines(), gone.wire, gone.options));
  await tick();
  gone.clean();
});

test('a stream that died of an error before the drive begins says so', async () => {
  const { wire, options, clean } = setUp();
  wire.destroy(Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' }));
  await tick();
  await gateRejection('local-io', drive(twoLines(), wire, options));
  clean();
});

test('a stream that is destroyed in the middle is an end', async () => {
  const { wire, options, clean } = setUp();
  const driven = drive(twoLines(), wire, options);
  wire.push('first\n');
  await tick();
  wire.destroy();
  await gateRejection('peer-closed', driven);
  clean();
});

test('an error in the middle comes out as what it is', async () => {
  const { wire, options, clean } = setUp();
  const driven = drive(twoLines(), wire, options);
  wire.push('first\n');
  await tick();
  wire.destroy(Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' }));
  const error = await gateRejection('local-io', driven);
  assert.equal(error.facts['errno'], 'ECONNRESET');
  assert.match(error.message, /^talking: /);
  clean();
});

test('an abort in the middle ends the drive with its reason and leaves the stream alone', async () => {
  const { wire, options, controller, clean } = setUp();
  const driven = drive(twoLines(), wire, options);
  wire.push('first\nsec');
  await tick();
  const reason = new GateError('shutdown', 'shutdown', 'stopping');
  controller.abort(reason);
  assert.equal(await gateRejection('shutdown', driven), reason);
  clean();
  assert.equal(wire.destroyed, false);
});

test('nothing is said for a signal that was over before', async () => {
  const { wire, options, controller, clean } = setUp();
  controller.abort(new GateError('cancelled', 'cancelled', 'no longer wanted'));
  await gateRejection('cancelled', drive(twoLines(), wire, options));
  assert.deepEqual(wire.written, []);
  clean();
});

test('what the machine throws comes out, at the first line and at the second', async () => {
  for (const said of ['bad\n', 'first\nbad\nmore']) {
    const { wire, options, clean } = setUp();
    const driven = drive(twoLines(), wire, options);
    wire.push(said);
    assert.equal((await gateRejection('router-protocol', driven)).code, 'test.bad');
    clean();
  }
});

test('a machine that is done at once leaves everything in the stream', async () => {
  const { wire, options, clean } = setUp();
  wire.push('all of it');
  wire.push(null);
  const done: Machine<number> = { step: (input) => ({ kind: 'done', out: 7, rest: input }) };
  assert.equal(await drive(done, wire, options), 7);
  clean();
  assert.equal(await remainder(wire), 'all of it');
});

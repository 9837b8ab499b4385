/** What no real peer can be made to do at will; all else of these sockets is shown on real ones, in test/net. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Loan } from '../../../src/core/ports.ts';
import { NativeSocket } from '../../../src/io/native-socket.ts';
import { type NativeSockets, SOCKET_EVENT } from '../../../src/io/native-sockets.ts';
import { ReadBuffers } from '../../../src/io/read-buffers.ts';

const UNUSED: NativeSockets = {
  listenTcp: () => assert.fail(),
  listenUnix: () => assert.fail(),
  accept: () => assert.fail(),
  connectTcp: () => assert.fail(),
  connectUnix: () => assert.fail(),
  isConnected: () => assert.fail(),
  watch: () => {},
  read: () => assert.fail(),
  write: () => assert.fail(),
  writeParts: () => assert.fail(),
  finish: () => assert.fail(),
  limitUnsent: () => assert.fail(),
  remoteAddress: () => undefined,
  localAddress: () => undefined,
  localPort: () => 0,
  close: () => {},
};

test('a socket that is never empty leaves the others their turn', () => {
  const sizes: number[] = [];
  const read = (_place: number, { length }: Uint8Array) => {
    sizes.push(length);
    return length;
  };
  const home = { native: { ...UNUSED, read }, buffers: new ReadBuffers(), occupy: () => {}, close: () => {} };
  const socket = new NativeSocket(home, 0, {});
  let lent = 0;
  socket.lend((bytes) => {
    lent += bytes.length;
    return 'done';
  });
  socket.on('data', () => assert.fail('it is lent'));
  socket.resume();
  for (let turn = 1; turn <= 3; turn += 1) {
    socket.ready(SOCKET_EVENT.readable);
    assert.equal(sizes.length, 8 * turn);
  }
  assert.equal(Math.max(...sizes), 256 * 1024);
  assert.equal(lent, 64 * 1024 + 23 * 256 * 1024);
  socket.destroy();
});

/** Sockets that read into the same buffers, and what each lent last. */
function readers(): (place: number, length: number, value: number, loan: Loan) => Uint8Array {
  let next = { length: 0, value: 0 };
  const read = (_place: number, into: Uint8Array) => {
    into.fill(next.value, 0, next.length);
    return next.length;
  };
  const home = { native: { ...UNUSED, read }, buffers: new ReadBuffers(), occupy: () => {}, close: () => {} };
  const sockets = [0, 1].map((place) => new NativeSocket(home, place, {}));
  return (place, length, value, loan) => {
    next = { length, value };
    let lent: Uint8Array | undefined;
    const socket = sockets[place];
    assert.ok(socket !== undefined);
    socket.lend((bytes) => {
      lent = bytes;
      return loan;
    });
    socket.resume();
    socket.ready(SOCKET_EVENT.readable);
    assert.ok(lent !== undefined);
    assert.deepEqual(Buffer.from(lent), Buffer.alloc(length, value));
    return lent;
  };
}

for (const length of [100, 5_000]) {
  test(`${length} bytes that are kept stay as they are, whoever reads next`, () => {
    const read = readers();
    const kept = read(0, length, 1, 'kept');
    read(1, length, 2, 'done');
    read(0, length, 3, 'kept');
    assert.deepEqual(Buffer.from(kept), Buffer.alloc(length, 1));
  });
}

test('pieces that nobody keeps are lent from the same memory, and a few bytes that somebody keeps hold none of it', () => {
  const read = readers();
  const first = read(0, 5_000, 1, 'done');
  assert.equal(read(1, 60_000, 2, 'done').buffer, first.buffer);
  const small = read(0, 100, 3, 'kept');
  assert.notEqual(small.buffer, first.buffer);
  assert.equal(read(1, 5_000, 4, 'kept').buffer, first.buffer);
  assert.notEqual(read(0, 5_000, 5, 'done').buffer, first.buffer);
});

/** A socket that has filled a large buffer, which somebody still needs who has paused it. */
function lentLarge() {
  const buffers = new ReadBuffers();
  let value = 0;
  const read = (_place: number, into: Uint8Array) => {
    value += 1;
    into.fill(value);
    return into.length;
  };
  const home = { native: { ...UNUSED, read }, buffers, occupy: () => {}, close: () => {} };
  const socket = new NativeSocket(home, 0, {});
  const lent: Uint8Array[] = [];
  socket.lend((bytes) => {
    lent.push(bytes);
    if (lent.length === 1) return 'done';
    socket.pause();
    return 'until-resumed';
  });
  socket.resume();
  socket.ready(SOCKET_EVENT.readable);
  const large = lent[1];
  assert.ok(large !== undefined && lent.length === 2);
  assert.equal(large.length, 256 * 1024);
  return { buffers, socket, lent, large };
}

test('a large buffer that is lent until the socket is resumed is read into again then, and not before', () => {
  const { socket, lent, large } = lentLarge();
  socket.ready(SOCKET_EVENT.readable);
  assert.deepEqual([lent.length, large[0]], [2, 2]);
  socket.resume();
  socket.ready(SOCKET_EVENT.readable);
  assert.equal(lent[2]?.buffer, large.buffer);
  socket.destroy();
});

test('one that is still lent when its socket closes goes to no other', () => {
  const { buffers, socket, large } = lentLarge();
  socket.destroy();
  assert.notEqual(buffers.borrow().buffer, large.buffer);
});

/** What no real peer can be made to do at will; all else of these sockets is shown on real ones, in test/net. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
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

/** What a kernel takes ahead of a reader that stands still, with the limit and without; and that nobody needs the addon. */
import assert from 'node:assert/strict';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { unsentLimit } from '../../../src/io/unsent-limit.ts';

let server: Server;
let port = 0;
const sockets: Socket[] = [];

before(async () => {
  // Takes connections and reads nothing.
  server = createServer({ pauseOnConnect: true }, (socket) => sockets.push(socket));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address !== null && typeof address === 'object') port = address.port;
});
after(async () => {
  for (const socket of sockets) socket.destroy();
  await new Promise((resolve) => server.close(resolve));
});

async function opened(): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port, noDelay: true });
  sockets.push(socket);
  await new Promise((resolve) => socket.once('connect', resolve));
  return socket;
}

/** Writes piece by piece until the kernel takes no more for a while. @returns bytes that it took */
async function takenBy(socket: Socket): Promise<number> {
  const piece = Buffer.alloc(4 * 1024);
  let taken = 0;
  for (;;) {
    const done = new Promise<boolean>((resolve) => {
      const timer = setTimeout(() => resolve(false), 300);
      socket.write(piece, () => {
        clearTimeout(timer);
        resolve(true);
      });
    });
    if (!(await done)) return taken;
    taken += piece.length;
  }
}

test('with the limit the kernel takes far less ahead of a reader that stands still', async () => {
  const [free, limited] = [await opened(), await opened()];
  unsentLimit().call(limited, 16 * 1024);
  const [much, little] = [await takenBy(free), await takenBy(limited)];
  assert.ok(little < much / 2, `${little} and ${much} bytes`);
});

test('without the addon, and on a socket that is closed, nothing happens', async () => {
  const socket = await opened();
  unsentLimit(() => {
    throw new Error('not built');
  }).call(socket, 16 * 1024);
  socket.destroy();
  unsentLimit().call(socket, 16 * 1024);
  assert.equal(socket.destroyed, true);
});

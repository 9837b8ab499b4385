/** What a kernel takes ahead of a reader that stands still, with the limit and without; and that nobody needs the addon. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { unsentLimit } from '../../src/io/unsent-limit.ts';

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

/**
 * Writes piece by piece until the kernel takes no more for a while.
 *
 * @returns bytes that it holds for sending; what it has sent lies with the reader's kernel, which takes what it likes
 */
async function heldFor(socket: Socket): Promise<number> {
  const piece = Buffer.alloc(4 * 1024);
  for (;;) {
    const done = new Promise<boolean>((resolve) => {
      const timer = setTimeout(() => resolve(false), 300);
      socket.write(piece, () => {
        clearTimeout(timer);
        resolve(true);
      });
    });
    if (!(await done)) return sendQueueOf(socket);
  }
}

/** As the kernel tells it (proc(5), /proc/net/tcp). */
function sendQueueOf({ localPort = 0 }: Socket): number {
  const local = `:${localPort.toString(16).toUpperCase().padStart(4, '0')}`;
  const line = readFileSync('/proc/net/tcp', 'utf8')
    .split('\n')
    .map((each) => each.trim().split(/\s+/))
    .find((fields) => fields[1]?.endsWith(local));
  return Number.parseInt(line?.[4]?.split(':')[0] ?? assert.fail('no such socket'), 16);
}

test('with the limit the kernel takes far less ahead of a reader that stands still', async () => {
  const [free, limited] = [await opened(), await opened()];
  unsentLimit().call(limited, 16 * 1024);
  const [much, little] = [await heldFor(free), await heldFor(limited)];
  assert.ok(little < 128 * 1024 && little < much / 2, `${little} and ${much} bytes`);
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

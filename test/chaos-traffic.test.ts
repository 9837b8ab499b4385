/** What the fault lab sends and reads: that a byte which is not at its place is seen, and what was lost is counted. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { describe, test } from 'node:test';
import { echoOn } from '../scripts/chaos/echo-stream.ts';
import { reader } from '../scripts/chaos/socks-client.ts';
import { fileBytes, handedOver, LARGE_FILE, webServer } from '../scripts/lab/web-server.ts';
import { until } from './helpers/until.ts';

const BLOCK = 1_000;

async function portOf(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : assert.fail('no port');
}

/** Talks with an echo server that treats the bytes so, counted from the first. */
async function talk(treat: (bytes: Buffer, client: Socket) => void) {
  const server = createServer((client) => {
    client.on('data', (bytes) => treat(bytes, client));
    client.on('error', () => {});
  });
  const socket = connect(await portOf(server), '127.0.0.1');
  const end = await echoOn(socket, reader(socket), () => {}, new AbortController().signal);
  server.close();
  return end;
}

describe('an echo', () => {
  /** Of all bytes, from which on the server is at fault. */
  const AT = 2 * BLOCK + 7;
  const faults: readonly (readonly [string, (rest: Buffer) => Buffer])[] = [
    ['altered', (rest) => Buffer.concat([Buffer.of((rest[0] ?? 0) ^ 1), rest.subarray(1)])],
    ['missing', (rest) => rest.subarray(1)],
    ['doubled', (rest) => Buffer.concat([rest.subarray(0, 1), rest])],
  ];
  for (const [what, fault] of faults) {
    test(`with one byte ${what} is wrong`, async () => {
      let seen = 0;
      const { isWrong, why, came } = await talk((bytes, client) => {
        const at = AT - seen;
        seen += bytes.length;
        const isHere = at >= 0 && at < bytes.length;
        client.write(isHere ? Buffer.concat([bytes.subarray(0, at), fault(bytes.subarray(at))]) : bytes);
      });
      assert.ok(isWrong, why);
      assert.match(why, /^a byte between \d+ and \d+ is wrong$/);
      assert.ok(came <= AT, `${came} bytes were taken as right`);
    });
  }

  test('that ends is not wrong, and what did not come back is known', async () => {
    let seen = 0;
    const { isWrong, sent, came } = await talk((bytes, client) => {
      const echoed = bytes.subarray(0, Math.max(BLOCK - seen, 0));
      seen += bytes.length;
      if (seen <= BLOCK) client.write(echoed);
      else client.end(echoed);
    });
    assert.deepEqual([isWrong, came], [false, BLOCK]);
    assert.ok(sent >= 2 * BLOCK && sent % BLOCK === 0, `${sent} were sent`);
  });
});

test('a web server knows what it has handed over to a download that breaks', async () => {
  const server = webServer();
  const socket = connect(await portOf(server), '127.0.0.1');
  socket.write(`GET ${LARGE_FILE.path}?pace=50000&name=one HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n`);
  const read = reader(socket);
  await read.until('\r\n\r\n');
  let came = 0;
  while (came < 30_000) {
    const bytes = await read.some(LARGE_FILE.length);
    assert.deepEqual(bytes, fileBytes(LARGE_FILE).subarray(came, came + bytes.length));
    came += bytes.length;
  }
  // It goes on, and nobody reads it any more.
  const before = handedOver('one');
  assert.ok(before >= came);
  await until('more is handed over', () => handedOver('one') > before);
  assert.equal(handedOver('another'), 0);
  socket.destroy();
  server.close();
});

/**
 * A program: traffic inside a namespace, for as long as the fault lab runs. UDP and one long TCP connection to an echo
 * server, and two long downloads, through the interface and through SOCKS. Every sign of life is told over Node's IPC
 * channel as it comes, and so is a connection that breaks or brings wrong bytes.
 */
import { createSocket } from 'node:dgram';
import { connect, isIPv6, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { fileBytes, LARGE_FILE } from '../lab/web-server.ts';

/** Where everything is; told as one argument in JSON. */
export interface WatchOrder {
  readonly host: string;
  readonly echoPort: number;
  readonly webPort: number;
  readonly socks: { readonly host: string; readonly port: number };
}

export type Stream = 'tcp' | 'download' | 'socks';

export type Heard =
  | { readonly what: 'udp' | Stream }
  /** The connection ended before its time, or a byte was not what it had to be. `lost`: what was under way. */
  | { readonly what: 'broken'; readonly stream: Stream; readonly why: string; readonly lost: number };

const EVERY_MS = 200;
const BLOCK = 1_000;
/**
 * Of a download, in bytes per second: it lasts longer than most faults, and leaves the machine room. The server keeps to it,
 * since what waits in the kernel for a slow reader would go on coming while the line is cut.
 */
const PACE = 50_000;
const FILE = fileBytes(LARGE_FILE);
const AGAIN_MS = 1_000;

const order: WatchOrder = JSON.parse(process.argv[2] ?? '');
const tell = (heard: Heard) => process.send?.(heard);
process.on('disconnect', () => process.exit(0));

function datagrams(): void {
  const socket = createSocket('udp6');
  // The kernel passes on what routers say about earlier datagrams: the next one is another try.
  socket.on('error', () => {});
  socket.on('message', () => tell({ what: 'udp' }));
  setInterval(() => socket.send(Buffer.alloc(BLOCK), order.echoPort, order.host), EVERY_MS);
}

/** One connection, until it ends. Each byte says where in the stream it stands, but for a period of 251. */
function echoes(): Promise<void> {
  return new Promise((over) => {
    const socket = connect({ host: order.host, port: order.echoPort, noDelay: true });
    let [sent, came] = [0, 0];
    let why = 'the connection ended';
    const timer = setInterval(() => {
      if (socket.connecting) return;
      const from = sent;
      socket.write(Buffer.from(Array.from({ length: BLOCK }, (_, index) => (from + index) % 251)));
      sent += BLOCK;
    }, EVERY_MS);
    socket.on('data', (bytes) => {
      for (const byte of bytes) {
        if (byte !== came % 251) {
          why = `byte ${came} is wrong`;
          socket.destroy();
          return;
        }
        came += 1;
      }
      tell({ what: 'tcp' });
    });
    socket.on('error', (error) => {
      why = error.message;
    });
    socket.on('close', () => {
      clearInterval(timer);
      tell({ what: 'broken', stream: 'tcp', why, lost: sent - came });
      over();
    });
  });
}

/** One file from begin to end, each byte compared with what the web server makes. @throws Error when it breaks */
async function download(stream: 'download' | 'socks', socket: Socket, greet: (read: Reader) => Promise<void>) {
  const read = reader(socket);
  let came = 0;
  try {
    await greet(read);
    socket.write(`GET ${LARGE_FILE.path}?pace=${PACE} HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n`);
    await read.until('\r\n\r\n');
    while (came < FILE.length) {
      const bytes = await read.some(FILE.length - came);
      if (!bytes.equals(FILE.subarray(came, came + bytes.length))) {
        throw new Error(`a byte between ${came} and ${came + bytes.length} is wrong`);
      }
      came += bytes.length;
      tell({ what: stream });
    }
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    // None had to come where no byte came: the connection was never there.
    if (came > 0) tell({ what: 'broken', stream, why, lost: 0 });
  } finally {
    socket.destroy();
  }
}

interface Reader {
  /** What has come, at least a byte and at most so many. */
  some(most: number): Promise<Buffer>;
  exactly(length: number): Promise<Buffer>;
  /** What comes up to and with this mark. */
  until(mark: string): Promise<Buffer>;
}

function reader(socket: Socket): Reader {
  let ended: Error | undefined;
  let wake = () => {};
  const end = (error?: Error) => {
    ended ??= error ?? new Error('the connection ended');
    wake();
  };
  socket.on('readable', () => wake());
  socket.on('end', () => end());
  socket.on('close', () => end());
  socket.on('error', end);
  const take = async (pick: () => unknown): Promise<Buffer> => {
    for (;;) {
      const bytes = pick();
      if (bytes instanceof Buffer) return bytes;
      if (ended !== undefined) throw ended;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
  return {
    some: (most) => take(() => socket.read(Math.min(socket.readableLength, most))),
    exactly: (length) => take(() => socket.read(length)),
    until: async (mark) => {
      const bytes: Buffer[] = [];
      while (!Buffer.concat(bytes).includes(mark)) bytes.push(await take(() => socket.read(1)));
      return Buffer.concat(bytes);
    },
  };
}

/** SOCKS 5 without authentication, CONNECT to an IPv6 address (RFC 1928). */
async function throughSocks(socket: Socket, read: Reader): Promise<void> {
  socket.write(Buffer.from([5, 1, 0]));
  await read.exactly(2);
  const port = Buffer.alloc(2);
  port.writeUInt16BE(order.webPort);
  socket.write(Buffer.concat([Buffer.from([5, 1, 0, 4]), addressBytes(order.host), port]));
  const [, result] = await read.exactly(4 + 16 + 2);
  if (result !== 0) throw new Error(`SOCKS says ${result}`);
}

/** Of an address without an IPv4 part. */
function addressBytes(address: string): Buffer {
  if (!isIPv6(address)) throw new Error(`${address} is no IPv6 address`);
  const [head = '', tail] = address.split('::');
  const words = (text: string | undefined) => (text === undefined || text === '' ? [] : text.split(':'));
  const [before, after] = [words(head), words(tail)];
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => '0');
  const all = [...before, ...zeros, ...after];
  return Buffer.from(all.map((word) => word.padStart(4, '0')).join(''), 'hex');
}

async function again(run: () => Promise<void>): Promise<never> {
  for (;;) {
    await run();
    await pause(AGAIN_MS);
  }
}

datagrams();
void again(echoes);
void again(() => download('download', connect({ host: order.host, port: order.webPort }), async () => {}));
void again(() => {
  const socket = connect(order.socks);
  return download('socks', socket, (read) => throughSocks(socket, read));
});

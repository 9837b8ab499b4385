/**
 * A program: traffic inside a namespace, for as long as the fault lab runs. UDP and one long TCP connection to an echo
 * server, and two long downloads, through the interface and through SOCKS. Every sign of life is told over Node's IPC
 * channel as it comes, and so is a connection that breaks, and whatever is not what it has to be. On a message it gives its
 * connections up as broken, and on the message `end` it ends after that.
 */
import { createSocket } from 'node:dgram';
import { connect, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { fileBytes, LARGE_FILE } from '../lab/web-server.ts';
import { BLOCK, ECHO_EVERY_MS, ECHO_PACE, type EchoProgress, echoOn, pattern, WrongBytes } from './echo-stream.ts';
import { type Reader, reader, throughSocks } from './socks-client.ts';

/** Where everything is; told as one argument in JSON. */
export interface WatchOrder {
  readonly host: string;
  readonly echoPort: number;
  readonly webPort: number;
  readonly socks: { readonly host: string; readonly port: number };
}

export type Stream = 'tcp' | 'download' | 'socks';
export type Download = Exclude<Stream, 'tcp'>;

/** `came` and `sent` are bytes; the web server knows a download by its `name`. */
export type Progress = { readonly name: string; readonly came: number } & (
  | { readonly stream: 'tcp'; readonly sent: number }
  | { readonly stream: Download }
);

export type Heard =
  /** A datagram, and its echo. */
  | { readonly what: 'sent' | 'udp'; readonly number: number }
  | ({ readonly what: 'came' } & Progress)
  /** Bytes are not what they have to be at their place. A connection is given up then. */
  | { readonly what: 'wrong'; readonly kind: 'udp' | Stream; readonly why: string }
  /** A connection ended before its time. Its writer hands over `pace` bytes a second. */
  | ({ readonly what: 'broken'; readonly why: string; readonly pace: number } & Progress);

/**
 * Of a download, in bytes per second: it lasts longer than most faults, and leaves the machine room. The server keeps to it,
 * since what waits in the kernel for a slow reader would go on coming while the line is cut.
 */
const PACE = 50_000;
const FILE = fileBytes(LARGE_FILE);
const AGAIN_MS = 1_000;

const order: WatchOrder = JSON.parse(process.argv[2] ?? '');
const tell = (heard: Heard) => process.send?.(heard);
const ending = new AbortController();
process.on('disconnect', () => process.exit(0));

function datagrams(): void {
  const socket = createSocket('udp6');
  // The kernel passes on what routers say about earlier datagrams: the next one is another try.
  socket.on('error', () => {});
  const datagram = (number: number) => {
    const bytes = pattern(number, BLOCK);
    bytes.writeUInt32BE(number);
    return bytes;
  };
  socket.on('message', (bytes) => {
    const number = bytes.length < BLOCK ? 0 : bytes.readUInt32BE();
    if (bytes.equals(datagram(number))) tell({ what: 'udp', number });
    else tell({ what: 'wrong', kind: 'udp', why: `a datagram of ${bytes.length} bytes is none that was sent` });
  });
  // Not those of another one of these programs.
  let sent = (process.pid & 0xffff) << 8;
  setInterval(() => {
    sent += 1;
    tell({ what: 'sent', number: sent });
    socket.send(datagram(sent), order.echoPort, order.host);
  }, ECHO_EVERY_MS);
}

let connections = 0;
function newName(): string {
  connections += 1;
  return `${process.pid}-${connections}`;
}

/** One connection, until it ends. */
async function echoes(): Promise<void> {
  const name = newName();
  const socket = connect({ host: order.host, port: order.echoPort, noDelay: true });
  const more = (progress: EchoProgress) => tell({ what: 'came', stream: 'tcp', name, ...progress });
  const { came, sent, why, isWrong } = await echoOn(socket, reader(socket), more, ending.signal);
  if (isWrong) tell({ what: 'wrong', kind: 'tcp', why });
  // It was never there where no byte came.
  else if (came > 0) tell({ what: 'broken', stream: 'tcp', name, why, came, sent, pace: ECHO_PACE });
}

/** One file from begin to end, each byte compared with what the web server makes. */
async function download(stream: Download, socket: Socket, greet: (read: Reader) => Promise<void>) {
  const name = newName();
  const read = reader(socket);
  const giveUp = () => socket.destroy(new Error('given up'));
  ending.signal.addEventListener('abort', giveUp);
  let came = 0;
  try {
    await greet(read);
    socket.write(`GET ${LARGE_FILE.path}?pace=${PACE}&name=${name} HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n`);
    await read.until('\r\n\r\n');
    while (came < FILE.length) {
      const bytes = await read.some(FILE.length - came);
      if (!bytes.equals(FILE.subarray(came, came + bytes.length))) {
        throw new WrongBytes(`a byte between ${came} and ${came + bytes.length} is wrong`);
      }
      came += bytes.length;
      tell({ what: 'came', stream, name, came });
    }
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    if (error instanceof WrongBytes) tell({ what: 'wrong', kind: stream, why });
    // It was never there where no byte came.
    else if (came > 0) tell({ what: 'broken', stream, name, why, came, pace: PACE });
  } finally {
    ending.signal.removeEventListener('abort', giveUp);
    socket.destroy();
  }
}

async function again(run: () => Promise<void>): Promise<void> {
  while (!ending.signal.aborted) {
    await run();
    await pause(AGAIN_MS, undefined, { signal: ending.signal }).catch(() => {});
  }
}

datagrams();
const running = [
  again(echoes),
  again(() => download('download', connect({ host: order.host, port: order.webPort }), async () => {})),
  again(() => {
    const socket = connect(order.socks);
    return download('socks', socket, (read) => throughSocks(socket, read, order.host, order.webPort));
  }),
];
process.on('message', (message) => {
  ending.abort();
  if (message !== 'end') return;
  void Promise.all(running).then(() => process.disconnect());
});

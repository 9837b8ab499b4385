/**
 * A program: traffic inside a namespace, for as long as the fault lab runs. UDP and one long TCP connection to an echo
 * server; every echo is told over Node's IPC channel as it comes, and so is a stream that breaks or brings wrong bytes.
 */
import { createSocket } from 'node:dgram';
import { connect } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';

export type Heard =
  | { readonly what: 'udp' | 'tcp' }
  /** The connection ended before the last echo came, or an echo was not what had been sent. */
  | { readonly what: 'broken'; readonly why: string; readonly lost: number };

const EVERY_MS = 200;
const BLOCK = 1_000;

const [host = '', port = ''] = process.argv.slice(2);
const tell = (heard: Heard) => process.send?.(heard);
process.on('disconnect', () => process.exit(0));

function datagrams(): void {
  const socket = createSocket('udp6');
  // The kernel passes on what routers say about earlier datagrams: the next one is another try.
  socket.on('error', () => {});
  socket.on('message', () => tell({ what: 'udp' }));
  setInterval(() => socket.send(Buffer.alloc(BLOCK), Number(port), host), EVERY_MS);
}

/** One connection, until it ends. Each byte says where in the stream it stands, but for a period of 251. */
function stream(): Promise<void> {
  return new Promise((over) => {
    const socket = connect({ host, port: Number(port), noDelay: true });
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
      tell({ what: 'broken', why, lost: sent - came });
      over();
    });
  });
}

datagrams();
for (;;) {
  await stream();
  await pause(1_000);
}

/**
 * Sockets that lend out what they read (LendingStream in core/ports.ts). All of them read into one small buffer and hand
 * on copies, as any socket would; one that fills it gets a large buffer to itself, lends that, and gives it back when the
 * flood is over. So many idle sockets cost nothing, and a fast one makes no garbage.
 *
 * Node lets only sockets that we make ourselves read into a given buffer (`onread`), not those of its own servers.
 */
import { connect, type OnReadOpts, Socket, type SocketConstructorOpts, type TcpNetConnectOpts } from 'node:net';
import type { Loan } from '../core/ports.ts';

/** What Node reads at once without being told. */
const SMALL = 64 * 1024;
const LARGE = 256 * 1024;
/** Large buffers kept for the next flood: more at one time are allowed, and left to the garbage collector. */
const KEPT = 16;

export interface AdoptOptions extends SocketConstructorOpts {
  readonly highWaterMark?: number;
}

export interface LendingSockets {
  connect(options: TcpNetConnectOpts): Socket;
  /** Makes a socket of a descriptor, and owns it from then on. Paused. */
  adopt(fd: number, options: AdoptOptions): Socket;
}

/** @returns ways to make sockets that share their buffers */
export function lendingSockets(): LendingSockets {
  const small = Buffer.allocUnsafeSlow(SMALL);
  const spare: (typeof small)[] = [];
  const giveBack = (buffer: typeof small) => {
    if (buffer !== small && spare.length < KEPT) spare.push(buffer);
  };

  const lending = (make: (onread: OnReadOpts) => Socket): Socket => {
    let buffer = small;
    let take: ((bytes: Uint8Array) => Loan) | undefined;
    const lendOut = (bytes: Uint8Array, read: (bytes: Uint8Array) => Loan) => {
      if (buffer === small) {
        // Every other socket reads into it too, so nobody may go on using it.
        read(Buffer.from(bytes));
        if (bytes.length === SMALL) buffer = spare.pop() ?? Buffer.allocUnsafeSlow(LARGE);
        return;
      }
      const isKept = read(bytes) === 'kept';
      const isFlood = bytes.length >= SMALL;
      if (!isKept && isFlood) return;
      if (!isKept) giveBack(buffer);
      buffer = isFlood ? (spare.pop() ?? Buffer.allocUnsafeSlow(LARGE)) : small;
    };
    const onread: OnReadOpts = {
      // Asked once at the start, and again after every read.
      buffer: () => buffer,
      callback: (length) => {
        const bytes = buffer.subarray(0, length);
        // What came before the loan began is still on its way, and must not be overtaken.
        if (take === undefined || socket.readableLength > 0) return socket.push(Buffer.from(bytes));
        lendOut(bytes, take);
        // Who takes says by `pause` when it is enough.
        return true;
      },
    };
    const socket: Socket = make(onread);
    socket.once('close', () => {
      giveBack(buffer);
      buffer = small;
    });
    return Object.assign(socket, {
      writesThrough: true as const,
      lend: (taker: (bytes: Uint8Array) => Loan) => {
        take = taker;
      },
    });
  };

  return {
    connect: (options) => lending((onread) => connect({ ...options, onread })),
    adopt: (fd, options) =>
      lending((onread) => {
        const given = { ...options, fd, onread, readable: true, writable: true };
        // Node begins to read at once; nothing comes of it before the pause, as both are in one go.
        return new Socket(given).pause();
      }),
  };
}

/** Reads of a socket what a conversation needs next, and lets one become a connection through SOCKS. */
import { isIPv6, type Socket } from 'node:net';

export interface Reader {
  /** What has come, at least a byte and at most so many. */
  some(most: number): Promise<Buffer>;
  exactly(length: number): Promise<Buffer>;
  /** What comes up to and with this mark. */
  until(mark: string): Promise<Buffer>;
}

export function reader(socket: Socket): Reader {
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

/** SOCKS 5 without authentication, CONNECT to an IPv6 address (RFC 1928). @throws Error when it is refused */
export async function throughSocks(socket: Socket, read: Reader, host: string, portNumber: number): Promise<void> {
  socket.write(Buffer.from([5, 1, 0]));
  await read.exactly(2);
  const port = Buffer.alloc(2);
  port.writeUInt16BE(portNumber);
  socket.write(Buffer.concat([Buffer.from([5, 1, 0, 4]), addressBytes(host), port]));
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

/** A program at the SOCKS port that says every byte itself, and gets what comes back in pieces of the length that it asks for. */
import { connect, type Socket } from 'node:net';
import { until } from '../helpers/until.ts';

export class App {
  readonly socket: Socket;
  #received = Buffer.alloc(0);

  /** @param from the address of this machine to come from */
  constructor(port: number, from = '127.0.0.1') {
    this.socket = connect({ host: '127.0.0.1', port, localAddress: from });
    this.socket.on('data', (chunk) => {
      this.#received = Buffer.concat([this.#received, chunk]);
    });
    this.socket.on('error', () => {});
  }

  /** Bytes that have come and were not taken. */
  get held(): number {
    return this.#received.length;
  }

  request(command: number, host: Buffer, port = 0): void {
    this.socket.write(Buffer.concat([Buffer.of(5, command, 0), host, Buffer.of(port >> 8, port & 0xff)]));
  }

  async take(length: number): Promise<Buffer> {
    await until(`${length} bytes`, () => this.#received.length >= length, 30_000);
    const taken = this.#received.subarray(0, length);
    this.#received = this.#received.subarray(length);
    return taken;
  }
}

export function byName(name: string): Buffer {
  return Buffer.concat([Buffer.of(3, name.length), Buffer.from(name)]);
}

export function byAddress(address: Uint8Array): Buffer {
  return Buffer.concat([Buffer.of(4), address]);
}

/** The plainest SAM client: one TCP connection whose lines, bytes and end a test can wait for. Parses nothing. */
import { connect, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { until } from './until.ts';

export class SamClient {
  readonly socket: Socket;
  /** Everything that came and was not taken, as latin1. */
  received = '';
  /** How the bytes came: one entry for each read. */
  readonly reads: number[] = [];
  ended: 'open' | 'FIN' | 'RST' = 'open';

  constructor(address: { readonly host: string; readonly port: number }) {
    this.socket = connect({ ...address, noDelay: true, allowHalfOpen: true });
    this.socket.on('data', (chunk: Buffer) => {
      this.received += chunk.toString('latin1');
      this.reads.push(chunk.length);
    });
    this.socket.on('end', () => {
      this.ended = 'FIN';
    });
    this.socket.on('error', () => {
      this.ended = 'RST';
    });
  }

  send(text: string): void {
    this.socket.write(text, 'latin1');
  }

  /** @returns the next line, `<EOF>` at the end, or `<timeout>` when neither comes in time */
  async line(patienceMs = 3_000): Promise<string> {
    const end = performance.now() + patienceMs;
    for (;;) {
      const at = this.received.indexOf('\n');
      if (at >= 0) {
        const line = this.received.slice(0, at);
        this.received = this.received.slice(at + 1);
        return line;
      }
      if (this.ended !== 'open') return '<EOF>';
      if (performance.now() > end) return '<timeout>';
      await pause(1);
    }
  }

  async ask(command: string, patienceMs?: number): Promise<string> {
    this.send(`${command}\n`);
    return this.line(patienceMs);
  }

  /** Waits for so many bytes and takes all that came. */
  async take(length: number): Promise<string> {
    await until(`${length} bytes`, () => this.received.length >= length);
    const taken = this.received;
    this.received = '';
    return taken;
  }

  async end(): Promise<'FIN' | 'RST'> {
    await until('the end of the connection', () => this.ended !== 'open');
    return this.ended === 'RST' ? 'RST' : 'FIN';
  }

  destroy(): void {
    this.socket.destroy();
  }
}

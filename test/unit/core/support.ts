/**
 * What the tests of the core share: connections in memory whose fill can be measured, with and without half-close, and
 * peers to put into tables. Knows no sockets.
 */
import { createHash } from 'node:crypto';
import { Duplex } from 'node:stream';
import type { Peer } from '../../../src/core/peers/table.ts';
import { addressesOf } from '../../../src/wire/i2p/address.ts';
import { type B32, type Destination, parseDestination } from '../../../src/wire/i2p/destination.ts';

export interface LineOptions {
  /** Bytes that are under way in each direction before a writer has to wait. */
  readonly capacity?: number;
  /** False as on a stream through SAM: an end closes both directions, and what comes after it is lost. */
  readonly halfClose?: boolean;
}

/** Two ends of one connection. */
export function line(options: LineOptions = {}): readonly [LineEnd, LineEnd] {
  const one = new LineEnd(options);
  const other = new LineEnd(options);
  one.join(other);
  other.join(one);
  return [one, other];
}

type Written = (error: Error | null | undefined) => void;

export class LineEnd extends Duplex {
  /** Bytes that it was given to write, whatever became of them. */
  given = 0;
  readonly #capacity: number;
  readonly #halfClose: boolean;
  #other: LineEnd | undefined;
  #incoming: Buffer[] = [];
  #incomingBytes = 0;
  #incomingEnded = false;
  #pushedEnd = false;
  #wanted = false;
  #writerWaits: (() => void) | undefined;
  /** A router on the way died: nothing arrives any more, not even an end, and nobody is told. */
  #silent = false;
  /** The way is cut: routers keep what was sent, and nothing arrives. */
  #held = false;

  constructor({ capacity = 16 * 1024, halfClose = true }: LineOptions) {
    super({ allowHalfOpen: true, highWaterMark: 16 * 1024 });
    this.#capacity = capacity;
    this.#halfClose = halfClose;
    this.on('error', () => {});
  }

  join(other: LineEnd): void {
    this.#other = other;
  }

  /** From now on the two ends hear nothing of each other. */
  silence(): void {
    this.#silent = true;
    if (this.#other !== undefined) this.#other.#silent = true;
  }

  /** What is sent arrives only after `release`, and neither end knows why. */
  hold(): void {
    this.#held = true;
    if (this.#other !== undefined) this.#other.#held = true;
  }

  release(): void {
    for (const end of [this, this.#other]) {
      if (end === undefined) continue;
      end.#held = false;
      end.#pump();
    }
  }

  /** Bytes that this process holds on both ways, besides what is under way. */
  get held(): number {
    return this.readableLength + this.writableLength;
  }

  /** As `net.Socket` has it: the other end sees a failure, and loses what it has not been handed. */
  resetAndDestroy(): void {
    const other = this.#silent ? undefined : this.#other;
    this.destroy();
    other?.destroy(systemError('ECONNRESET'));
  }

  /** As TCP does: the address of the other end, while there is one. */
  get remoteAddress(): string | undefined {
    return this.destroyed ? undefined : '::1';
  }

  override write(chunk: Uint8Array | string, encoding?: BufferEncoding | Written, written?: Written): boolean {
    this.given += Buffer.byteLength(chunk);
    return typeof encoding === 'string' ? super.write(chunk, encoding, written) : super.write(chunk, encoding);
  }

  override _read(): void {
    this.#wanted = true;
    this.#pump();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    const other = this.#other;
    if (this.#silent) done();
    else if (other === undefined || (other.destroyed && !this.#held)) done(systemError('EPIPE'));
    // Lost, and nobody says so.
    else if (other.#incomingEnded) done();
    else {
      other.#incoming.push(Buffer.from(chunk));
      other.#incomingBytes += chunk.length;
      if (other.#incomingBytes > other.#capacity) other.#writerWaits = done;
      else done();
      // As from a socket: never while the writer is still writing.
      process.nextTick(() => other.#pump());
    }
  }

  override _final(done: (error?: Error | null) => void): void {
    if (!this.#silent) this.#other?.endOfFile();
    if (!this.#halfClose) this.endOfFile();
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    // The kernel closes for a process that does not: what was written before still arrives.
    if (!this.#silent) this.#other?.endOfFile();
    this.#releaseWriter();
    done(error);
  }

  endOfFile(): void {
    this.#incomingEnded = true;
    this.#releaseWriter();
    this.#pump();
  }

  #releaseWriter(): void {
    const writer = this.#writerWaits;
    this.#writerWaits = undefined;
    if (writer !== undefined) process.nextTick(writer);
  }

  #pump(): void {
    if (this.destroyed || this.#held) return;
    while (this.#wanted) {
      const chunk = this.#incoming.shift();
      if (chunk === undefined) break;
      this.#incomingBytes -= chunk.length;
      this.#wanted = this.push(chunk);
    }
    if (this.#incomingBytes <= this.#capacity && this.#writerWaits !== undefined) this.#releaseWriter();
    if (this.#incomingEnded && this.#incoming.length === 0 && !this.#pushedEnd) {
      this.#pushedEnd = true;
      this.push(null);
    }
  }
}

function systemError(code: 'EPIPE' | 'ECONNRESET'): Error {
  return Object.assign(new Error(`the other side is gone (${code})`), { code });
}

/** How a stream was seen by whoever reads it to its end. */
export interface Heard {
  readonly bytes: Buffer;
  readonly ended: boolean;
  readonly error: Error | undefined;
}

/** Reads all there is from now on; resolves when the stream has ended or closed. */
export function hearAll(stream: Duplex): Promise<Heard> {
  const pieces: Buffer[] = [];
  return new Promise((resolve) => {
    const finish = (ended: boolean) =>
      resolve({ bytes: Buffer.concat(pieces), ended, error: stream.errored ?? undefined });
    stream.on('data', (chunk: Buffer) => pieces.push(chunk));
    stream.once('end', () => finish(true));
    stream.once('close', () => finish(false));
    if (stream.destroyed) finish(false);
    else stream.resume();
  });
}

/** A destination with a certificate and nothing behind it, different for every seed. */
export function destination(seed: number): Destination {
  const bytes = Buffer.alloc(391, 0);
  createHash('sha512').update(String(seed)).digest().copy(bytes, 0);
  bytes.writeUInt8(5, 384);
  bytes.writeUInt16BE(4, 385);
  bytes.writeUInt16BE(7, 387);
  bytes.writeUInt16BE(4, 389);
  return parseDestination(i2pBase64(bytes));
}

/** SAM's private key blob for the same seed: the destination and two keys. */
export function privateKeys(seed: number): string {
  return i2pBase64(Buffer.concat([Buffer.from(i2pBytes(destination(seed).base64)), Buffer.alloc(64, 7)]));
}

function i2pBase64(bytes: Buffer): string {
  return bytes.toString('base64').replaceAll('+', '-').replaceAll('/', '~');
}

function i2pBytes(text: string): Buffer {
  return Buffer.from(text.replaceAll('-', '+').replaceAll('~', '/'), 'base64');
}

export function peer(seed: number, more: Partial<Peer> = {}): Peer {
  const { b32 } = destination(seed);
  return {
    name: `peer${seed}`,
    b32,
    destination: undefined,
    connect: 'demand',
    routes: [],
    allow: [],
    addresses: addressesOf(b32),
    onionCat: undefined,
    knowsFlows: undefined,
    mtu: undefined,
    takesBig: false,
    ...more,
  };
}

export function own(seed: number): { readonly b32: B32; readonly addresses: Peer['addresses'] } {
  const { b32 } = destination(seed);
  return { b32, addresses: addressesOf(b32) };
}

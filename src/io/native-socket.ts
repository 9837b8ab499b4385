/**
 * A connected socket of the native part as a stream that lends out what it reads and writes at once. There may be tens of
 * thousands of them: no closures, no timers, and a call to the kernel only where one is needed.
 */
import { Duplex } from 'node:stream';
import type { CountingStream, LendingStream, Loan, UnsentLimitedStream, WriteThroughStream } from '../core/ports.ts';
import { isNativeError } from './native.ts';
import { type NativeSockets, SOCKET_EVENT, type SocketPlace } from './native-sockets.ts';
import type { ReadBuffers } from './read-buffers.ts';
import type { Client, StreamMarks } from './sockets.ts';

/** What the stream needs of the set that it belongs to. */
export interface SocketHome {
  readonly native: NativeSockets;
  readonly buffers: ReadBuffers;
  occupy(place: SocketPlace, socket: NativeSocket): void;
  close(place: SocketPlace, reset: boolean): void;
}

type Written = (error?: Error | null) => void;
type Unwritten = Uint8Array | readonly Uint8Array[];

/** In one turn, of a socket that fills its buffer each time; the others want to be read too. */
const MOST_READS = 8;

/** The place of a socket that is closed. */
const GONE = -1;

export class NativeSocket
  extends Duplex
  implements Client, CountingStream, LendingStream, WriteThroughStream, UnsentLimitedStream
{
  readonly #home: SocketHome;
  #place: SocketPlace;
  /** What the set waits for: SOCKET_EVENT, added up. */
  #watched: number;
  /** The stream has room for what is read. */
  #hasRoom = false;
  /** The other side has ended. */
  #ended = false;
  #resets = false;
  #take: ((bytes: Uint8Array, lender: Duplex) => Loan) | undefined;
  /** For as long as a flood lasts. */
  #large: Buffer | undefined;
  /** Until the next read somebody else needs it. */
  #isLargeLent = false;
  /** What the kernel has not taken yet, and whom to tell when it has. */
  #unwritten: Unwritten | undefined;
  #written: Written | undefined;
  #bytesRead = 0;

  /** @param watched what the set waits for already */
  constructor(home: SocketHome, place: SocketPlace, marks: StreamMarks, watched = 0) {
    super(marks);
    this.#home = home;
    this.#place = place;
    this.#watched = watched;
    home.occupy(place, this);
    // Paused until its owner says otherwise.
    this.pause();
  }

  get writesThrough(): true {
    return true;
  }

  get bytesRead(): number {
    return this.#bytesRead;
  }

  get remoteAddress(): string | undefined {
    return this.#place === GONE ? undefined : this.#home.native.remoteAddress(this.#place);
  }

  get localAddress(): string | undefined {
    return this.#place === GONE ? undefined : this.#home.native.localAddress(this.#place);
  }

  lend(take: (bytes: Uint8Array, lender: Duplex) => Loan): void {
    this.#take = take;
  }

  limitUnsent(bytes: number): void {
    if (this.#place === GONE) return;
    try {
      this.#home.native.limitUnsent(this.#place, bytes);
    } catch {
      // A kernel or a socket that has no such option: it is only an improvement.
    }
  }

  resetAndDestroy(): this {
    this.#resets = true;
    return this.destroy();
  }

  override resume(): this {
    super.resume();
    this.#waitForMore();
    return this;
  }

  /** Called by the set. @param what SOCKET_EVENT, added up */
  ready(what: number): void {
    if ((what & ~SOCKET_EVENT.readable) !== 0 && this.#unwritten !== undefined) this.#writeOn(this.#unwritten);
    if ((what & ~SOCKET_EVENT.writable) !== 0) {
      for (let reads = 0; reads < MOST_READS && (this.#wanted & SOCKET_EVENT.readable) !== 0; reads += 1) {
        if (!this.#readSome()) break;
      }
    }
    // It would be told of again and again.
    if ((what & ~this.#wanted) !== 0) this.#watch(this.#wanted);
  }

  override _read(): void {
    this.#hasRoom = true;
    this.#waitForMore();
  }

  override _write(bytes: Uint8Array, _encoding: BufferEncoding, written: Written): void {
    this.#send(bytes, written);
  }

  override _writev(chunks: ReadonlyArray<{ readonly chunk: Uint8Array }>, written: Written): void {
    const parts = chunks.map(({ chunk }) => chunk);
    this.#send(parts, written);
  }

  override _final(done: Written): void {
    try {
      // Closing, which is next then, says it as well.
      if (!this.readableEnded) this.#home.native.finish(this.#place);
    } catch {
      // It is gone already, which shows to whoever reads.
    }
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#home.close(this.#place, this.#resets);
    this.#place = GONE;
    if (this.#large !== undefined && !this.#isLargeLent) this.#home.buffers.giveBack(this.#large);
    this.#large = undefined;
    this.#unwritten = undefined;
    done(error);
    this.#written?.(error);
  }

  get #wanted(): number {
    if (this.#place === GONE) return 0;
    const reads = !this.#ended && (this.#lends ? this.readableFlowing === true : this.#hasRoom);
    return (reads ? SOCKET_EVENT.readable : 0) | (this.#unwritten === undefined ? 0 : SOCKET_EVENT.writable);
  }

  /** What came before the loan began is still on its way, and must not be overtaken. */
  get #lends(): boolean {
    return this.#take !== undefined && this.readableLength === 0;
  }

  /** What is no longer waited for is left to the event that comes of it, since mostly none does. */
  #waitForMore(): void {
    const wanted = this.#wanted;
    if ((wanted & ~this.#watched) !== 0) this.#watch(wanted);
  }

  #watch(wanted: number): void {
    if (this.#place === GONE || wanted === this.#watched) return;
    this.#watched = wanted;
    try {
      this.#home.native.watch(this.#place, wanted);
    } catch (error) {
      // The kernel waits for no more than it has memory for.
      this.destroy(nativeError(error));
    }
  }

  /** @returns whether there is probably more */
  #readSome(): boolean {
    const { native, buffers } = this.#home;
    const buffer = this.#large ?? buffers.small;
    let length: number;
    try {
      length = native.read(this.#place, buffer);
    } catch (error) {
      this.destroy(nativeError(error));
      return false;
    }
    if (length < 0) return false;
    if (length === 0) {
      this.#ended = true;
      this.push(null);
      // Also while it is paused, where nothing is left to be read.
      this.read(0);
      return false;
    }
    this.#bytesRead += length;
    const bytes = buffer.subarray(0, length);
    if (this.#take !== undefined && this.#lends) this.#lendOut(bytes, this.#take);
    else {
      this.#hasRoom = false;
      if (this.push(Buffer.from(bytes))) this.#hasRoom = true;
    }
    return length === buffer.length;
  }

  #lendOut(bytes: Buffer, take: (bytes: Uint8Array, lender: Duplex) => Loan): void {
    const { buffers } = this.#home;
    const isFlood = bytes.length >= buffers.small.length;
    const large = this.#large;
    // Whoever takes may end this socket.
    this.#large = undefined;
    const lent = large === undefined ? buffers.lendable(bytes) : bytes;
    const loan = take(lent, this);
    if (large === undefined && loan !== 'done') buffers.leave(lent);
    // Until it is resumed nothing is read into it, by which time nobody needs what it holds.
    const again = loan === 'kept' ? undefined : large;
    const isLent = again !== undefined && loan === 'until-resumed';
    if (isFlood && this.#place !== GONE) {
      this.#large = again ?? buffers.borrow();
      this.#isLargeLent = isLent;
    } else if (again !== undefined && !isLent) buffers.giveBack(again);
  }

  #send(bytes: Unwritten, written: Written): void {
    let rest: Unwritten | undefined;
    try {
      rest = this.#put(bytes);
    } catch (error) {
      written(nativeError(error));
      return;
    }
    if (rest === undefined) {
      written();
      return;
    }
    this.#unwritten = rest;
    this.#written = written;
    this.#waitForMore();
  }

  #writeOn(bytes: Unwritten): void {
    const written = this.#written;
    try {
      this.#unwritten = this.#put(bytes);
    } catch (error) {
      this.#unwritten = undefined;
      this.#written = undefined;
      written?.(nativeError(error));
      return;
    }
    if (this.#unwritten !== undefined) return;
    this.#written = undefined;
    written?.();
  }

  /** @returns what the kernel did not take */
  #put(bytes: Unwritten): Unwritten | undefined {
    const { native } = this.#home;
    if (!(bytes instanceof Uint8Array)) return behind(bytes, Math.max(0, native.writeParts(this.#place, bytes)));
    const count = Math.max(0, native.write(this.#place, bytes));
    return count === bytes.length ? undefined : bytes.subarray(count);
  }
}

/** @returns what of `parts` stands behind so many bytes */
function behind(parts: readonly Uint8Array[], count: number): readonly Uint8Array[] | undefined {
  let left = count;
  const first = parts.findIndex(({ length }) => {
    if (left < length) return true;
    left -= length;
    return false;
  });
  const cut = parts[first];
  return cut === undefined ? undefined : [cut.subarray(left), ...parts.slice(first + 1)];
}

/** @throws whatever is no error of the kernel */
export function nativeError(thrown: unknown): NodeJS.ErrnoException {
  if (isNativeError(thrown)) return thrown;
  throw thrown;
}

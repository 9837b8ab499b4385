/**
 * One TCP connection of a client: cuts commands out of what it sends, as carelessly as the router does, and sends answers,
 * as badly as the rules want it. What a command means stands elsewhere.
 */
import type { Socket } from 'node:net';
import type { Clock } from '../../../src/kit/clock.ts';
import type { Answer } from './answers.ts';
import { type Action, type Delivery, deliverySteps, type Refusal, type Step } from './faults.ts';
import type { FakeSession } from './session.ts';
import type { FakeStream } from './stream.ts';
import type { Temperament } from './temperament.ts';

export type Role =
  /** Before HELLO. */
  | { readonly kind: 'new' }
  | { readonly kind: 'greeted' }
  | { readonly kind: 'control'; readonly session: FakeSession }
  | { readonly kind: 'accept'; readonly session: FakeSession }
  | { readonly kind: 'forward'; readonly session: FakeSession }
  /** CONNECT is not answered yet: what the client sends meanwhile belongs to the stream. */
  | { readonly kind: 'connecting' }
  | { readonly kind: 'stream'; readonly stream: FakeStream }
  /** The router has lost its place and takes no command any more. */
  | { readonly kind: 'deaf' }
  | { readonly kind: 'closed' };

export interface ConnectionOwner {
  readonly temperament: Temperament;
  readonly clock: Clock;
  /** A whole line, without its newline. */
  onLine(line: string, connection: Connection): void;
  /** Once: the client has closed its side or is gone, or the bridge closes; `role` is what the connection was. */
  onEnd(connection: Connection, role: Role): void;
}

const LF = 0x0a;
/** Longer than any honest command. */
const LONGEST_LINE = 64 * 1024;
const FLOOD_PIECE = Buffer.alloc(64 * 1024, 'A');

export class Connection {
  readonly number: number;
  readonly socket: Socket;
  role: Role;
  readonly #owner: ConnectionOwner;
  #held: Buffer = Buffer.alloc(0);
  #busy = false;
  #collecting: { readonly length: number; readonly take: (bytes: Buffer) => void } | undefined;
  #ended = false;
  #action: Action | undefined;
  #steps: Step[] = [];
  #waiting: (() => void) | undefined;

  constructor(socket: Socket, number: number, role: Role, owner: ConnectionOwner) {
    this.socket = socket;
    this.number = number;
    this.role = role;
    this.#owner = owner;
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => this.#onData(chunk));
    socket.on('drain', () => this.#onDrain());
    socket.on('end', () => this.#onEnd());
    socket.on('close', () => this.#onEnd());
    // The client may go at any time, and with a reset; `close` follows.
    socket.on('error', () => {});
  }

  /** How the answer to the command at hand is to be sent. */
  set action(action: Action | undefined) {
    this.#action = action;
  }

  /** Sends an answer, unless `silent`, and closes where it says so. */
  answer(answer: Answer, silent = false): void {
    const action = this.#action;
    this.#action = undefined;
    const told = action?.kind === 'answer' ? action : undefined;
    const text = silent || answer.text === undefined ? '' : `${answer.text}\n`;
    const steps = deliverySteps(told?.alter === undefined ? text : told.alter(text), told ?? {});
    if (answer.after === 'close' && told?.after === undefined) steps.push({ kind: 'close' });
    this.#perform(steps);
  }

  /** Sends something that is not the answer to a command. */
  say(text: string, delivery: Delivery = {}): void {
    this.#perform(deliverySteps(text, delivery));
  }

  flood(bytes: number): void {
    this.#perform([{ kind: 'flood', bytes }]);
  }

  /** @returns false when the bytes wait somewhere; the stream hears of it when they have gone */
  write(bytes: Buffer): boolean {
    if (this.role.kind === 'closed') return true;
    if (this.#steps.length === 0) return this.socket.write(bytes);
    this.#steps.push({ kind: 'bytes', bytes });
    return false;
  }

  /** Ends the connection behind all that was sent; what the client still sends is lost. */
  close(): void {
    this.#perform([{ kind: 'close' }]);
  }

  reset(): void {
    this.#stop();
    // Once an end is on its way libuv refuses a reset, and Node then never closes the socket at all.
    if (this.socket.writableEnded && this.socket.writableLength === 0) this.socket.destroy();
    else this.socket.resetAndDestroy();
  }

  refuse(refusal: Refusal): void {
    switch (refusal.kind) {
      case 'silence':
        break;
      case 'close':
        this.close();
        break;
      case 'reset':
        this.reset();
        break;
      case 'endless':
        this.flood(refusal.bytes);
        break;
      default:
        refusal satisfies never;
    }
  }

  /** @returns when the socket has closed */
  kill(): Promise<void> {
    this.#stop();
    return new Promise((resolve) => {
      if (this.socket.closed) resolve();
      this.socket.once('close', () => resolve());
      this.socket.destroy();
    });
  }

  /** Takes no further command until `release`: the router is busy with one. */
  hold(): void {
    this.#busy = true;
    this.socket.pause();
  }

  release(): void {
    this.#busy = false;
    this.socket.resume();
    if (this.#owner.temperament.reads === 'lines') this.#takeLines();
  }

  /** The next so many bytes are no command, but belong to the one at hand. */
  collect(length: number, take: (bytes: Buffer) => void): void {
    this.#collecting = { length, take };
  }

  /** What came behind the last command. */
  takeRest(): Buffer {
    const rest = this.#held;
    this.#held = Buffer.alloc(0);
    return rest;
  }

  #onData(chunk: Buffer): void {
    switch (this.role.kind) {
      case 'stream':
        this.role.stream.received(this, chunk);
        return;
      case 'deaf':
      case 'closed':
        return;
      case 'connecting':
        this.#held = Buffer.concat([this.#held, chunk]);
        return;
      case 'new':
        // i2pd takes its first read for the whole of HELLO, with or without a newline.
        if (this.#owner.temperament.reads === 'segments') {
          this.#takeSegment(chunk);
          return;
        }
        break;
      case 'greeted':
      case 'control':
      case 'accept':
      case 'forward':
        break;
      default:
        this.role satisfies never;
    }
    this.#held = Buffer.concat([this.#held, chunk]);
    if (this.#held.length > LONGEST_LINE) {
      void this.kill();
      return;
    }
    if (this.#owner.temperament.reads === 'lines') this.#takeLines();
    else if (this.#held.includes(LF)) this.#takeSegment(this.takeRest());
  }

  #takeSegment(segment: Buffer): void {
    const end = segment.indexOf(LF);
    this.#held = end < 0 ? Buffer.alloc(0) : segment.subarray(end + 1);
    this.#owner.onLine(segment.toString('latin1', 0, end < 0 ? segment.length : end), this);
    if (this.role.kind !== 'connecting') this.#held = Buffer.alloc(0);
  }

  #takeLines(): void {
    if (!this.#takeCollected()) return;
    for (let end = this.#held.indexOf(LF); end >= 0 && this.#takesCommands(); end = this.#held.indexOf(LF)) {
      const line = this.#held.toString('latin1', 0, end);
      this.#held = this.#held.subarray(end + 1);
      this.#owner.onLine(line, this);
      if (!this.#takeCollected()) return;
    }
  }

  /** @returns false while bytes are wanted that have not come */
  #takeCollected(): boolean {
    if (this.#collecting === undefined) return true;
    const { length, take } = this.#collecting;
    if (this.#held.length < length) return false;
    const bytes = this.#held.subarray(0, length);
    this.#held = this.#held.subarray(length);
    this.#collecting = undefined;
    take(bytes);
    return true;
  }

  #takesCommands(): boolean {
    return !this.#busy && !['connecting', 'stream', 'deaf', 'closed'].includes(this.role.kind);
  }

  #onEnd(role = this.role): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#owner.onEnd(this, role);
  }

  #onDrain(): void {
    if (this.#steps.length === 0) this.#tellStream();
    else if (this.#waiting === undefined) this.#work();
  }

  #tellStream(): void {
    if (this.role.kind === 'stream') this.role.stream.drained(this);
  }

  #perform(steps: readonly Step[]): void {
    if (this.role.kind === 'closed') return;
    const idle = this.#steps.length === 0;
    this.#steps.push(...steps);
    if (idle) this.#work();
  }

  #work(): void {
    for (let step = this.#steps[0]; step !== undefined; step = this.#steps[0]) {
      switch (step.kind) {
        case 'bytes':
          if (step.bytes.length > 0) this.socket.write(step.bytes);
          break;
        case 'flood': {
          const fits = this.socket.write(FLOOD_PIECE.subarray(0, step.bytes));
          const left = step.bytes - FLOOD_PIECE.length;
          if (left > 0) this.#steps.splice(1, 0, { kind: 'flood', bytes: left });
          if (!fits) {
            this.#steps.shift();
            return;
          }
          break;
        }
        case 'wait':
          this.#wait(step.ms);
          return;
        case 'close':
          this.#stop();
          this.socket.end();
          // Whatever comes is read and lost, so that the client sees an end and not a reset.
          this.socket.resume();
          return;
        case 'reset':
          this.reset();
          return;
        default:
          step satisfies never;
      }
      this.#steps.shift();
    }
    if (!this.socket.writableNeedDrain) this.#tellStream();
  }

  #wait(ms: number): void {
    const goOn = () => {
      this.#waiting = undefined;
      this.#steps.shift();
      this.#work();
    };
    if (ms > 0) {
      const timer = this.#owner.clock.after(ms, goOn);
      this.#waiting = () => timer.cancel();
    } else {
      const turn = setImmediate(goOn);
      this.#waiting = () => clearImmediate(turn);
    }
  }

  #stop(): void {
    const role = this.role;
    this.role = { kind: 'closed' };
    this.#steps = [];
    this.#waiting?.();
    this.#waiting = undefined;
    this.#held = Buffer.alloc(0);
    this.#onEnd(role);
  }
}

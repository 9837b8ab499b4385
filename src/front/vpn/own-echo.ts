/**
 * The stream that a gateway opens to its own destination to see whether packets travel through I2P at all: OnionCat's
 * second loopback, `fd60:db4d:ddb5::feed:beef`. Echo requests go out on it and come in again by the ordinary way for
 * streams of others; there they are answered, on the same stream. OnionCat dials itself, which routers refuse; here the
 * stream comes from a destination of its own, and by that it is known when it arrives.
 */
import type { Duplex } from 'node:stream';
import type { RelayEnd } from '../../core/dial/target.ts';
import type { PacketRun } from '../../core/ports.ts';
import { createSharedController } from '../../kit/abort.ts';
import { type Clock, type Timer, within } from '../../kit/clock.ts';
import { GateError } from '../../kit/errors.ts';
import { type Logger, logFailure } from '../../kit/log.ts';
import type { Address, Addresses } from '../../wire/i2p/address.ts';
import type { B32 } from '../../wire/i2p/destination.ts';
import { Deframer } from '../../wire/packet/deframer.ts';
import { echoReply, isEchoReply, isEchoRequest } from '../../wire/packet/echo.ts';
import { DESTINATION_OFFSET, hasAddressAt, SOURCE_OFFSET } from '../../wire/packet/ipv6.ts';
import { encodeKeepalive } from '../../wire/packet/keepalive.ts';

export interface OwnEchoParts {
  readonly own: { readonly b32: B32; readonly addresses: Addresses };
  /** The address whose echo this is. */
  readonly responder: Address;
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: () => number;
  /** Opens a stream to our own destination. */
  dial(signal: AbortSignal): Promise<RelayEnd>;
  /** A packet for the TUN. */
  deliver(run: PacketRun): void;
  /** A packet that cannot be sent. */
  undeliverable(packet: Buffer): void;
  /** An echo of ours was dropped, because too much waits already. */
  overflowed(): void;
}

export interface OwnEchoReport {
  readonly state: 'idle' | 'dialing' | 'up';
  /** What went wrong last, until an echo comes back. */
  readonly error: GateError | undefined;
}

/** With building the session that it goes out from, which i2pd 2.45.1 answers after 20 or 40 s. */
const DIAL_MS = 120_000;
/** A slow I2P round trip is 10 s. */
const ANSWER_MS = 30_000;
/** As an OnionCat does with every stream. */
const IDLE_MS = 180_000;
/** Requests that wait for the stream, the newest of them. */
const WAITING_MOST = 16;
/** Bytes that wait on either end before more are dropped: this is a test of the way, not of its width. */
const HELD_MOST = 64 * 1024;

export class OwnEcho {
  readonly #parts: OwnEchoParts;
  readonly #stopping = createSharedController();
  readonly #waiting: Buffer[] = [];
  #dialing: Promise<void> | undefined;
  #out: Duplex | undefined;
  #back: Duplex | undefined;
  #heard = false;
  #error: GateError | undefined;
  #answerDue: Timer | undefined;
  #idle: Timer | undefined;

  constructor(parts: OwnEchoParts) {
    this.#parts = parts;
  }

  report(): OwnEchoReport {
    const state = this.#heard ? 'up' : this.#dialing !== undefined || this.#out !== undefined ? 'dialing' : 'idle';
    return { state, error: this.#error };
  }

  /** @param request an echo request to the responder, borrowed */
  send(request: Buffer): void {
    if (this.#stopping.signal.aborted) return;
    this.#rest();
    if (this.#out !== undefined) {
      this.#write(this.#out, Buffer.from(request));
      this.#expectAnswer();
      return;
    }
    this.#waiting.push(Buffer.from(request));
    if (this.#waiting.length > WAITING_MOST) {
      this.#waiting.shift();
      this.#parts.overflowed();
    }
    this.#dialing ??= this.#dial().finally(() => {
      this.#dialing = undefined;
    });
  }

  /** A stream that came from the destination that we dial from. */
  accept(stream: Duplex): void {
    if (this.#out === undefined && this.#dialing === undefined) {
      stream.destroy();
      return;
    }
    this.#back?.destroy();
    this.#back = stream;
    this.#read(stream, (packet) => {
      const isAsked = isEchoRequest(packet) && hasAddressAt(packet, DESTINATION_OFFSET, this.#parts.responder);
      if (isAsked) this.#write(stream, echoReply(packet));
    });
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new GateError('shutdown', 'shutdown', 'the gateway is stopping'));
    this.#close();
    await this.#dialing;
  }

  async #dial(): Promise<void> {
    const { clock, own, random, responder, dial } = this.#parts;
    const late = () =>
      new GateError('peer-timeout', 'echo.dial-late', 'the router opened no stream to ourselves in time');
    try {
      const { stream } = await within(clock, DIAL_MS, late, this.#stopping.signal, dial);
      this.#out = stream;
      stream.write(
        encodeKeepalive({
          source: own.addresses.oc,
          destination: responder,
          flowLabel: Math.floor(random() * 0x100000),
          name: own.b32,
          announcement: undefined,
        }),
      );
      for (const request of this.#waiting.splice(0)) this.#write(stream, request);
      this.#read(stream, (packet) => this.#receive(packet));
      this.#expectAnswer();
    } catch (error) {
      if (!this.#stopping.signal.aborted) this.#fail(logFailure(this.#parts.log, error, 'dialling ourselves'));
    }
  }

  /** Only what we asked for comes back on our own stream. */
  #receive(packet: Buffer): void {
    const { own, responder, deliver } = this.#parts;
    const isOurs = [own.addresses.oc, own.addresses.ocat4].some((one) => hasAddressAt(packet, DESTINATION_OFFSET, one));
    if (!isOurs || !isEchoReply(packet) || !hasAddressAt(packet, SOURCE_OFFSET, responder)) return;
    this.#answerDue?.cancel();
    this.#answerDue = undefined;
    this.#error = undefined;
    this.#heard = true;
    deliver(packet);
  }

  #read(stream: Duplex, visit: (packet: Buffer) => void): void {
    const deframer = new Deframer();
    stream.on('data', (chunk: Buffer) => {
      try {
        deframer.push(chunk, (bytes, start, end) => visit(bytes.subarray(start, end)));
      } catch (error) {
        logFailure(this.#parts.log, error, 'reading what we sent to ourselves');
        stream.destroy();
      }
    });
    stream.on('end', () => stream.destroy());
    stream.on('close', () => this.#closed(stream));
    stream.resume();
  }

  #closed(stream: Duplex): void {
    if (stream === this.#back) this.#back = undefined;
    if (stream === this.#out) this.#close();
  }

  #write(stream: Duplex, packet: Buffer): void {
    if (stream.writableLength + packet.length <= HELD_MOST) stream.write(packet);
    else this.#parts.overflowed();
  }

  #expectAnswer(): void {
    this.#answerDue ??= this.#parts.clock.after(ANSWER_MS, () =>
      this.#fail(
        new GateError(
          'peer-timeout',
          'echo.silent',
          'the router opened a stream to ourselves, and nothing came back on it',
        ),
      ),
    );
  }

  #fail(error: GateError): void {
    this.#error = error;
    for (const request of this.#waiting.splice(0)) this.#parts.undeliverable(request);
    this.#close();
  }

  /** It ends when nobody has asked for a while. */
  #rest(): void {
    this.#idle?.cancel();
    this.#idle = this.#parts.clock.after(IDLE_MS, () => this.#close());
  }

  #close(): void {
    this.#answerDue?.cancel();
    this.#idle?.cancel();
    this.#answerDue = undefined;
    this.#heard = false;
    const streams = [this.#out, this.#back];
    this.#out = undefined;
    this.#back = undefined;
    for (const stream of streams) stream?.destroy();
  }
}

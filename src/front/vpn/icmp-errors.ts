/** ICMPv6 errors for local senders whose packets go nowhere, and no more of them than is good. */
import type { Clock } from '../../kit/clock.ts';
import { TokenBucket } from '../../kit/token-bucket.ts';
import type { Address } from '../../wire/i2p/address.ts';
import { mayAnswer, packetTooBig, type UnreachableCode, unreachable } from '../../wire/packet/icmpv6.ts';

/** Linux's own default for ICMPv6 errors is one per second and destination; local senders may have a few more. */
const ANSWERS_BURST = 50;
const ANSWERS_PER_SECOND = 100;

export class IcmpErrors {
  readonly #from: Address;
  readonly #clock: Clock;
  readonly #send: (error: Buffer) => void;
  readonly #unreachables: TokenBucket;
  /** Their own: whoever is not told what size passes goes on for ever with what does not. */
  readonly #tooBigs: TokenBucket;

  constructor(from: Address, clock: Clock, send: (error: Buffer) => void) {
    this.#from = from;
    this.#clock = clock;
    this.#send = send;
    this.#unreachables = new TokenBucket(ANSWERS_BURST, ANSWERS_PER_SECOND, clock.now());
    this.#tooBigs = new TokenBucket(ANSWERS_BURST, ANSWERS_PER_SECOND, clock.now());
  }

  /** @param packet that cannot be delivered, borrowed */
  answerUnreachable(packet: Buffer, code: UnreachableCode): void {
    if (this.#takeTurn(this.#unreachables, packet)) this.#send(unreachable(this.#from, code, packet));
  }

  /** @param longest what would fit, in bytes */
  answerTooBig(packet: Buffer, longest: number): void {
    if (this.#takeTurn(this.#tooBigs, packet)) this.#send(packetTooBig(this.#from, longest, packet));
  }

  #takeTurn(limit: TokenBucket, packet: Buffer): boolean {
    return mayAnswer(packet) && limit.take(this.#clock.now());
  }
}
